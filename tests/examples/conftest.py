import sys
from pathlib import Path

import httpx
import pytest

from holdfast.audit import AuditHook
from holdfast.jobs import Jobs, Worker
from holdfast.testing import backends_fixture
from named_servers import named_servers

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "video-service"))

from vidsvc.app import create_app
from vidsvc.models import ENTITIES
from vidsvc.work import handlers

backends = backends_fixture(ENTITIES, hooks=[AuditHook()])


@pytest.fixture(scope="module", autouse=True)
def servers():
    with named_servers():
        yield


@pytest.fixture
async def client(backends):
    app = create_app(backends.store, backends.bucket, backends.cache, worker=False)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):

        async def work():
            jobs = Jobs(app.state.holdfast.store)
            return await Worker(jobs, handlers(app)).run(until="idle")

        client.work, client.services = work, app.state.holdfast
        yield client
