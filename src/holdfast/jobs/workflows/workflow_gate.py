"""Which job is the gate of a workflow, behind which its jobs wait until all of them are stored."""

from __future__ import annotations

from uuid import UUID

_VERSION = 8  # of the gate's UUID: what jobs and workflows are called by has another one


def gate_of(workflow_id: UUID) -> UUID:
    """Return the id of the job that is the gate of a workflow."""
    return UUID(int=workflow_id.int & ~(0xF << 76) | _VERSION << 76)


def is_gate(job_id: UUID) -> bool:
    """Return whether a job is the gate of a workflow."""
    return job_id.version == _VERSION
