"""Buckets on S3 and on compatible servers."""
