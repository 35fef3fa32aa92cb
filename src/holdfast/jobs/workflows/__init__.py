"""Workflows: jobs that wait for one another, and durable steps within a job."""
