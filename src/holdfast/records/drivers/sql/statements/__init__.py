"""Statements: queries and writes as SQL, built once for each shape, and the tables they name."""
