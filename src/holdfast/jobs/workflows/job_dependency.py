"""Which job waits for which, and what becomes of it when that one does not succeed."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from holdfast.records import Entity, Field, field, key


class OnFailure(StrEnum):
    """What becomes of a job when one that it waits for fails, or is cancelled.

    CANCEL: it is cancelled too. RUN: it runs all the same, as soon as nothing else keeps it. WAIT:
    it waits on, until the other one is retried and succeeds.
    """

    CANCEL = "cancel"
    RUN = "run"
    WAIT = "wait"


class JobDependency(
    Entity,
    table="job_dependencies",
    indexes=[("on_id", "settled"), ("job_id",)],  # the second for DynamoDB; others have the key
):
    """The job *job_id* waits for the job *on_id*; *settled* from when it was told of its end."""

    job_id: Field[UUID] = key()
    on_id: Field[UUID] = key()
    on_failure: Field[OnFailure] = field(default=OnFailure.CANCEL)
    settled: Field[bool] = field(default=False)
