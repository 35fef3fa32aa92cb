"""What other libraries promise or test of themselves, asked of Holdfast in its own words.

`docs/explanation/peers.md` has the whole list; here is what no other test asks.
"""

import asyncio
import re
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from clock import Clock
from dynamodb_servers import store_url
from holdfast import Entity, Field, Many, field, key, many, open_bucket, open_store, ref, uuid7
from holdfast.jobs import JOB_ENTITIES, EnqueueOptions, Jobs, Limit, NewJob
from servers import database_on, empty_store

pytestmark = pytest.mark.anyio
CHECKOUT = Path(__file__).parents[1]
PAGE = CHECKOUT / "docs" / "explanation" / "peers.md"
EVERYWHERE = ["memory", "sqlite", "postgresql", "mariadb", "mysql", "dynamodb"]


class PeerAuthor(Entity, table="peer_authors"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=100)
    books: Many["PeerBook"] = many(via="author_id")


class PeerBook(Entity, table="peer_books"):
    id: Field[UUID] = key(default_factory=uuid7)
    author_id: Field[UUID] = ref(PeerAuthor, on_delete="cascade")
    title: Field[str] = field(max_length=100)


@pytest.fixture(params=EVERYWHERE)
def url(request, tmp_path):
    if request.param == "dynamodb":
        yield store_url("dynoxide", f"peers{uuid4().hex[:8]}", scan=True)
    else:
        with empty_store(request.param, tmp_path) as found:
            yield found


@pytest.fixture
async def store(url):
    async with open_store(url, [PeerAuthor, PeerBook]) as store:
        await store.create_schema()
        yield store


async def test_an_update_leaves_what_points_at_the_row_whether_it_was_loaded_or_not(store):
    authors, books = store.repository(PeerAuthor), store.repository(PeerBook)
    author = await authors.add(PeerAuthor(name="first"))
    await books.add_many([PeerBook(author_id=author.id, title=title) for title in ("a", "b")])
    author.name = "second"
    await authors.update(author)
    loaded = await authors.get_one(author.id, load=[PeerAuthor.books])
    loaded.name = "third"
    loaded.books.clear()
    await authors.update(loaded)
    found = await authors.get_one(author.id, load=[PeerAuthor.books])
    assert found.name == "third"
    assert sorted(book.title for book in found.books) == ["a", "b"]


async def test_of_keys_that_are_given_twice_or_are_not_there_only_rows_are_counted(store):
    authors = store.repository(PeerAuthor)
    one, two = (await authors.add_many([PeerAuthor(name="1"), PeerAuthor(name="2")])).results
    assert await authors.delete_many([one.id, uuid7(), one.id]) == 1
    assert [each.id for each in await authors.get_many([two.id])] == [two.id]


@pytest.fixture(params=EVERYWHERE)
async def jobs_and_clock(request, tmp_path):
    clock = Clock()
    if request.param == "dynamodb":
        async with open_store(
            store_url("dynoxide", f"peers{uuid4().hex[:8]}", scan=False), JOB_ENTITIES, clock=clock
        ) as store:
            await store.create_schema()
            yield Jobs(store, chance=lambda: 0.0), clock
        return
    with empty_store(request.param, tmp_path) as url:
        async with open_store(url, JOB_ENTITIES, clock=clock) as store:
            await store.create_schema()
            yield Jobs(store, chance=lambda: 0.0), clock


async def test_jobs_of_one_key_start_one_at_a_time_in_their_order_though_one_fails_or_dies(
    jobs_and_clock,
):
    jobs, clock = jobs_and_clock
    await jobs.limits.set(Limit(queue="default", key_concurrency=1))
    for name in "abcd":
        options = EnqueueOptions(limit_key="file", max_attempts=1, priority=int(name == "d"))
        await jobs.enqueue("write", {"name": name}, options=options)
        clock.forward(seconds=1)

    async def start():
        (claim,) = await jobs.claim_many("w", 9)
        assert await jobs.claim_many("other", 9) == []
        return claim

    def named(claim):
        return claim.job.payload["name"]

    urgent = await start()
    assert named(urgent) == "d"
    await jobs.complete(urgent)
    failing = await start()
    assert named(failing) == "a"
    await jobs.fail(failing, "it was not to be")
    assert named(await start()) == "b"
    clock.forward(minutes=10)  # its worker died: nobody has to release what it held
    assert named(await start()) == "c"


@pytest.mark.parametrize("server", ["postgresql", "mariadb", "mysql"])
async def test_nobody_claims_a_job_before_the_transaction_that_makes_it_is_committed(server):
    with database_on(server) as url:
        async with open_store(url, JOB_ENTITIES) as mine, open_store(url, JOB_ENTITIES) as others:
            await mine.create_schema()
            async with mine.transaction():
                await Jobs(mine).enqueue_many([NewJob("t")])
                assert await Jobs(others).claim_many("w", 1) == []
            assert len(await Jobs(others).claim_many("w", 1)) == 1


@pytest.mark.parametrize("size", [10, 6 << 20])
@pytest.mark.parametrize("place", ["memory", "file"])
async def test_of_many_who_put_one_object_at_once_one_is_there_whole(place, size, tmp_path):
    url = "memory://" if place == "memory" else f"file://{tmp_path}"
    contents = [bytes([number]) * size for number in range(4)]
    async with open_bucket(url) as bucket:
        infos = await asyncio.gather(*(bucket.put("k", content) for content in contents))
        assert await bucket.get("k") in contents
        last = await bucket.head("k")
        assert last is not None
        assert last.etag in {info.etag for info in infos}


def test_the_page_of_peers_names_rules_and_tests_that_there_are():
    text = PAGE.read_text(encoding="utf-8")
    rules = (CHECKOUT / "docs" / "semantics.md").read_text(encoding="utf-8")
    cited = set(re.findall(r"\b[A-Z]{2,}-\d+\b", text)) - {"RFC-3986"}
    assert cited
    assert {each for each in cited if f"**{each}**" not in rules} == set()
    sources = [*(CHECKOUT / "tests").rglob("*.py"), *(CHECKOUT / "src").rglob("*_cases.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    tests = set(re.findall(r"`(test_\w+)`", text))
    assert tests
    assert {each for each in tests if f"def {each}(" not in code} == set()
