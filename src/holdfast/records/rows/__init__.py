"""Rows in Python: made into entities, and what conditions, changes and groups mean for them."""
