"""Records on DynamoDB: a table for each entity, and one for the guards of all.

Rows are items, written on conditions; unique values are guard items, and references are counted at
their targets, all in one transaction of the service. Reads of several rows are not of one moment:
each row is whole, but a read may see one row of a transaction and not yet another.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.aws.client import HTTPClient
from holdfast.aws.credential_provider import CredentialProvider
from holdfast.aws.credentials import Credentials, find_credentials
from holdfast.aws.endpoint import verified_tls
from holdfast.aws.proxy import proxy_for
from holdfast.aws.signature import Signer
from holdfast.clock import utc_now
from holdfast.errors import (
    TransactionError,
    UnsupportedError,
)
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.dynamodb.access_path import access_path
from holdfast.records.drivers.dynamodb.clash_retries import ClashRetries
from holdfast.records.drivers.dynamodb.dynamodb_service import DynamoDBService
from holdfast.records.drivers.dynamodb.dynamodb_session import DynamoDBSession, DynamoDBTransaction
from holdfast.records.drivers.dynamodb.expiry import expiry_fields
from holdfast.records.drivers.dynamodb.explanation import explained
from holdfast.records.drivers.dynamodb.guards import GUARDS_TABLE
from holdfast.records.drivers.dynamodb.item_reader import NAME, ItemReader
from holdfast.records.drivers.dynamodb.table_layout import TableLayout
from holdfast.records.drivers.dynamodb.table_requests import create_tables, drop_tables
from holdfast.records.drivers.dynamodb.unit_of_work import UnitOfWork
from holdfast.records.drivers.dynamodb.unknown_parts import (
    refuse_shared_targets,
    refuse_unknown_model,
)
from holdfast.records.entities.table_names import in_schema, stored_names
from holdfast.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.aws.network import Network
    from holdfast.offload import Lock, Offload
    from holdfast.records.driver_requests import Select, TransactionOptions
    from holdfast.records.drivers.dynamodb.dynamodb_address import DynamoDBAddress
    from holdfast.records.entities.model import Model
    from holdfast.records.query_plan import QueryPlan

E = TypeVar("E")

_LACKING = frozenset(
    {
        StoreCapability.LARGE_WRITES,
        StoreCapability.MAPPED_CLASSES,
        StoreCapability.ROW_LOCKS,
        StoreCapability.SEQUENCES,
        StoreCapability.SERIALIZABLE_QUERIES,
        StoreCapability.SNAPSHOTS,
        StoreCapability.SQL_STATEMENTS,
        StoreCapability.VIEWS,
    }
)


class DynamoDBDriver:
    """One service in one region, of whose tables those with the prefix are this store's."""

    name = NAME
    capabilities = frozenset(StoreCapability) - _LACKING

    def __init__(
        self,
        address: DynamoDBAddress,
        *,
        blocking: bool,
        offload: Callable[[str], Offload],
        lock: Callable[[float], Lock],
    ) -> None:
        self._address = address
        self._options = address.options
        self._blocking = blocking
        self._new_offload = offload
        self._new_lock = lock
        self.lock_timeout = self._options.lock_timeout
        self.schema = self._options.schema
        self._offload: Offload | None = None
        self._reader: ItemReader | None = None
        self._retries: ClashRetries | None = None
        self._session: DynamoDBSession | None = None

    def renew(self) -> None:
        """See `Renewable`: the client sees to the connections of a child by itself."""
        if self._retries is not None:
            self._retries.renew()

    async def open(self, models: Sequence[Model[object]]) -> None:
        """Make ready to connect.

        Raises ConfigurationError for what can't be a table, UnsupportedError for what it can't do.
        """
        for model in models:
            refuse_unknown_model(model)
            refuse_shared_targets(model, self.schema)
        address, options = self._address, self._options
        network = _network(options.ca_bundle, blocking=self._blocking)
        proxy = proxy_for(address.endpoint, os.environ)
        client = HTTPClient(network, address.endpoint, address.limits, proxy=proxy)
        self._offload = self._new_offload("dynamodb")
        service = DynamoDBService(
            client,
            Signer(address.region, "dynamodb"),
            address.limits,
            credentials=_provider(options.credentials),
            offload=self._offload,
        )
        expires = expiry_fields(models, options.expires)
        names = stored_names(models, options.schema)
        layouts = {
            model: TableLayout(
                model,
                address.table(names[model.table]),
                expires.get(model),
                form=options.indexes,
            )
            for model in models
        }
        guards = address.table(in_schema(options.schema, GUARDS_TABLE))
        reader = ItemReader(service, layouts, guards, options)
        self._retries = ClashRetries(reader, partial(self._new_lock, self.lock_timeout))
        self._session = DynamoDBSession(reader, self._retries)
        self._reader = reader

    async def close(self) -> None:
        """Let go of the connections. Idempotent."""
        reader, self._reader, self._session = self._reader, None, None
        if reader is not None:
            reader.service.close()
        if self._offload is not None:
            self._offload.close()

    @property
    def takes_rows(self) -> bool:
        """See `RowTaker`."""
        return True

    @property
    def reads_batches(self) -> bool:
        """See `BatchReading`."""
        return True

    def walks_table(self, select: Select[E]) -> bool:
        """See `BatchReading`."""
        layout = self.reader.layout(cast("Model[object]", select.model))
        return access_path(layout, select.where).access == "scan"

    @property
    def reader(self) -> ItemReader:
        """What reads items. Raises TransactionError before `open` and after `close`."""
        if self._reader is None:
            raise TransactionError("the store is not open: use it in `async with`")
        return self._reader

    def session(self) -> DynamoDBSession:
        """Return the session in which each call is its own transaction."""
        if self._session is None:
            raise TransactionError("the store is not open: use it in `async with`")
        return self._session

    async def begin(self, options: TransactionOptions) -> DynamoDBTransaction:
        """Begin a transaction, without I/O. Raises UnsupportedError for one that only reads."""
        if options.read_only:
            raise UnsupportedError(StoreCapability.SNAPSHOTS, NAME)
        unit = UnitOfWork(
            self.reader,
            checks=options.isolation != "read committed",
            keys_only=options.isolation == "serializable",
        )
        return DynamoDBTransaction(unit, self._new_lock(self.lock_timeout))

    async def create_schema(self) -> None:
        """Create what is missing, tables and indexes, complete rows, and wait for it all."""
        await create_tables(self.reader, self._options)

    async def drop_schema(self) -> None:
        """Remove the tables of the models, and their guards."""
        prefix = self._address.prefix
        await drop_tables(self.reader, f"{prefix}." if prefix else "")

    async def probe(self) -> None:
        """Ask for the names of tables, one at the most."""
        await self.reader.service.read("ListTables", {"Limit": 1})

    def stats(self) -> Stats:
        """Return counters: `requests`, `request_retries`, `throttled`, `read_units`, `write_units`.

        And `clashes`: writes that were done again, as somebody else was faster; `paced`: requests
        that waited, as those before them were throttled. The gauge `limited` counts tables, reads
        and writes apart, to which that happens now.
        """
        service = self.reader.service
        counters: dict[str, float] = {
            "requests": service.requests,
            "request_retries": service.retries,
            "throttled": service.throttled,
            "paced": service.paced,
            "clashes": 0 if self._retries is None else self._retries.clashes,
            "read_units": service.read_units,
            "write_units": service.write_units,
        }
        return Stats(counters=counters, gauges={"limited": service.limited})

    async def explain(self, select: Select[E]) -> QueryPlan:
        """See `Planner`. It asks the service for the table's size."""
        return await explained(self.reader, cast("Select[object]", select), self._options)


def _network(ca_bundle: str, *, blocking: bool) -> Network:
    """Return the network of blocking or awaited calls; only that one is loaded."""
    tls = partial(verified_tls, ca_bundle or None)
    if blocking:
        from holdfast.aws.socket_network import SocketNetwork  # noqa: PLC0415

        return SocketNetwork(tls)
    from holdfast.aws.asyncio_network import AsyncioNetwork  # noqa: PLC0415

    return AsyncioNetwork(tls)


def _provider(given: Credentials | Callable[[], Credentials] | None) -> CredentialProvider:
    if isinstance(given, Credentials):
        static = given
        return CredentialProvider(lambda: static, utc_now)
    return CredentialProvider(given or find_credentials(os.environ), utc_now)
