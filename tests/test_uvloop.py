"""The pillars on their servers, in the event loop that uvicorn takes where it is installed."""

import uuid
from urllib.parse import urlsplit

import pytest

from holdfast import Entity, Field, key, open_bucket, open_cache, open_store
from servers import database_on, url_of

uvloop = pytest.importorskip("uvloop")


class Note(Entity, table="notes"):
    id: Field[int] = key()
    text: Field[str]


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_records_on_a_server(server):
    async def use(url):
        async with open_store(url, [Note]) as store:
            await store.create_schema()
            notes = store.repository(Note)
            async with store.transaction():
                await notes.add(Note(id=1, text="a"))
            assert (await notes.get_one(1)).text == "a"

    with database_on(server) as url:
        uvloop.run(use(url))


def test_a_cache_on_a_server():
    async def use():
        async with open_cache(url_of("redis")) as cache:
            name = f"uvloop-{uuid.uuid4().hex}"
            await cache.set(name, "a", ttl=10)
            assert await cache.get(name) == "a"

    uvloop.run(use())


def test_objects_on_a_server(monkeypatch):
    server = urlsplit(url_of("minio"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.username)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.password)
    place = f"http://{server.hostname}:{server.port}"

    async def use():
        url = f"s3://holdfast-{uuid.uuid4().hex[:16]}?endpoint_url={place}&create=true"
        async with open_bucket(url) as bucket:
            await bucket.put("a", b"x" * 1_000_000)
            assert len(await bucket.get("a")) == 1_000_000

    uvloop.run(use())
