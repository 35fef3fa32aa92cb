"""Server-sent events, for as long as client and server want them."""
