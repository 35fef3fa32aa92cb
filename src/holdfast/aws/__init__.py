"""The wire to services that speak AWS: credentials, signatures, HTTP/1.1. For drivers alone."""
