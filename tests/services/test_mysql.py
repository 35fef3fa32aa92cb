"""A real MySQL, run beside the system by its own loader."""

import contextlib
import os
import signal

import pymysql
import pytest
from tools.services.address import parse
from tools.services.endpoints import endpoints
from tools.services.failure import NotReadyError
from tools.services.lifecycle import reset, start
from tools.services.mariadb import MARIADB
from tools.services.mysql import MYSQL, ping
from tools.services.process import find, lives, running
from tools.services.source import find as installed
from tools.services.state import load

pytestmark = pytest.mark.skipif(
    installed(MYSQL.source) is None, reason=f"no MySQL: {MYSQL.source.how()}"
)


@pytest.fixture
def databases(folder):
    yield folder
    reset([MYSQL, MARIADB], folder)


def begin(folder, server=MYSQL):
    [outcome] = start([server], folder, say=lambda _: None)
    assert outcome.failure is None, outcome.failure
    return outcome.urls[server.name]


def execute(url, *statements):
    address = parse(url)
    connection = pymysql.connect(
        host=address.host, port=address.port, user=address.user, database=address.path
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()
        return cursor.fetchall()


def pids(folder):
    return find(MYSQL.source.processes, folder / "mysql", running())


def test_killed_it_starts_again_with_what_it_kept(databases):
    url = begin(databases)
    [version] = execute(
        url,
        "CREATE TABLE kept (id INT PRIMARY KEY)",
        "INSERT INTO kept VALUES (7)",
        "SELECT VERSION()",
    )
    assert "mariadb" not in version[0].lower()
    [pid] = pids(databases)
    assert load(databases).servers["mysql"].pids == {"mysql": pid}
    assert begin(databases) == url
    assert pids(databases) == [pid]
    os.kill(pid, signal.SIGKILL)
    while lives(pid):
        pass
    assert begin(databases) == url
    assert execute(url, "SELECT id FROM kept") == ((7,),)
    assert endpoints(databases)["mysql"].url == url


def test_a_login_is_proved_and_a_refused_one_is_told_in_the_servers_words(databases):
    url = begin(databases)
    execute(url, "CREATE USER a@localhost IDENTIFIED BY 'right'")
    execute(url, "GRANT ALL ON holdfast.* TO a@localhost")
    ping(url.replace("root@", "a:right@"))
    with pytest.raises(NotReadyError, match=r"Access denied for user 'nobody'.* \(1045\)"):
        ping(url.replace("root@", "nobody@"))
    with pytest.raises(NotReadyError, match=r"Unknown database 'nowhere' \(1049\)"):
        ping(url.replace("/holdfast", "/nowhere"))


@pytest.mark.skipif(installed(MARIADB.source) is None, reason=MARIADB.source.how())
def test_mariadb_is_not_taken_for_it(databases):
    url = begin(databases, MARIADB)
    with pytest.raises(NotReadyError, match=r"MariaDB.* answered, which is not MySQL"):
        ping(url)
