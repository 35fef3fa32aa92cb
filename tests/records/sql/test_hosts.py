"""The ways to say where a server is, and which of several is taken."""

import os
import shutil
import tempfile
from urllib.parse import quote
from uuid import uuid4

import pytest
import sqlalchemy as sa
from tools.services.mariadb import MARIADB
from tools.services.postgresql import POSTGRESQL

from holdfast import Entity, Field, generated_key, open_store, sync
from holdfast.errors import ConfigurationError, UnavailableError
from holdfast.integrations.sqlalchemy import sync as stepped
from holdfast.records.drivers.sql.connections.server_address import server_addresses
from holdfast.records.migrations.sync import Migrations
from holdfast.records.store_url import parse_store_url
from records.sql.notes import ENTITIES, reach
from records.sql.own_server import OwnServer
from servers import connected, database_on, execute, free_port


class Leaf(Entity, table="leaves_of_a_schema"):
    """An entity that no other test stores."""

    id: Field[int] = generated_key()


@pytest.fixture(params=["awaited", "blocking"])
def how(request):
    return request.param


@pytest.fixture(params=["postgresql", "mariadb", "mysql"])
def url(request):
    return request.getfixturevalue(f"{request.param}_url")


NAMES = {
    "postgresql": ["postgres", "postgresql+asyncpg", "postgresql+psycopg", "postgres+psycopg2"],
    "mariadb": ["mariadb+asyncmy", "mariadb+pymysql"],
    "mysql": ["mysql+asyncmy", "mysql+aiomysql", "mysql+pymysql"],
}


async def test_the_names_of_other_libraries_are_understood(url, how):
    scheme, _, rest = url.partition("://")
    for name in NAMES[scheme]:
        assert await reach(f"{name}://{rest}", how) == 0


async def test_those_of_sqlite_too(tmp_path, how):
    for name in ("sqlite+aiosqlite", "sqlite+pysqlite"):
        assert await reach(f"{name}:///{tmp_path}/a.db", how) == 0


@pytest.mark.parametrize("name", ["postgresql+pg8000", "sqlite+asyncpg", "oracle"])
def test_another_name_is_refused_with_the_known_ones(name):
    with pytest.raises(
        ConfigurationError, match=r"known are dynamodb://, mariadb://, .*sqlite://$"
    ):
        open_store(f"{name}://host/data", ENTITIES)


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("postgresql:///data", ["localhost:5432"]),
        ("postgresql://a:b@One,two:6000,[::1]:7000/data", ["one:5432", "two:6000", "::1:7000"]),
        ("postgresql:///data?host=one,two&port=99", ["one:99", "two:99"]),
        ("postgresql:///data?host=/run/postgresql", ["/run/postgresql"]),
        ("postgresql://a@%2Frun%2Fpg:6000/data", ["/run/pg"]),
        ("postgresql://a:p%40:ss@one:/data", ["one:5432"]),
    ],
)
def test_what_a_url_names(url, places):
    found, rest = server_addresses(parse_store_url(url), port=5432, user="u")
    assert [str(place) for place in found] == places
    assert rest.query == {}
    assert found[0].user == ("u" if ":///" in url else "a")


def test_a_password_is_taken_as_it_stands():
    found, _ = server_addresses(
        parse_store_url("postgresql://a:p%40:s%2Fs@one,two/data"), port=1, user="u"
    )
    assert {place.password for place in found} == {"p@:s/s"}


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1", "5432x", "٣", "99999999999999999999"])
@pytest.mark.parametrize("form", ["host:{}", "one,two:{}", "[::1]:{}"])
def test_a_port_that_is_none_is_refused(form, port):
    with pytest.raises(ConfigurationError, match="the port is not a number from 1 to 65535"):
        open_store(f"postgresql://{form.format(port)}/data", ENTITIES)


def test_a_host_is_named_once():
    with pytest.raises(ConfigurationError, match="in the URL and in"):
        open_store("postgresql://one/data?host=two", ENTITIES)


async def test_a_host_that_is_away_gives_way_to_the_next(url, how):
    scheme, _, rest = url.partition("://")
    login, _, place = rest.rpartition("@")
    one, other = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    assert await reach(f"{scheme}://{login}@{one},{place}", how) == 0
    database = place.partition("/")[2]
    with pytest.raises(UnavailableError, match=rf"(?s){one}.*; .*{other}"):
        await reach(f"{scheme}://{login}@{one},{other}/{database}", how)


async def test_a_password_that_is_refused_ends_the_search(url, how):
    scheme, _, rest = url.partition("://")
    place = rest.rpartition("@")[2]
    host = place.partition("/")[0]
    with pytest.raises(ConfigurationError, match="'nobody'"):
        await reach(f"{scheme}://nobody:wrong@{host},127.0.0.1:{free_port()}/nowhere", how)


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def read_only(request):
    """A server whose transactions can't write, and one that is like any other."""
    known = POSTGRESQL if request.param == "postgresql" else MARIADB
    # A database of its own, for migrations leave their table there.
    with database_on(request.param) as url, OwnServer(known) as server:
        database = url.rpartition("/")[2]
        own = f"{server.url.rpartition('/')[0]}/{database}"
        execute(server.url, f"CREATE DATABASE {database}")
        if known is POSTGRESQL:
            execute(server.url, f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        else:
            execute(server.url, "SET GLOBAL read_only = ON")
        yield own, url


def both(first, second, options):
    """The URL of two servers, with the login of the second."""
    host = first.rpartition("@")[2].partition("/")[0]
    scheme, _, rest = second.partition("://")
    login, _, place = rest.rpartition("@")
    return f"{scheme}://{login}@{host},{place}{options}"


async def test_the_first_that_is_of_the_kind_asked_for_is_taken(read_only, how):
    closed, open_ = read_only
    assert await reach(both(closed, open_, "?target_session_attrs=read-write"), how) == 0
    with pytest.raises(UnavailableError, match="not what target_session_attrs=read-only asks for"):
        await reach(f"{open_}?target_session_attrs=read-only", how)
    with pytest.raises(UnavailableError, match="not what target_session_attrs=read-write"):
        await reach(f"{closed}?target_session_attrs=read-write", how)


def test_migrations_go_to_the_one_that_can_be_written(read_only, tmp_path):
    closed, open_ = read_only
    migrations = Migrations(both(closed, open_, ""), [Leaf], folder=tmp_path / "migrations")
    migrations.create("first")
    assert migrations.upgrade().steps
    migrations.downgrade("base")


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def on_socket(request):
    """A server that is reached by a socket in the file system, and the socket's place."""
    known = POSTGRESQL if request.param == "postgresql" else MARIADB
    folder = tempfile.mkdtemp(prefix="holdfast-", dir="/tmp")  # a socket's path is short
    try:
        os.chmod(folder, 0o777)  # noqa: PTH101 - the server's user makes it
        place = folder if known is POSTGRESQL else f"{folder}/s"
        flags = ("-k", folder) if known is POSTGRESQL else (f"--socket={place}",)
        with OwnServer(known, *flags) as server:
            yield server, place
    finally:
        shutil.rmtree(folder)


async def test_a_socket_in_the_file_system_is_a_host(on_socket, how, tmp_path):
    server, place = on_socket
    scheme, _, rest = server.url.partition("://")
    login, _, where = rest.rpartition("@")
    database = where.partition("/")[2]
    quoted = quote(place, safe="")
    for url in (
        f"{scheme}://{login}@/{database}?host={place}&port={server.port}",
        f"{scheme}://{login}@{quoted}/{database}?port={server.port}",
    ):
        assert await reach(url, how) == 0
        assert Migrations(url, [], folder=tmp_path / "migrations").check() is not None
    with pytest.raises(ConfigurationError, match="'nowhere'"):
        await reach(f"{scheme}://{login}@{quoted}/nowhere?port={server.port}", how)
    with pytest.raises(UnavailableError, match="/nothing-here"):
        await reach(f"{scheme}://{login}@%2Fnothing-here/{database}", how)


async def test_the_server_lists_connections_under_the_name_given(postgresql_url, how):
    url = f"{postgresql_url}?application_name=of+the+test&pool_size=1"

    def names():
        with connected(postgresql_url) as connection:
            rows = connection.execute(
                "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
            )
            return {name for (name,) in rows}

    if how == "blocking":
        with sync.open_store(url, ENTITIES) as store:
            store.create_schema()
            assert "of the test" in names()
    else:
        async with open_store(url, ENTITIES) as store:
            await store.create_schema()
            assert "of the test" in names()


@pytest.mark.parametrize(("asked", "said"), [("", "off"), ("?jit=true", "on")])
def test_plans_are_compiled_only_where_that_is_asked_for(postgresql_url, asked, said):
    with sync.open_store(f"{postgresql_url}{asked}", []) as store, store.transaction() as tx:
        assert stepped.execute(tx, sa.text("SHOW jit")).scalar_one() == said


@pytest.fixture
def schema(postgresql_url):
    """A schema beside the usual one, whose name has to be quoted."""
    name = f'app, "x" {uuid4().hex[:8]}'
    quoted = '"' + name.replace('"', '""') + '"'
    execute(postgresql_url, f"CREATE SCHEMA {quoted}")
    yield quoted
    execute(postgresql_url, f"DROP SCHEMA {quoted} CASCADE")


async def test_tables_are_made_and_found_in_the_search_path(postgresql_url, schema, how, tmp_path):
    url = f"{postgresql_url}?search_path={quote(schema)}"
    for _ in range(2):
        if how == "blocking":
            with sync.open_store(url, [Leaf]) as store:
                store.create_schema()
                store.repository(Leaf).add(Leaf())
        else:
            async with open_store(url, [Leaf]) as store:
                await store.create_schema()
                await store.repository(Leaf).add(Leaf())
    with connected(postgresql_url) as connection:
        found = connection.execute(f"SELECT count(*) FROM {schema}.leaves_of_a_schema")
        assert found.fetchone() == (2,)
        found = connection.execute("SELECT to_regclass('leaves_of_a_schema')")
        assert found.fetchone() == (None,)
    migrations = Migrations(url, [Leaf], folder=tmp_path / "migrations")
    migrations.create("first")
    migrations.stamp()
    assert migrations.check() == ()
    with pytest.raises(ConfigurationError, match="search_path can't be kept behind PgBouncer"):
        open_store(f"{url}&pgbouncer=true", [Leaf])
