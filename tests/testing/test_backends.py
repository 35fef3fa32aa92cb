"""The fixture of backends, as a user's conftest.py has it."""

import pytest

from holdfast import Entity, Field, field, generated_key, open_bucket, open_cache, open_store, ref
from holdfast.audit import AuditHook, AuditLog
from holdfast.errors import ConfigurationError
from holdfast.sync import open_store as open_blocking
from holdfast.testing import REQUIRED, VARIABLES, backends_fixture, fresh_database
from servers import url_of

pytestmark = pytest.mark.anyio


class Shelf(Entity, table="shelves"):
    id: Field[int] = generated_key()
    name: Field[str] = field(max_length=20, unique=True)


class Book(Entity, table="books"):
    id: Field[int] = generated_key()
    shelf_id: Field[int] = ref(Shelf)


class Loan(Entity, table="loans", audited=True):
    id: Field[int] = generated_key()
    reader: Field[str] = field(max_length=20)


ENTITIES = [Shelf, Book]
backends = backends_fixture(ENTITIES)
on_servers = backends_fixture([Shelf], kinds=["servers"])
audited = backends_fixture([Loan], hooks=[AuditHook()])
others = backends_fixture([], kinds=["servers"])  # that no other test has made yet


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_finds_the_backends_empty(backends, turn):
    async with (
        open_store(backends.store, ENTITIES) as store,
        open_bucket(backends.bucket) as bucket,
        open_cache(backends.cache) as cache,
    ):
        assert store.driver.name == ("sqlite" if backends.kind == "embedded" else "postgresql")
        assert await store.repository(Shelf).count() == 0
        shelf = await store.repository(Shelf).add(Shelf(name="one"))
        await store.repository(Book).add(Book(shelf_id=shelf.id))
        assert [info.key async for info in bucket.list()] == []
        await bucket.put("k", b"x")
        assert await cache.get("k") is None
        await cache.set("k", "x")
    assert backends.store == backends.store


def test_what_was_made_goes_when_it_is_cleared(on_servers):
    with open_blocking(on_servers.store, [Shelf]) as store:
        store.repository(Shelf).add(Shelf(name="one"))
        on_servers.clear()
        assert store.repository(Shelf).count() == 0


@pytest.mark.parametrize("turn", [1, 2])
def test_what_hooks_keep_has_tables_and_is_emptied_too(audited, turn):
    with open_blocking(audited.store, [Loan], hooks=[AuditHook()]) as store:
        log = AuditLog(store.asynchronous)
        assert store.run(log.search()).items == []
        store.repository(Loan).add(Loan(reader="ann"))
        assert [each.verb for each in store.run(log.search())] == ["add"]


def test_the_named_places_are_never_used_themselves(on_servers):
    assert "/holdfast_test_" in on_servers.store
    assert "/holdfast_test_" not in url_of("postgresql")
    assert on_servers.bucket.startswith("s3://holdfast-fixture-")
    assert "prefix=test-" in on_servers.cache


def test_a_database_of_ones_own_is_dropped_at_the_end():
    with fresh_database(url_of("mariadb")) as url:
        with open_blocking(url, [Shelf]) as store:
            store.create_schema()
    with pytest.raises(Exception, match="holdfast_test_"):
        with open_blocking(url, [Shelf]):
            pass
    with (
        pytest.raises(ConfigurationError, match="expected postgresql"),
        fresh_database("memory://"),
    ):
        pass
    with pytest.raises(ConfigurationError, match="kinds="):
        backends_fixture([Shelf], kinds="embedded")


def test_a_server_that_is_not_named_is_a_skip_or_a_failure(others, monkeypatch):
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable)
    for required, outcome in (("0", pytest.skip.Exception), ("1", pytest.fail.Exception)):
        monkeypatch.setenv(REQUIRED, required)
        for part, variable in VARIABLES.items():
            with pytest.raises(outcome, match=f"{variable} is not set"):
                getattr(others, part)
