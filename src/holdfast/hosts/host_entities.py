"""What hosts keep records of: templates of machines, requests for machines, and the machines."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from holdfast.records import Entity, Field, created_at, field, key, updated_at, version
from holdfast.uuid7 import uuid7

DEFAULT_POOL = "default"
NAME_LENGTH = 100
DIAGNOSIS_LENGTH = 1_000


class Stage(StrEnum):
    """Whether a status is one that something still follows on: what indexes begin with."""

    LIVE = "live"
    ENDED = "ended"


class RequestKind(StrEnum):
    """What a request asks for: machines, or that machines are taken back."""

    ACQUIRE = "acquire"
    RETURN = "return"


class RequestStatus(StrEnum):
    """Where a request stands; `transitions.REQUEST_STEPS` says what follows on what.

    ACQUIRING: machines stand for it, none of them runs yet. PARTIAL_PENDING: some run (or are
    gone, for a return), and the rest may come yet. PARTIAL: some came, and no more will. TIMEOUT:
    none came before its deadline.
    """

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    ACQUIRING = "acquiring"
    PARTIAL_PENDING = "partial_pending"
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"


class MachineStatus(StrEnum):
    """Where a machine stands; `transitions.MACHINE_STEPS` says what follows on what.

    PENDING: recorded, its provider not asked yet. LAUNCHING: the provider was asked, or is about to
    be. RETURNED: it ended because it was given back. UNKNOWN: the provider can't say.
    """

    PENDING = "pending"
    LAUNCHING = "launching"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"
    RETURNED = "returned"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Template(
    Entity,
    table="host_templates",
    indexes=[("pool", "name"), ("pool", "provider_type", "name")],
    uniques=[("pool", "name")],
):
    """A kind of machine that could be had, at most *max_number* of them at a time.

    A request that fits several templates is spread over them in the proportion of their *weight*.
    *attributes* say what the machine is, for the provider and for those who choose. *live* is how
    many of its machines have not ended; the pool alone writes it.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    pool: Field[str] = field(default=DEFAULT_POOL, max_length=NAME_LENGTH)
    name: Field[str] = field(max_length=NAME_LENGTH)
    provider_type: Field[str] = field(max_length=NAME_LENGTH)
    max_number: Field[int]
    weight: Field[int] = field(default=1)
    attributes: Field[dict[str, object]] = field(default_factory=dict)
    live: Field[int] = field(default=0)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


class HostRequest(
    Entity,
    table="host_requests",
    indexes=[
        ("pool", "created_at"),
        ("pool", "status", "created_at"),
        ("pool", "stage", "deadline"),
    ],
):
    """A wish for *requested* machines, or to be rid of those in *machines*, until *deadline*.

    *templates* are the names of those that will do; any will where none is named. *live* counts the
    machines that stand for it and have not ended, *failed* those that were refused or broke before
    they ran, *fulfilled* what it had got when it was last looked at. *diagnosis* says why it has
    not got more.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    pool: Field[str] = field(default=DEFAULT_POOL, max_length=NAME_LENGTH)
    kind: Field[RequestKind] = field(max_length=20)
    status: Field[RequestStatus] = field(default=RequestStatus.PENDING, max_length=20)
    stage: Field[Stage] = field(default=Stage.LIVE, max_length=20)
    requested: Field[int]
    live: Field[int] = field(default=0)
    failed: Field[int] = field(default=0)
    fulfilled: Field[int] = field(default=0)
    templates: Field[list[str]] = field(default_factory=list)
    machines: Field[list[str]] = field(default_factory=list)
    deadline: Field[datetime]
    diagnosis: Field[str | None] = field(default=None, max_length=DIAGNOSIS_LENGTH)
    ended_at: Field[datetime | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


class Machine(
    Entity,
    table="host_machines",
    indexes=[
        ("pool", "created_at"),
        ("pool", "stage", "changed_at"),
        ("pool", "status", "changed_at"),
        ("request_id", "created_at"),
        ("return_request_id", "created_at"),
        ("template_id", "created_at"),
        ("instance_id",),
    ],
):
    """A machine, recorded before its provider is asked for it.

    Its *id* is the token by which the provider knows it: asked twice, it starts one. *provider* is
    the name of the one that has it, *instance_id* what that calls it. *request_id* acquired it,
    *return_request_id* gave it back. *attempts* counts how often the launch was tried, *try_at* is
    when it may be tried again. *changed_at* is when its status last changed.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    pool: Field[str] = field(default=DEFAULT_POOL, max_length=NAME_LENGTH)
    template_id: Field[UUID]
    template: Field[str] = field(max_length=NAME_LENGTH)
    provider: Field[str] = field(max_length=200)
    status: Field[MachineStatus] = field(default=MachineStatus.PENDING, max_length=20)
    stage: Field[Stage] = field(default=Stage.LIVE, max_length=20)
    request_id: Field[UUID]
    return_request_id: Field[UUID | None] = field(default=None)
    instance_id: Field[str | None] = field(default=None, max_length=200)
    address: Field[str | None] = field(default=None, max_length=200)
    attempts: Field[int] = field(default=0)
    try_at: Field[datetime | None] = field(default=None)
    diagnosis: Field[str | None] = field(default=None, max_length=DIAGNOSIS_LENGTH)
    launched_at: Field[datetime | None] = field(default=None)
    changed_at: Field[datetime]
    ended_at: Field[datetime | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()


HOST_ENTITIES = (Template, HostRequest, Machine)
