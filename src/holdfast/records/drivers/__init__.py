"""The backends of records: rows in memory, and SQL databases."""
