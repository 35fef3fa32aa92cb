"""Executors: the verbs on one connection, as each database does them, and what refused a write."""
