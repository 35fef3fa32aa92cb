"""MariaDB."""

from __future__ import annotations

import shutil

from tools.services.mysql_protocol import login
from tools.services.process import setup
from tools.services.programs.debian import DebianPackages
from tools.services.server import Launch, Server, Site

DATABASE = "holdfast"


def ping(url: str) -> None:
    """A login that succeeds, or one that is asked for more than we have."""
    login(url)


def _prepare(site: Site) -> None:
    data = site.folder / "data"
    if data.exists():
        return
    partial = site.folder / "data.partial"
    shutil.rmtree(partial, ignore_errors=True)
    command = (
        site.program("mariadb-install-db"),
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        f"--datadir={partial}",
    )
    setup(command, folder=site.folder, owner=site.owner)
    partial.rename(data)


def _plan(site: Site) -> tuple[Launch, ...]:
    """The socket's path is relative to the data: an absolute one may be too long for the system."""
    data = site.folder / "data"
    create = site.folder / "create.sql"
    fast = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0") if site.fast else ()
    command = (
        site.program("mariadbd"),
        "--no-defaults",
        f"--datadir={data}",
        f"--tmpdir={site.folder}",
        "--bind-address=127.0.0.1",
        f"--port={site.ports['mariadb']}",
        "--socket=mariadb.sock",
        "--pid-file=mariadb.pid",
        f"--init-file={create}",
        "--skip-name-resolve",
        "--max-connections=200",
        "--innodb-buffer-pool-size=64M",
        "--character-set-server=utf8mb4",
        *fast,
    )
    statement = f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n"
    return (Launch("mariadb", command, site.folder, files={create.name: statement}),)


def _urls(site: Site) -> dict[str, str]:
    return {"mariadb": f"mariadb://root@127.0.0.1:{site.ports['mariadb']}/{DATABASE}"}


MARIADB = Server(
    name="mariadb",
    source=DebianPackages(
        debian=("mariadb-server",),
        binaries=("mariadbd", "mariadb-install-db"),
        folders=("/opt/homebrew/opt/mariadb*/bin",),
    ),
    ports=("mariadb",),
    plan=_plan,
    urls=_urls,
    ping=ping,
    prepare=_prepare,
    user="mysql",
)
