"""What is said when a server can't be reached, refuses us, or is not the one it should be."""

import asyncio
import signal
import subprocess
import sys
from urllib.parse import quote
from uuid import uuid4

import pytest
from tools.services.postgresql import POSTGRESQL

from holdfast.errors import ConfigurationError, UnavailableError
from records.sql.hostile_server import HostileServer, silent
from records.sql.notes import reach
from records.sql.own_server import OwnServer
from servers import connected, execute, free_port


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request):
    return request.getfixturevalue(f"{request.param}_url")


pytestmark = pytest.mark.parametrize("how", ["awaited", "blocking"])


async def test_an_unknown_database_is_named(url, how):
    with pytest.raises(ConfigurationError, match="has no database 'nowhere'"):
        await reach(f"{url.rpartition('/')[0]}/nowhere", how)


async def test_an_unknown_user_is_named(url, how):
    place = url.partition("@")[2]
    with pytest.raises(ConfigurationError, match="'nobody'"):
        await reach(f"{url.partition('://')[0]}://nobody:wrong@{place}", how)


async def test_a_server_that_is_not_there_is_unavailable(url, how):
    database = url.rpartition("/")[2]
    with pytest.raises(UnavailableError, match="can't be reached"):
        await reach(f"{url.partition('://')[0]}://a@127.0.0.1:{free_port()}/{database}", how)


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb", "mysql"])
@pytest.mark.parametrize("greets", [False, True])
async def test_a_server_that_says_nothing_is_unavailable_after_connect_timeout(scheme, greets, how):
    """As one that is frozen, a proxy before one that is away, or another program's port."""
    if greets and scheme == "postgresql":
        pytest.skip("the client speaks first")
    with HostileServer(silent(greets)) as server:
        url = f"{scheme}://a@127.0.0.1:{server.port}/x?connect_timeout=1"
        with pytest.raises(UnavailableError, match=r"reached: .*(time|did not answer)"):
            await asyncio.wait_for(reach(url, how), 30)


async def test_a_host_that_does_not_exist_is_unavailable(url, how):
    with pytest.raises(UnavailableError, match="can't be reached"):
        await reach(f"{url.partition('://')[0]}://a@host.invalid/{url.rpartition('/')[2]}", how)


async def test_what_is_asked_to_be_encrypted_never_goes_plain(url, how):
    """The servers of the tests have no certificates."""
    with pytest.raises(UnavailableError):
        await reach(f"{url}?sslmode=require", how)


async def test_authorities_that_are_not_there_are_named(url, how):
    with pytest.raises(ConfigurationError, match="nothing-here"):
        await reach(f"{url}?sslmode=verify-ca&sslrootcert=/nothing-here", how)


@pytest.mark.parametrize("place", ["", "127.0.0.1/", "127.0.0.1/a/b"])
async def test_a_url_names_one_database(url, how, place):
    with pytest.raises(ConfigurationError, match="name one database"):
        await reach(f"{url.partition('://')[0]}://{place}", how)


DRIVERS = {
    "awaited": {"asyncpg": "postgresql", "asyncmy": "mariadb"},
    "blocking": {"psycopg": "postgresql", "pymysql": "mariadb"},
}


def test_a_missing_driver_names_the_extra(how):
    program = (
        "import sys\n"
        f"from holdfast{'.sync' if how == 'blocking' else ''} import open_store\n"
        "from holdfast.errors import ConfigurationError\n"
        f"for driver, scheme in {DRIVERS[how]!r}.items():\n"
        "    sys.modules[driver] = None\n"
        "    try:\n        open_store(f'{scheme}://nobody@127.0.0.1/none', [])\n"
        "    except ConfigurationError as error:\n        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    extras = {"postgresql": "postgresql", "mariadb": "mariadb"}
    for driver, scheme in DRIVERS[how].items():
        needed = f"needs {driver}: pip install 'holdfast[{extras[scheme]}]'"
        assert needed in done.stdout, done.stderr


@pytest.fixture
def guarded(mariadb_url):
    user = f"guarded_{uuid4().hex[:16]}"
    execute(mariadb_url, f"CREATE USER {user} IDENTIFIED BY 'p@ss/wörd☃'")
    execute(mariadb_url, f"GRANT ALL ON *.* TO {user}")
    yield mariadb_url.replace("root@", f"{user}:{{}}@")
    execute(mariadb_url, f"DROP USER {user}")


async def test_a_password_may_hold_any_character_and_must_be_right(guarded, how):
    assert await reach(guarded.format(quote("p@ss/wörd☃", safe="")), how) == 0
    with pytest.raises(ConfigurationError, match="the password given") as caught:
        await reach(guarded.format("other"), how)
    assert "other" not in str(caught.value)


@pytest.fixture(scope="module")
def guarded_postgresql():
    """One that asks everybody for a password."""
    with OwnServer(POSTGRESQL) as server:
        with connected(server.url) as connection:
            connection.execute("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'p@ss/w:rd'")
        (server.folder / "data" / "pg_hba.conf").write_text(
            "host all all 127.0.0.1/32 scram-sha-256"
        )
        server.process.send_signal(signal.SIGHUP)
        yield server.url.replace("postgres@", "guarded:{}@")


async def test_postgresql_says_so_too(guarded_postgresql, how):
    assert await reach(guarded_postgresql.format("p%40ss%2Fw%3Ard"), how) == 0
    for url in (guarded_postgresql.format("other"), guarded_postgresql.replace(":{}", "")):
        with pytest.raises(ConfigurationError, match="the password given") as caught:
            await reach(url, how)
        assert "other" not in str(caught.value)
