"""One database of the session on each real server; each test leaves it empty."""

import pytest

from holdfast.records.conformance.sample_entities import SCHEMA
from servers import database_on, execute, url_of


@pytest.fixture(scope="session")
def postgresql_url():
    with database_on("postgresql") as url:
        yield url


@pytest.fixture(scope="session")
def pgbouncer_url(postgresql_url):
    return f"{url_of('pgbouncer').rpartition('/')[0]}/{postgresql_url.rpartition('/')[2]}"


@pytest.fixture(scope="session")
def mariadb_url():
    with database_on("mariadb") as url:
        yield url
    drop_schema_of_the_suite("mariadb")


@pytest.fixture(scope="session")
def mysql_url():
    with database_on("mysql") as url:
        yield url
    drop_schema_of_the_suite("mysql")


def drop_schema_of_the_suite(server):
    """Drop the database that the suite's entities name: it is the whole server's.

    Tables that another worker has yet may refer to it.
    """
    unchecked = "SET SESSION foreign_key_checks = 0"
    execute(url_of(server), unchecked, f"DROP DATABASE IF EXISTS {SCHEMA}")


@pytest.fixture(scope="session")
def toxiproxy_server():
    return url_of("toxiproxy")
