"""Pages of records: lists of any entity, forms, imports, and what is done to many at once."""
