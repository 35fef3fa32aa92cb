"""A platform's application in this process, and callers of it."""

from contextlib import asynccontextmanager

import pytest

from holdfast.access import ApiKeys
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import client_of


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def settings(tmp_path):
    return Settings(data=tmp_path / "data", storage={"type": "memory"}, bucket="memory://")


@asynccontextmanager
async def platform_client(settings, **options):
    """Yield a client of the platform, and the keys of its callers."""
    app = create_application(settings, ServeOptions(**{"work": False, **options}))
    async with client_of(app, headers={"Host": "localhost"}) as client:
        client.app = app
        yield client


@pytest.fixture
async def api(settings):
    """Yield a client that needs no key."""
    async with platform_client(settings) as client:
        yield client


def keys_of(client) -> ApiKeys:
    return client.app.state.gate.keys


def bearing(secret):
    return {"Authorization": f"Bearer {secret}"}
