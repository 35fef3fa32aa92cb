"""Real servers: each test gets the URL of a database of its own, or is skipped with the reason.

`HOLDFAST_TEST_<NAME>_URL` says where a server is; else the ones that `make services` started are
used. With `HOLDFAST_REQUIRE_SERVERS=1` a missing server is a failure.
"""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

STATE = Path(__file__).parents[3] / ".services" / "services.json"


@pytest.fixture(scope="session")
def postgresql_server():
    return _server("postgresql")


@pytest.fixture(scope="session")
def pgbouncer_server():
    return _server("pgbouncer")


@pytest.fixture(scope="session")
def mariadb_server():
    return _server("mariadb")


@pytest.fixture(scope="session")
def toxiproxy_server():
    return _server("toxiproxy")


@pytest.fixture(scope="session")
def postgresql_url(postgresql_server):
    psycopg = pytest.importorskip("psycopg")
    name = f"sql_{uuid4().hex}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        yield f"{postgresql_server.rpartition('/')[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def pgbouncer_url(pgbouncer_server, postgresql_url):
    return f"{pgbouncer_server.rpartition('/')[0]}/{postgresql_url.rpartition('/')[2]}"


@pytest.fixture(scope="session")
def mariadb_url(mariadb_server):
    pymysql = pytest.importorskip("pymysql")
    name = f"sql_{uuid4().hex}"
    parts = urlsplit(mariadb_server)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        password=parts.password or "",
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{mariadb_server.rpartition('/')[0]}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


def _server(name):
    url = os.environ.get(f"HOLDFAST_TEST_{name.upper()}_URL")
    if url is None and STATE.exists():
        url = json.loads(STATE.read_text())["servers"].get(name, {}).get("urls", {}).get(name)
    if url:
        return url
    reason = f"no {name} was found: `make services` starts one"
    if os.environ.get("HOLDFAST_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
