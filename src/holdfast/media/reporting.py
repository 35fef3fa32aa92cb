"""A video's report, from what its detection left in the library."""
