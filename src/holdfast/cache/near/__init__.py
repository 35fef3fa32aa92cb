"""Copies of entries in this process, served while nothing can have changed."""
