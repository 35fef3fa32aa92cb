"""Buckets on S3 and on everything that speaks it."""
