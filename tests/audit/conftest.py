"""A store of audited entities on each backend, emptied for each test."""

import pytest

from audited_entities import BACKENDS, audited_store
from holdfast.audit import AuditLog, Sequencer, SignerKey
from servers import empty_store


@pytest.fixture(scope="module", params=BACKENDS)
def url(request, tmp_path_factory):
    with empty_store(request.param, tmp_path_factory.mktemp("audit")) as found:
        yield found


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
