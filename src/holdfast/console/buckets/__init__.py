"""Pages of buckets: keys as folders, previews, uploads, removal, and a whole bucket's settings."""
