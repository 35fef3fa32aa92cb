"""The ways in and out: by an API key, and by an OpenID provider."""
