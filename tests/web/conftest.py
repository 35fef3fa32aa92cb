"""A platform's application in this process, and callers of it."""

from contextlib import asynccontextmanager

import pytest

from holdfast.access import ApiKeys
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import client_of


def in_memory(folder):
    """Return the settings of a platform that keeps all but its key files in memory."""
    return Settings(data=folder / "data", storage={"type": "memory"}, bucket="memory://")


@pytest.fixture
def settings(tmp_path):
    return in_memory(tmp_path)


@pytest.fixture(scope="module")
def shared_settings(tmp_path_factory):
    """The settings of a platform for all tests of a module: one takes 0.6 s of CPU to open."""
    return in_memory(tmp_path_factory.mktemp("shared"))


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


@pytest.fixture(scope="module")
async def shared_api(shared_settings):
    """The same for all tests of a module, with what the ones before have left."""
    async with platform_client(shared_settings) as client:
        yield client


def keys_of(client) -> ApiKeys:
    return client.app.state.gate.keys


def bearing(secret):
    return {"Authorization": f"Bearer {secret}"}
