"""Uploads in parts, which go on after a lost connection: what is known of each, and its routes."""
