"""What differs between the databases' SQL: one dialect for each."""
