"""The backends of buckets: memory, disk and S3."""
