"""Typed tasks: functions whose parameters are a job's payload."""
