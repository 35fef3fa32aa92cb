"""Schedules: jobs that are enqueued again and again."""
