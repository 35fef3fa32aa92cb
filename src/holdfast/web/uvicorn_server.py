"""Runs the platform's application under uvicorn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import uvicorn

from holdfast.platform import open_platform
from holdfast.settings import read_settings
from holdfast.settings.backend_options import login_provider
from holdfast.web.platform_application import create_application, require_a_key
from holdfast.web.serve_options import ServeOptions, hand_on, handed_on

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from holdfast.settings import Settings

GRACE = 30  # seconds that requests have to end in, once the server was told to stop
MOST_CONNECTIONS = 2_000


def make_application() -> ASGIApp:
    """Return the application, as the options that were handed on say; for uvicorn's processes."""
    options = handed_on()
    return create_application(read_settings(data=options.data_folder), options)


def check_start(settings: Settings, options: ServeOptions) -> None:
    """Raise ConfigurationError where the server would not start, so that it is said in one line.

    That is when a part of the platform can't be opened, and when keys are asked for but nobody
    could come in, neither by one nor by an OpenID provider.
    """
    asyncio.run(_check_start(settings, options))


async def _check_start(settings: Settings, options: ServeOptions) -> None:
    async with open_platform(settings) as platform:
        await require_a_key(platform, options)
        login_provider(settings)


def serve(options: ServeOptions) -> None:
    """Serve until SIGINT or SIGTERM; requests that run are answered first, for GRACE seconds."""
    hand_on(options)
    uvicorn.run(
        "holdfast.web.uvicorn_server:make_application",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.processes,
        reload=options.reload,
        http="holdfast.web.bounded_protocol:BoundedProtocol",
        ws="none",
        lifespan="on",
        server_header=False,
        access_log=False,
        log_level="warning",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE,
    )
