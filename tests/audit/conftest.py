"""A store of audited entities on each backend, emptied for each test."""

from contextlib import ExitStack

import pytest

from audited_entities import BACKENDS, audited_store
from clock import Clock
from holdfast.audit import AuditLog, Sequencer, SignerKey
from servers import database_on


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="module", params=BACKENDS)
def url(request, tmp_path_factory):
    with ExitStack() as stack:
        match request.param:
            case "memory":
                yield "memory://"
            case "sqlite":
                yield f"sqlite:///{tmp_path_factory.mktemp('audit')}/a.db"
            case server:
                yield stack.enter_context(database_on(server))


@pytest.fixture
async def store(url, clock):
    async with audited_store(url, clock=clock) as store:
        yield store


@pytest.fixture
def log(store):
    return AuditLog(store)


@pytest.fixture(scope="session")
def signer():
    return SignerKey.generate("test.example/audit")


@pytest.fixture
def sequencer(store, signer):
    return Sequencer(store, signer, origin="test.example/audit")
