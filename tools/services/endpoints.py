"""What answers now, for tests; what runs, stands still or is missing, for people.

A server of one's own takes the place of the started one by `HOLDFAST_TEST_<NAME>_URL`, the name in
capitals with `_` for `-`; `off` there keeps tests from a server.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tools.services.address import Address, parse
from tools.services.failure import NotReadyError
from tools.services.paths import default_folder
from tools.services.registry import SERVERS
from tools.services.source import find
from tools.services.state import load

if TYPE_CHECKING:
    from pathlib import Path

    from tools.services.server import Server

OFF = "off"


@dataclass(frozen=True)
class Endpoint:
    """Where a server answers. *ours* when these tools started it, not somebody's own."""

    name: str
    url: str
    ours: bool

    @property
    def address(self) -> Address:
        return parse(self.url)


@dataclass(frozen=True)
class Row:
    """One line for a person: *how* says what to do about it, empty while it runs."""

    name: str
    state: Literal["running", "stopped", "missing"]
    url: str | None
    how: str


def variable(name: str) -> str:
    """The environment variable that says where one's own server of this name is."""
    return f"HOLDFAST_TEST_{name.upper().replace('-', '_')}_URL"


def known() -> dict[str, Server]:
    """Every endpoint's name, with the server that offers it."""
    return {name: server for server in SERVERS for name in (server.name, *server.extra)}


def endpoints(folder: Path | None = None) -> dict[str, Endpoint]:
    """Return the endpoints that answer now, each asked in its own protocol.

    Raises StateError for an unusable URL in the environment, or a damaged state.
    """
    configured = _configured(default_folder() if folder is None else folder)
    return {name: endpoint for name, endpoint in configured.items() if failure(endpoint) is None}


def rows(folder: Path | None = None) -> list[Row]:
    """Return a row for every endpoint, in the order in which the servers start."""
    place = default_folder() if folder is None else folder
    configured = _configured(place)
    return [_row(name, server, configured.get(name)) for name, server in known().items()]


def failure(endpoint: Endpoint) -> str | None:
    """Say why *endpoint* does not answer, or None when it does."""
    try:
        known()[endpoint.name].ping(endpoint.url)
    except (NotReadyError, OSError) as error:
        return str(error) or repr(error)
    return None


def _configured(folder: Path) -> dict[str, Endpoint]:
    records = load(folder).servers
    started = {name: url for record in records.values() for name, url in record.urls.items()}
    found = {}
    for name in known():
        own = os.environ.get(variable(name))
        if own == OFF:
            continue
        if own:
            parse(own)
            found[name] = Endpoint(name, own, ours=False)
        elif name in started:
            found[name] = Endpoint(name, started[name], ours=True)
    return found


def _row(name: str, server: Server, endpoint: Endpoint | None) -> Row:
    if os.environ.get(variable(name)) == OFF:
        return Row(name, "stopped", None, f"{variable(name)} is {OFF}")
    wrong = None if endpoint is None else failure(endpoint)
    if endpoint is not None and wrong is None:
        return Row(name, "running", endpoint.url, "")
    if endpoint is not None and not endpoint.ours:
        return Row(name, "stopped", endpoint.url, f"{variable(name)} is set: {wrong}")
    if find(server.source) is None:
        return Row(name, "missing", None, server.source.how())
    command = (
        f"python -m tools.services start {server.name}" if server.on_demand else "make services"
    )
    return Row(name, "stopped", None, command)
