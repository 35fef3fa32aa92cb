"""Limits: how many jobs of a queue or a task run and start, and claims that keep to them."""
