"""What is kept about jobs beside the jobs: attempts, logs, figures of tasks over time."""
