"""Every server, in the order in which they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.services.dynamodb import DYNOXIDE, MOTO
from tools.services.failure import ServicesError
from tools.services.mariadb import MARIADB
from tools.services.mysql import MYSQL
from tools.services.openid import OPENID
from tools.services.postgresql import PGBOUNCER, POSTGRESQL
from tools.services.redis import REDIS
from tools.services.redis_cluster import REDIS_CLUSTER
from tools.services.redis_sentinel import REDIS_SENTINEL
from tools.services.s3 import MINIO, VERSITY
from tools.services.toxiproxy import TOXIPROXY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tools.services.server import Server

SERVERS: tuple[Server, ...] = (
    POSTGRESQL,
    PGBOUNCER,
    MARIADB,
    MYSQL,
    REDIS,
    MINIO,
    VERSITY,
    DYNOXIDE,
    MOTO,
    TOXIPROXY,
    OPENID,
    REDIS_CLUSTER,
    REDIS_SENTINEL,
)


def named(names: Iterable[str]) -> tuple[Server, ...]:
    """Return the servers called *names*, all of them without names.

    Raises ServicesError for an unknown name, listing the known ones.
    """
    wanted = set(names)
    known = {server.name for server in SERVERS}
    if wanted - known:
        unknown, listed = ", ".join(sorted(wanted - known)), ", ".join(sorted(known))
        raise ServicesError(f"no server is called {unknown}; there are {listed}")
    return tuple(server for server in SERVERS if not wanted or server.name in wanted)


def to_start(names: Collection[str]) -> tuple[Server, ...]:
    """Return the servers called *names* and those they need; without names all but the on-demand.

    Raises ServicesError for an unknown name, listing the known ones.
    """
    wanted = {server.name for server in named(names)} if names else set()
    if not wanted:
        return tuple(server for server in SERVERS if not server.on_demand)
    for server in reversed(SERVERS):  # a server stands behind those that it needs
        if server.name in wanted:
            wanted.update(server.after)
    return named(wanted)
