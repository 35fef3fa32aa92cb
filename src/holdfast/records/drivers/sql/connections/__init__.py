"""Connections: how each driver reaches a database and runs a text there, alone or from a pool."""
