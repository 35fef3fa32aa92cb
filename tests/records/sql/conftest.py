"""One database of the session on each real server; each test leaves it empty."""

import pytest

from servers import database_on, url_of


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


@pytest.fixture(scope="session")
def mysql_url():
    with database_on("mysql") as url:
        yield url


@pytest.fixture(scope="session")
def toxiproxy_server():
    return url_of("toxiproxy")
