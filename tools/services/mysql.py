"""MySQL, from Debian unstable: it is not in the stable releases."""

from __future__ import annotations

import os
import pwd
import shutil

from tools.services.failure import NotReadyError
from tools.services.mysql_protocol import login
from tools.services.process import setup
from tools.services.programs.unstable import UnstablePackages
from tools.services.server import Launch, Server, Site

DATABASE = "holdfast"
FAST = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF")


def ping(url: str) -> None:
    """A login, to MySQL and not to MariaDB, which speaks the same protocol."""
    version = login(url).version
    if "mariadb" in version.lower():
        raise NotReadyError(f"{version} answered, which is not MySQL")


def _server(site: Site, data: str) -> tuple[str, ...]:
    """Its own loader runs it, and every file of its own is named, as it lies at no usual place."""
    share = f"{site.program('root')}/usr/share/mysql"
    return (
        site.program("loader"),
        "--library-path",
        site.program("libraries"),
        site.program("program"),
        "--no-defaults",
        f"--user={pwd.getpwuid(os.geteuid()).pw_name}",  # it runs as root only when told to
        f"--datadir={data}",
        f"--basedir={site.program('root')}/usr",
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share}/charsets",
        f"--plugin-dir={site.program('root')}/usr/lib/mysql/plugin",
        f"--tmpdir={site.folder}",
    )


def _prepare(site: Site) -> None:
    data = site.folder / "data"
    if data.exists():
        return
    partial = site.folder / "data.partial"
    shutil.rmtree(partial, ignore_errors=True)
    command = (*_server(site, str(partial)), "--initialize-insecure")
    setup(command, folder=site.folder, owner=site.owner)
    partial.rename(data)


def _plan(site: Site) -> tuple[Launch, ...]:
    """The socket's path is relative to the data: an absolute one may be too long for the system.

    Names are resolved: only so is a client on the loopback taken for root@localhost.
    """
    create = site.folder / "create.sql"
    command = (
        *_server(site, str(site.folder / "data")),
        "--bind-address=127.0.0.1",
        f"--port={site.ports['mysql']}",
        "--socket=mysql.sock",
        "--pid-file=mysql.pid",
        f"--init-file={create}",
        "--secure-file-priv=",
        "--mysqlx=OFF",
        "--skip-log-bin",
        "--performance-schema=OFF",
        "--max-connections=200",
        "--innodb-buffer-pool-size=64M",
        *(FAST if site.fast else ()),
    )
    statement = f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n"
    return (Launch("mysql", command, site.folder, files={create.name: statement}),)


MYSQL = Server(
    name="mysql",
    source=UnstablePackages(packages=("mysql-server-core",), program="usr/sbin/mysqld"),
    ports=("mysql",),
    plan=_plan,
    urls=lambda site: {"mysql": f"mysql://root@127.0.0.1:{site.ports['mysql']}/{DATABASE}"},
    ping=ping,
    prepare=_prepare,
)
