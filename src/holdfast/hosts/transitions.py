"""The state machine of requests and machines: the only writer of a status.

The steps are the two tables below. A step is one conditional write: it happens only if the status
is still the one that the caller has seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from holdfast.errors import (
    IllegalTransitionError,
    NotFoundError,
    PreconditionFailedError,
    StaleVersionError,
)
from holdfast.hosts.host_entities import HostRequest, Machine, MachineStatus, RequestStatus, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from holdfast.records import Change, Repository

S = TypeVar("S", RequestStatus, MachineStatus)
Steps: TypeAlias = "Mapping[S, frozenset[S]]"

_R = RequestStatus
_M = MachineStatus
_REQUEST_ENDS = frozenset({_R.COMPLETE, _R.PARTIAL, _R.FAILED, _R.CANCELLED, _R.TIMEOUT})
_MACHINE_BREAKS = frozenset({_M.SHUTTING_DOWN, _M.TERMINATED, _M.FAILED})

REQUEST_STEPS: Mapping[RequestStatus, frozenset[RequestStatus]] = {
    _R.PENDING: frozenset({_R.IN_PROGRESS, _R.CANCELLED, _R.TIMEOUT, _R.FAILED}),
    _R.IN_PROGRESS: _REQUEST_ENDS | {_R.ACQUIRING, _R.PARTIAL_PENDING},
    _R.ACQUIRING: _REQUEST_ENDS | {_R.PARTIAL_PENDING},
    _R.PARTIAL_PENDING: _REQUEST_ENDS | {_R.ACQUIRING},  # what ran may break
    **dict.fromkeys(_REQUEST_ENDS, frozenset[RequestStatus]()),
}
"""What may follow on each status of a request; nothing follows on an end."""

MACHINE_STEPS: Mapping[MachineStatus, frozenset[MachineStatus]] = {
    _M.PENDING: frozenset({_M.LAUNCHING, _M.SHUTTING_DOWN, _M.FAILED}),
    _M.LAUNCHING: _MACHINE_BREAKS | {_M.RUNNING, _M.STOPPING, _M.STOPPED, _M.UNKNOWN},
    _M.RUNNING: _MACHINE_BREAKS | {_M.STOPPING, _M.STOPPED, _M.UNKNOWN},
    _M.STOPPING: _MACHINE_BREAKS | {_M.RUNNING, _M.STOPPED, _M.UNKNOWN},
    _M.STOPPED: _MACHINE_BREAKS | {_M.RUNNING, _M.UNKNOWN},
    _M.UNKNOWN: _MACHINE_BREAKS | {_M.RUNNING, _M.STOPPING, _M.STOPPED},
    _M.SHUTTING_DOWN: frozenset({_M.TERMINATED}),
    _M.TERMINATED: frozenset({_M.RETURNED}),
    _M.RETURNED: frozenset(),
    _M.FAILED: frozenset(),
}
"""What may follow on each status of a machine."""

ENDED_MACHINES = frozenset({_M.TERMINATED, _M.RETURNED, _M.FAILED})
"""The statuses of machines that are gone: nothing is paid for them."""


def stage_of(status: RequestStatus | MachineStatus) -> Stage:
    """Return whether what has this *status* lives or has ended."""
    ended = (
        status in _REQUEST_ENDS if isinstance(status, RequestStatus) else status in ENDED_MACHINES
    )
    return Stage.ENDED if ended else Stage.LIVE


def drawn(steps: Steps[S]) -> str:
    """Return *steps* as a table of Markdown, a row for each status: what the docs show."""
    rows = ["| status | may become |", "|---|---|"]
    for status in type(next(iter(steps))):
        targets = steps[status]
        names = ", ".join(f"`{each}`" for each in type(status) if each in targets)
        rows.append(f"| `{status}` | {names or 'nothing: an end'} |")
    return "\n".join(rows)


async def step_request(
    requests: Repository[HostRequest], request: HostRequest, to: RequestStatus, *changes: Change
) -> HostRequest:
    """Take *request*, as it was read, to the status *to* and make *changes* with it.

    One write, which happens only if its status is still the same. Raises IllegalTransitionError
    when no step leads there, StaleVersionError when somebody else took a step first.
    """
    _check("HostRequest", request.id, REQUEST_STEPS, request.status, to)
    stage = stage_of(to)
    ended = () if stage is Stage.LIVE else (HostRequest.ended_at.to(requests.store.now()),)
    written = (HostRequest.status.to(to), HostRequest.stage.to(stage), *ended, *changes)
    try:
        return await requests.patch(request.id, *written, when=HostRequest.status == request.status)
    except PreconditionFailedError:
        raise await _moved_on(requests, request.id, request.version) from None


async def step_machine(
    machines: Repository[Machine], machine: Machine, to: MachineStatus, *changes: Change
) -> Machine:
    """Take *machine*, as it was read, to the status *to*; see `step_request`."""
    _check("Machine", machine.id, MACHINE_STEPS, machine.status, to)
    now, stage = machines.store.now(), stage_of(to)
    ended = () if stage is Stage.LIVE else (Machine.ended_at.to(machine.ended_at or now),)
    written = (
        Machine.status.to(to),
        Machine.stage.to(stage),
        Machine.changed_at.to(now),
        *ended,
        *changes,
    )
    try:
        return await machines.patch(machine.id, *written, when=Machine.status == machine.status)
    except PreconditionFailedError:
        raise await _moved_on(machines, machine.id, machine.version) from None


def _check(entity: str, key: UUID, steps: Steps[S], current: S, wanted: S) -> None:
    if wanted not in steps[current]:
        raise IllegalTransitionError(entity, key, current=current, wanted=wanted)


async def _moved_on(
    repository: Repository[HostRequest] | Repository[Machine], key: UUID, version: int
) -> Exception:
    """Return what says that the row under *key* has another status by now, or is gone."""
    stored = await repository.get(key)
    name = repository.model.name
    if stored is None:
        return NotFoundError(name, key)
    return StaleVersionError(name, key, expected=version, actual=stored.version)
