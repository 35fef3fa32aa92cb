"""Pages of the queue: jobs, workflows, schedules, limits."""
