"""Runs the platform's application under uvicorn."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import uvicorn

from holdfast.errors import ConfigurationError
from holdfast.platform import open_platform
from holdfast.settings import read_settings
from holdfast.settings.backend_options import login_provider
from holdfast.web.platform_application import create_application, require_a_key
from holdfast.web.serve_options import ServeOptions, hand_on, handed_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from holdfast.settings import Settings

GRACE = 30  # seconds that requests have to end in, once the server was told to stop
MOST_CONNECTIONS = 2_000
_APPLICATION = "holdfast.web.uvicorn_server:make_application"


def make_application() -> ASGIApp:
    """Return the application, as the options that were handed on say; for uvicorn's processes."""
    options = handed_on()
    return create_application(read_settings(data=options.data_folder), options)


def check_start(settings: Settings, options: ServeOptions) -> None:
    """Raise ConfigurationError where the server would not start, so that it is said in one line.

    That is when a part of the platform can't be opened, when keys are asked for but nobody could
    come in, neither by one nor by an OpenID provider, and when the port is taken.
    """
    _check_port(options.host, options.port)
    asyncio.run(_check_start(settings, options))


async def _check_start(settings: Settings, options: ServeOptions) -> None:
    async with open_platform(settings) as platform:
        await require_a_key(platform, options)
        login_provider(settings)


def _check_port(host: str, port: int) -> None:
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            tried.bind(place)
    except OSError as error:
        raise ConfigurationError(
            f"nothing can listen on {host}:{port}: {error.strerror}; --port takes another"
        ) from error


class AnnouncingServer(uvicorn.Server):
    """A server that calls *announce* once connections are taken."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started:
            self._announce()


def serve(options: ServeOptions, announce: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; requests that run are answered first, for GRACE seconds.

    *announce* is called once connections are taken; with several processes, or one that is started
    again when code changes, before they are started.
    """
    hand_on(options)
    if options.processes > 1 or options.reload:
        announce()
        uvicorn.run(_APPLICATION, **_settings(options))
        return
    server = AnnouncingServer(uvicorn.Config(_APPLICATION, **_settings(options)), announce)
    with suppress(KeyboardInterrupt):  # the server has ended in good order by then
        server.run()
    if not server.started:
        raise SystemExit(1)  # the log says why


def _settings(options: ServeOptions) -> dict[str, Any]:
    return {
        "factory": True,
        "host": options.host,
        "port": options.port,
        "workers": options.processes,
        "reload": options.reload,
        "http": "holdfast.web.bounded_protocol:BoundedProtocol",
        "ws": "none",
        "lifespan": "on",
        "server_header": False,
        "access_log": False,
        "log_level": "warning",
        "limit_concurrency": MOST_CONNECTIONS,
        "timeout_keep_alive": 30,
        "timeout_graceful_shutdown": GRACE,
    }
