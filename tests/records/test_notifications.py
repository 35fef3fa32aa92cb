import asyncio
import contextlib

import pytest

from forking import forked
from holdfast import open_store, sync
from holdfast.errors import ConfigurationError, InvalidQueryError
from holdfast.records import Entity, Field, key
from servers import database_on, execute, url_of

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def postgresql():
    with database_on("postgresql") as url:
        yield url


class Note(Entity, table="notes"):
    id: Field[int] = key()


class Ear:
    """Hears what is told, and waits for it."""

    def __init__(self):
        self.heard = []
        self.more = asyncio.Event()

    def __call__(self, text):
        self.heard.append(text)
        self.more.set()

    async def until(self, *texts):
        """Wait until all that was heard, since the last such wait, is *texts*."""
        async with asyncio.timeout(60):
            while len(self.heard) < len(texts):
                self.more.clear()
                await self.more.wait()
        assert self.heard == list(texts)
        self.heard.clear()


async def test_listeners_of_the_store_hear_at_once_what_was_committed_and_nothing_else():
    async with open_store("memory://", [Note]) as store:
        ear = Ear()
        async with store.listening("notes", ear):
            await store.notify("notes", "alone")
            assert ear.heard == ["alone"]
            async with store.transaction():
                await store.notify("notes", "committed")
                with contextlib.suppress(ZeroDivisionError):
                    async with store.transaction():
                        await store.notify("notes", "undone in part")
                        raise ZeroDivisionError
                assert ear.heard == ["alone"]
            with contextlib.suppress(ZeroDivisionError):
                async with store.transaction():
                    await store.notify("notes", "undone")
                    raise ZeroDivisionError
            await store.notify("others", "elsewhere")
            assert ear.heard == ["alone", "committed"]
        await store.notify("notes", "later")
        assert ear.heard == ["alone", "committed"]


async def test_other_stores_hear_once_what_was_committed_and_the_teller_does_not_hear_itself(
    postgresql,
):
    async with open_store(postgresql, [Note]) as here, open_store(postgresql, [Note]) as there:
        near, far = Ear(), Ear()
        async with here.listening("notes", near), there.listening("notes", far):
            await near.until(None)
            await far.until(None)
            with contextlib.suppress(ZeroDivisionError):
                async with here.transaction():
                    await here.notify("notes", "undone")
                    raise ZeroDivisionError
            async with here.transaction():
                await here.notify("notes", "it's", "so")
            await far.until("it's", "so")
            await there.notify("notes", "answer")
            await near.until("it's", "so", "answer")


async def test_the_same_text_told_often_goes_to_the_server_once(postgresql, monkeypatch):
    async with open_store(postgresql, [Note]) as here, open_store(postgresql, [Note]) as there:
        ear, sent = Ear(), []
        notify = here.driver.notify

        async def counted(channel, texts):
            sent.append(texts)
            await notify(channel, texts)

        monkeypatch.setattr(here.driver, "notify", counted)
        async with there.listening("notes", ear):
            await ear.until(None)
            for _ in range(100):
                await here.notify("notes", "again")
            await ear.until("again")
    assert len(sent) == 1


async def test_a_listener_whose_connection_is_lost_is_told_so_and_listens_again(postgresql, caplog):
    ends = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )
    async with open_store(postgresql, [Note]) as here, open_store(postgresql, [Note]) as there:
        ear = Ear()
        async with there.listening("notes", ear):
            await ear.until(None)
            assert len(await asyncio.to_thread(execute, postgresql, ends)) == 1
            await ear.until(None)
            await here.notify("notes", "back")
            await ear.until("back")
    assert "listening on notes again" in caplog.text


async def test_nothing_is_left_of_a_store_that_is_closed_and_its_last_word_is_heard(postgresql):
    sessions = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name = 'brief' AND datname = current_database()"
    )
    before = asyncio.all_tasks()
    async with open_store(postgresql, [Note]) as there:
        ear = Ear()
        async with there.listening("notes", ear):
            await ear.until(None)
            async with open_store(f"{postgresql}?application_name=brief", [Note]) as here:
                leaving = here.listening("notes", Ear())
                await leaving.__aenter__()
                await here.notify("notes", "last")
            await ear.until("last")
            async with asyncio.timeout(60):  # a session ends a moment after its connection
                while await asyncio.to_thread(execute, postgresql, sessions) != [(0,)]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before


async def test_a_blocking_store_tells_others_and_hears_nothing(postgresql):
    def tell():
        with sync.open_store(postgresql, [Note]) as store:
            with store.transaction():
                store.notify("notes", "from a thread")
            with pytest.raises(ConfigurationError, match="hears nothing"):
                store.asynchronous.listening("notes", Ear())

    async with open_store(postgresql, [Note]) as there:
        ear = Ear()
        async with there.listening("notes", ear):
            await ear.until(None)
            await asyncio.to_thread(tell)
            await ear.until("from a thread")


async def test_without_notify_and_behind_pgbouncer_a_store_hears_itself_alone(postgresql):
    quiet = f"{postgresql}?notify=false"
    bouncer, database = url_of("pgbouncer").rpartition("/")[0], postgresql.rpartition("/")[2]
    pooled = f"{bouncer}/{database}?pgbouncer=true"
    async with (
        open_store(postgresql, [Note]) as there,
        open_store(quiet, [Note]) as silent,
        open_store(pooled, [Note]) as deaf,
    ):
        far, own, other = Ear(), Ear(), Ear()
        async with (
            there.listening("notes", far),
            silent.listening("notes", own),
            deaf.listening("notes", other),
        ):
            await far.until(None)
            await silent.notify("notes", "unheard")
            await own.until("unheard")
            await deaf.notify("notes", "told all the same")
            await far.until("told all the same")
            await there.notify("notes", "loud")
            await deaf.notify("notes", "end")
            await far.until("loud", "end")
            await other.until("told all the same", "end")
            await own.until()


def test_a_forked_child_tells_its_parent_and_begins_afresh(postgresql):
    forked(
        """
import asyncio
from contextvars import Context
from holdfast import open_store
from holdfast.records import Entity, Field, key

class Note(Entity, table="notes"):
    id: Field[int] = key()

async def main(url):
    async with open_store(url, [Note]) as store:
        heard, more = [], asyncio.Event()

        def hear(text):
            heard.append(text)
            more.set()

        async with store.listening("notes", hear):
            await more.wait()

            async def tell():
                await store.notify("notes", "from the child")
                await store.notifications.close()
                return heard

            def child():
                asyncio.set_event_loop(None)
                asyncio._set_running_loop(None)
                return Context().run(asyncio.run, tell())

            more.clear()
            assert in_child(child)() == [None]  # the parent's ears are not the child's
            async with asyncio.timeout(60):
                await more.wait()
            assert heard == [None, "from the child"]

asyncio.run(main(arguments[0]))
""",
        postgresql,
    )


async def test_a_channel_and_a_text_that_no_server_takes_are_refused():
    async with open_store("memory://", [Note]) as store:
        refused = [("", "a"), ("c" * 64, "a"), ("\0", "a"), (None, "a")]
        refused += [("c", "t" * 7_001), ("c", "\0"), ("c", "\ud800"), ("c", 7), ("c", b"bytes")]
        for channel, text in refused:
            with pytest.raises(InvalidQueryError):
                await store.notify(channel, text)
