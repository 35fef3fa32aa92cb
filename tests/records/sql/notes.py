"""What the tests of servers store, and the sessions that they have there."""

from contextlib import contextmanager
from datetime import datetime
from urllib.parse import urlsplit

import pymysql
from pymysql.constants import ER

from holdfast import Entity, Field, created_at, field, generated_key, key, open_store, sync, version
from servers import connected


class Note(Entity, table="notes"):
    id: Field[str] = key()
    batch: Field[int] = field(default=0)
    text: Field[str] = field(default="")
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()


class Counter(Entity, table="counters"):
    id: Field[int] = key()
    total: Field[int] = field(default=0)


class Ticket(Entity, table="tickets"):
    id: Field[int] = generated_key()
    text: Field[str] = field(default="")


ENTITIES = [Note, Counter, Ticket]


def sessions(url):
    """Return the ids of the sessions that others have in the database of *url*."""
    with connected(url) as connection, connection.cursor() as cursor:
        if url.startswith("postgresql"):
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        else:
            # MySQL's table of the same name copies all statements into three-byte UTF-8 first,
            # which fails while any session on the server has an emoji in its own.
            connection.use_unicode = False  # what others say may have bytes that are no text
            cursor.execute("SHOW PROCESSLIST")
            own, database = connection.thread_id(), urlsplit(url).path[1:].encode()
            return [row[0] for row in cursor.fetchall() if row[3] == database and row[0] != own]
        return [row[0] for row in cursor.fetchall()]


@contextmanager
def already_ended():
    """Pass over a session that the server knows no longer: it ended after it was listed."""
    try:
        yield
    except pymysql.OperationalError as error:
        if error.args[0] != ER.NO_SUCH_THREAD:
            raise


def end_sessions(url):
    """End the sessions of all others in the database of *url*; return how many they were."""
    found = sessions(url)
    with connected(url) as connection, connection.cursor() as cursor:
        for each in found:
            if url.startswith("postgresql"):
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (each,))
            else:
                with already_ended():
                    cursor.execute(f"KILL CONNECTION {each}")
    return len(found)


async def reach(url, how):
    """Open and use a store at *url*, awaited or blocking; return how many notes there are."""
    if how == "blocking":
        with sync.open_store(url, ENTITIES) as store:
            store.create_schema()
            return store.repository(Note).count()
    async with open_store(url, ENTITIES) as store:
        await store.create_schema()
        return await store.repository(Note).count()
