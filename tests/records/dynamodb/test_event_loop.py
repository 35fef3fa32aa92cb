"""No call blocks the event loop: each answer of the service is held back until the loop has turned.

A call that waited on the loop's own thread would wait for ever for what only the loop can do.
"""

import asyncio
import threading
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from dynamodb_proxy import proxy_before
from dynamodb_servers import REGION, endpoint_of
from holdfast import Entity, Field, field, key, open_store, ref, sync, version
from holdfast.errors import DuplicateError, UnavailableError
from holdfast.records.options import DynamoDBOptions

pytestmark = pytest.mark.anyio
TURNS = 3
PATIENCE = 20.0  # seconds that an answer is held back at the most, on a loop that stands


class Camera(Entity, table="cameras"):
    id: Field[str] = key(max_length=50)
    name: Field[str] = field(unique=True, max_length=50)
    version: Field[int] = version()


class Frame(Entity, table="frames", indexes=[("camera", "number")]):
    id: Field[str] = key(max_length=50)
    camera: Field[str] = ref(Camera, on_delete="cascade")
    number: Field[int] = field(default=0)
    taken: Field[datetime] = field(default=datetime(2026, 1, 1, tzinfo=UTC))
    note: Field[str] = field(default="")


class Turns:
    """Counts the turns of an event loop for those who hold answers back on other threads."""

    def __init__(self):
        self.count = 0
        self.held = 0
        self.stuck = 0
        self.changed = threading.Condition()

    async def turn(self):
        while True:
            with self.changed:
                self.count += 1
                self.changed.notify_all()
            await asyncio.sleep(0.001)

    def hold(self, handler, _request):
        """Answer what the emulator does, once the loop has turned a few times."""
        answer = handler.unread()
        with self.changed:
            enough = self.count + TURNS
            self.held += 1
            if not self.changed.wait_for(lambda: self.count >= enough, PATIENCE):
                self.stuck += 1
        handler.answer(*answer)


@asynccontextmanager
async def turning():
    turns = Turns()
    task = asyncio.create_task(turns.turn())
    try:
        yield turns
    finally:
        task.cancel()


@asynccontextmanager
async def watched():
    """Yield a store all of whose answers are held back, and what counts the loop's turns."""
    with proxy_before(endpoint_of("dynoxide")) as proxy:
        async with turning() as turns:
            proxy.always = turns.hold
            url = f"dynamodb://{REGION}/loop{uuid4().hex}"
            options = DynamoDBOptions(endpoint_url=proxy.url, scan=True, read_timeout=PATIENCE * 2)
            async with open_store(url, [Camera, Frame], options=options) as store:
                await store.create_schema()
                yield store, turns
                await store.drop_schema()


async def test_no_verb_blocks_the_loop():
    async with watched() as (store, turns):
        cameras, frames = store.repository(Camera), store.repository(Frame)
        north = await cameras.add(Camera(id="c1", name="north"))
        with pytest.raises(DuplicateError):
            await cameras.add(Camera(id="c2", name="north"))
        await frames.add_many([Frame(id=f"f{n}", camera="c1", number=n) for n in range(40)])
        await frames.add_many([Frame(id=f"g{n}", camera="c1") for n in range(60)], atomic=False)
        await frames.get("f1")
        await frames.get_many([f"f{n}" for n in range(40)])
        found = frames.find(Frame.camera == "c1", order_by=Frame.number.asc(), limit=5)
        assert [each.number for each in await found] == [0] * 5
        page = await frames.page(size=7, total=True)
        await frames.page(size=7, cursor=page.next)
        assert len([each async for each in frames.stream(batch=11)]) == 100
        await frames.explain(Frame.camera == "c1")
        assert await frames.count(Frame.note.endswith("x")) == 0
        await frames.patch("f1", Frame.number.increment(1))
        await frames.update_where(Frame.number == 5, changes=Frame.note.to("five"))
        await frames.upsert(Frame(id="f2", camera="c1", note="again"))
        north.name = "south"
        await cameras.update(north)
        await cameras.upsert(Camera(id="c3", name="west"), on=Camera.name)
        await frames.delete("f3")
        async with store.transaction():
            await frames.patch("f4", Frame.note.to("x"))
            await cameras.get("c1")
        await asyncio.gather(*(frames.patch("f6", Frame.number.increment(1)) for _ in range(8)))
        assert await cameras.delete("c3")
        await store.health()
        assert turns.held > 50
        assert not turns.stuck
        assert store.stats().counters["requests"] == turns.held


async def test_a_call_that_stood_in_the_loop_would_be_seen():
    with proxy_before(endpoint_of("dynoxide")) as proxy:
        async with turning() as turns:
            proxy.always = turns.hold
            options = DynamoDBOptions(endpoint_url=proxy.url, read_timeout=0.5, attempts=1)
            with sync.open_store(f"dynamodb://{REGION}/x", [Camera], options=options) as store:
                with pytest.raises(UnavailableError):
                    store.repository(Camera).get("c1")
