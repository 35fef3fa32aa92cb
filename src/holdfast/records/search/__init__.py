"""Full-text search: words, the documents that keep them, and how these are written."""
