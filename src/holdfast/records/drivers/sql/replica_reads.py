"""Read-only transactions on servers that follow the primary."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from holdfast.errors import UnavailableError
from holdfast.records.drivers.sql.connections.pool import Pool
from holdfast.records.drivers.sql.server_transaction import begin_on

if TYPE_CHECKING:
    from holdfast.records.driver_requests import TransactionOptions
    from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
    from holdfast.records.drivers.sql.executors.server_reader import StatementLog
    from holdfast.records.drivers.sql.server import Server
    from holdfast.records.drivers.sql.server_transaction import ServerTransaction
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements

_AWAY = 5.0  # seconds that replicas are left alone when none of them could be reached


class ReplicaReads:
    """Begins read-only transactions on replicas, when these have what this store wrote.

    That is told by time: for `replica_delay` seconds after a write nothing is read there. So a
    program reads what it wrote itself as long as the replicas lag less.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._delay = server.options.replica_delay
        self._not_before = 0.0
        self._made: tuple[StoreStatements, StatementLog] | None = None
        self._pool: Pool | None = None

    def open(self, statements: StoreStatements, log: StatementLog) -> None:
        """Be ready; a replica is connected to when it is first asked."""
        self._made = (statements, log)
        self._pool = self._new_pool()

    def _new_pool(self) -> Pool:
        assert self._made is not None
        server, (statements, log) = self._server, self._made

        async def connect() -> ServerExecutor:
            return server.execute_on(await server.connect(), statements, log)

        return Pool(connect, server.options, blocking=server.blocking, shielded=server.shielded)

    def wait(self) -> None:
        """Note that the store writes: what it wrote has yet to come to the replicas."""
        self._not_before = max(self._not_before, time.monotonic() + self._delay)

    async def begin(self, options: TransactionOptions) -> ServerTransaction | None:
        """Begin on a replica; None when the primary has to answer, or no replica can.

        No replica of PostgreSQL gives "serializable".
        """
        pool = self._pool
        serializable = options.isolation == "serializable"
        if pool is None or not options.may_lag or serializable:
            return None
        if time.monotonic() < self._not_before:
            return None
        try:
            statements = self._server.begin(options)
            return await begin_on(pool, statements, blocking=self._server.blocking)
        except UnavailableError:
            self._not_before = time.monotonic() + _AWAY
            return None

    def renew(self) -> list[Pool]:
        """Start afresh in a forked child; return the parent's pools, which are to be kept."""
        before, self._pool = self._pool, None
        if before is None:
            return []
        self._pool = self._new_pool()
        return [before]

    async def close(self) -> None:
        """Let go of all connections. Idempotent."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()
