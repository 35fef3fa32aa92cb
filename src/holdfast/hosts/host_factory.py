"""The HostFactory contract: what its five scripts are given and answer, in JSON.

IBM Spectrum Symphony's resource connector calls a provider by five scripts, each with a file of
JSON (`-f FILE`), and reads JSON from standard output. Names and shapes are those of that contract,
as FINOS Open Resource Broker answers it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import InvalidValueError, NotFoundError
from holdfast.hosts.host_entities import (
    HostRequest,
    Machine,
    MachineStatus,
    RequestKind,
    RequestStatus,
    Stage,
    Template,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.hosts.host_pool import HostPool

_M = MachineStatus
_GONE = (_M.TERMINATED, _M.RETURNED)
_CONTRACT = "HostFactory"


class HostFactory:
    """Answers the five scripts from *pool*. Raises InvalidValueError for input of another shape."""

    def __init__(self, pool: HostPool) -> None:
        self._pool = pool

    @property
    def scripts(
        self,
    ) -> Mapping[str, Callable[[Mapping[str, object]], Awaitable[dict[str, object]]]]:
        """What answers each script, by the script's name."""
        return {
            "getAvailableTemplates": self.get_available_templates,
            "requestMachines": self.request_machines,
            "requestReturnMachines": self.request_return_machines,
            "getRequestStatus": self.get_request_status,
            "getReturnRequests": self.get_return_requests,
        }

    async def get_available_templates(self, _given: Mapping[str, object]) -> dict[str, object]:
        """Return the templates, each with its attributes as `[type, value]`."""
        return {
            "message": "Get available templates success.",
            "templates": [
                {
                    "templateId": each.name,
                    "maxNumber": each.max_number,
                    "attributes": _attributes(each),
                }
                for each in await self._pool.templates.get_every()
            ],
        }

    async def request_machines(self, given: Mapping[str, object]) -> dict[str, object]:
        """Ask for machines of one template; return the id of the request, once it is worked on."""
        template = _object(given.get("template"), "template")
        name, number = _text(template, "templateId"), _number(template, "machineCount")
        request = await self._pool.request(number, templates=[name])
        await self._pool.work(request.id)
        return {"message": "Request VM success.", "requestId": str(request.id)}

    async def request_return_machines(self, given: Mapping[str, object]) -> dict[str, object]:
        """Give machines back by their `machineId`; return the id of the request."""
        wanted = [_id(each, "machineId") for each in _objects(given, "machines")]
        request = await self._pool.give_back(wanted)
        await self._pool.work(request.id)
        return {"message": "Delete VM success.", "requestId": str(request.id)}

    async def get_request_status(self, given: Mapping[str, object]) -> dict[str, object]:
        """Return how requests of either kind stand, each with its machines."""
        told: list[dict[str, object]] = []
        for request_id in [_id(each, "requestId") for each in _objects(given, "requests")]:
            try:
                request = await self._pool.work(request_id)
            except NotFoundError as error:
                told.append(
                    {
                        "requestId": str(request_id),
                        "status": "complete_with_error",
                        "message": str(error),
                        "machines": [],
                    }
                )
                continue
            machines = await self._pool.machines_of(request)
            told.append(
                {
                    "requestId": str(request.id),
                    "status": _status(request),
                    "message": request.diagnosis or "",
                    "machines": [_machine(each, request.kind) for each in machines],
                }
            )
        return {"requests": told}

    async def get_return_requests(self, given: Mapping[str, object]) -> dict[str, object]:
        """Return which of the machines named, or of all, are to be given up, or are gone already.

        That they are to go was not the asker's wish: no request of its own returns them.
        """
        if given.get("machines"):
            named = [_id(each, "machineId") for each in _objects(given, "machines")]
            found = await self._pool.machines.get_many(named)
            machines = [each for each in found if each is not None]
        else:
            machines = await self._pool.machines.get_by_status(_M.SHUTTING_DOWN)
        leaving = [
            each
            for each in machines
            if each.return_request_id is None
            and (each.status is _M.SHUTTING_DOWN or each.stage is Stage.ENDED)
        ]
        return {
            "status": "complete",
            "message": "Machines marked for termination retrieved successfully."
            if leaving
            else "No machines to return.",
            "requests": [{"machine": _name(each), "gracePeriod": 0} for each in leaving],
        }


def _attributes(template: Template) -> dict[str, list[str]]:
    """Return the plain attributes of *template* as the contract writes them: type and text."""
    told: dict[str, list[str]] = {"type": ["String", "X86_64"]}
    for name, value in template.attributes.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            continue  # the contract has text and numbers
        told[name] = ["String" if isinstance(value, str) else "Numeric", str(value)]
    return told


def _status(request: HostRequest) -> str:
    if request.stage is Stage.LIVE:
        return "running"
    return "complete" if request.status is RequestStatus.COMPLETE else "complete_with_error"


def _machine(machine: Machine, kind: RequestKind) -> dict[str, object]:
    result = _return_result(machine) if kind is RequestKind.RETURN else _result(machine)
    launched = machine.launched_at
    # The contract has no word for one that was given back.
    status = _M.TERMINATED if machine.status is _M.RETURNED else machine.status
    return {
        "machineId": str(machine.id),
        "name": _name(machine),
        "result": result,
        "status": status.value,
        "privateIpAddress": machine.address,
        "launchtime": 0 if launched is None else int(launched.timestamp()),
        "message": machine.diagnosis or "" if result != "succeed" else "",
    }


def _result(machine: Machine) -> str:
    if machine.status is _M.RUNNING:
        return "succeed"
    return "fail" if machine.stage is Stage.ENDED else "executing"


def _return_result(machine: Machine) -> str:
    if machine.status in _GONE:
        return "succeed"
    return "fail" if machine.status is _M.FAILED else "executing"


def _name(machine: Machine) -> str:
    return machine.instance_id or str(machine.id)


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _unfit(what, "an object", value)
    return value


def _objects(given: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """Return the list of objects called *name*; the contract also writes one without a list."""
    value = given.get(name)
    if isinstance(value, Mapping):
        return [value]
    if not isinstance(value, list):
        raise _unfit(name, "a list of objects", value)
    return [_object(each, name) for each in value]


def _text(given: Mapping[str, object], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise _unfit(name, "text", value)
    return value


def _number(given: Mapping[str, object], name: str) -> int:
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _unfit(name, "a whole number", value)
    return value


def _unfit(name: str, expected: str, value: object) -> InvalidValueError:
    return InvalidValueError(_CONTRACT, name, f"expected {expected}, got {value!r:.100}")


def _id(given: Mapping[str, object], name: str) -> UUID:
    text = _text(given, name)
    try:
        return UUID(text)
    except ValueError:
        raise _unfit(name, "an id that an answer had", text) from None
