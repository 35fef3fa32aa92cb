"""A domain of the chaos run's own: one small use of each pillar, so that all of it can be counted.

It is plugged in as a user's domain is, and runs in the real programs: `holdfast serve`, `worker`.
"""

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from uuid import UUID, uuid4

import psutil
from fastapi import APIRouter, Response
from pydantic import BaseModel

from holdfast import Entity, Field, field, key, uuid7
from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.cache import CachedRepository, CacheInvalidation, Outbox
from holdfast.errors import DuplicateError, StorageError
from holdfast.jobs import EnqueueOptions, Jobs, NewJob, Schedule
from holdfast.models import ModelRegistry, VersionDetails
from holdfast.platform import Domain
from holdfast.workspace import open_workspace

BOOT = uuid4().hex
TICK = timedelta(seconds=2)
MODEL = "chaos"
AGAIN = "-again"
"""What a planted fault puts behind the token of a registration."""


class LedgerRow(Entity, table="ledger_rows", audited=True):
    id: Field[str] = key(max_length=40)
    value: Field[int]


class LedgerCounter(Entity, table="ledger_counters"):
    id: Field[str] = key(max_length=40)
    value: Field[int] = field(default=0)


class LedgerPrice(Entity, table="ledger_prices"):
    id: Field[str] = key(max_length=40)
    value: Field[int] = field(default=0)


class LedgerOrder(Entity, table="ledger_orders"):
    """What was asked for in the transaction that enqueued its job."""

    id: Field[str] = key(max_length=40)


class LedgerEffect(Entity, table="ledger_effects"):
    """That a job was ended: written in the transaction of its end, and never held to be unique."""

    id: Field[UUID] = key(default_factory=uuid7)
    order: Field[str] = field(max_length=40)


ENTITIES = (LedgerRow, LedgerCounter, LedgerPrice, LedgerOrder, LedgerEffect, CacheInvalidation)


class Ledger:
    """The service; what is planted takes one method of it in its place (see `planted.py`)."""

    def __init__(self, parts):
        self.parts = parts
        self.store = parts.store
        self.rows = self.store.repository(LedgerRow)
        self.counters = self.store.repository(LedgerCounter)
        self.orders = self.store.repository(LedgerOrder)
        self.effects = self.store.repository(LedgerEffect)
        prices = self.store.repository(LedgerPrice)
        self.prices = CachedRepository(prices, parts.cache, ttl=3600.0, recorded=True)
        self.outbox = Outbox(self.store, parts.cache)
        self.jobs = parts.service(Jobs)
        self.models = parts.service(ModelRegistry)

    async def change_row(self, name, value):
        await self.rows.patch(name, LedgerRow.value.to(value))

    async def count(self, name):
        await self.counters.patch(name, LedgerCounter.value.increment(1))

    async def transfer(self, source, target, amount):
        async def move():
            moves = sorted([(source, -amount), (target, amount)])
            for name, change in moves:
                await self.counters.patch(name, LedgerCounter.value.increment(change))

        await self.store.retrying(move)

    async def change_price(self, name, value):
        await self.prices.patch(name, LedgerPrice.value.to(value))

    async def order(self, name):
        async with self.store.transaction():
            await self.orders.add(LedgerOrder(id=name))
            await self.jobs.enqueue(
                "ledger.work", {"order": name}, options=EnqueueOptions(max_attempts=100)
            )

    async def work(self, context):
        name = str(context.payload["order"])
        context.progress(0.5, "half of it")
        async with self.store.transaction():
            await self.effects.add(LedgerEffect(order=name))
            await context.complete({"order": name})

    async def register(self, token, text):
        async with open_workspace(self.parts.folder) as folder:
            path = folder / "weights.bin"
            try:
                await asyncio.to_thread(path.write_text, text)
            except OSError as error:
                raise StorageError(f"the file of a model: {error}") from error
            details = VersionDetails(tags={"token": token.removesuffix(AGAIN)})
            registered = await self.models.register(MODEL, path, details, idempotency_key=token)
        return registered.version.number

    async def open_accounts(self, names, amount):
        """Add the counters that are not there yet, each of *amount*."""
        for name in names:
            with suppress(DuplicateError):
                await self.counters.add(LedgerCounter(id=name, value=amount))


@asynccontextmanager
async def _service(parts):
    from chaos.planted import ledger_of  # noqa: PLC0415 - it stands on this module

    ledger = ledger_of(parts)
    relay = asyncio.create_task(ledger.outbox.run(every=0.5))
    try:
        yield ledger
    finally:
        relay.cancel()
        await asyncio.wait([relay])


class RowIn(BaseModel):
    id: str
    value: int = 0


class ValueIn(BaseModel):
    value: int


class TransferIn(BaseModel):
    source: str
    target: str
    amount: int


class ModelIn(BaseModel):
    token: str
    text: str


class AccountsIn(BaseModel):
    names: list[str]
    amount: int


def _routes(parts):
    ledger = parts.service(Ledger)
    router = APIRouter(prefix="/ledger", dependencies=[allow(Role.VIEWER)])

    @router.post("/rows", status_code=201)
    async def add_row(asked: RowIn) -> None:
        await ledger.rows.add(LedgerRow(id=asked.id, value=asked.value))

    @router.put("/rows/{name}")
    async def change_row(name: str, asked: ValueIn) -> None:
        await ledger.change_row(name, asked.value)

    @router.delete("/rows/{name}", status_code=204)
    async def delete_row(name: str) -> None:
        await ledger.rows.delete(name)

    @router.get("/rows/{name}")
    async def get_row(name: str) -> int | None:
        found = await ledger.rows.get(name)
        return None if found is None else found.value

    @router.post("/accounts")
    async def open_accounts(asked: AccountsIn) -> None:
        await ledger.open_accounts(asked.names, asked.amount)

    @router.post("/counters/{name}")
    async def count(name: str) -> None:
        await ledger.count(name)

    @router.post("/transfers")
    async def transfer(asked: TransferIn) -> None:
        await ledger.transfer(asked.source, asked.target, asked.amount)

    @router.post("/prices", status_code=201)
    async def add_price(asked: RowIn) -> None:
        with suppress(DuplicateError):
            await ledger.prices.add(LedgerPrice(id=asked.id, value=asked.value))

    @router.put("/prices/{name}")
    async def change_price(name: str, asked: ValueIn, response: Response) -> None:
        response.headers["x-boot"] = BOOT
        await ledger.change_price(name, asked.value)

    @router.get("/prices/{name}")
    async def get_price(name: str, response: Response) -> int | None:
        response.headers["x-boot"] = BOOT
        found = await ledger.prices.get(name)
        return None if found is None else found.value

    @router.post("/orders", status_code=201)
    async def order(asked: RowIn) -> None:
        await ledger.order(asked.id)

    @router.post("/models", status_code=201)
    async def register(asked: ModelIn) -> int:
        return await ledger.register(asked.token, asked.text)

    @router.get("/process")
    async def process() -> dict[str, object]:
        """What this process holds: what grows here and never falls is a leak."""
        own = psutil.Process()
        return {
            "boot": BOOT,
            "tasks": len(asyncio.all_tasks()),
            "threads": own.num_threads(),
            "descriptors": own.num_fds(),
            "connections": len(own.net_connections()),
            "pid": os.getpid(),
        }

    return router


def _handlers(parts):
    ledger = parts.service(Ledger)

    async def work(context):
        await ledger.work(context)

    async def tick(_context):
        return None

    return {"ledger.work": work, "ledger.tick": tick}


def _schedules(_parts):
    again = EnqueueOptions(max_attempts=100)
    return [
        Schedule("ledger-tick", NewJob("ledger.tick", options=again), every=TICK, catch_up=1000),
        Schedule("ledger-log", NewJob("audit.sequence", options=again), every=TICK, catch_up=0),
    ]


LEDGER = Domain(
    name="ledger",
    requires=("jobs", "models", "audit"),
    entities=ENTITIES,
    service=_service,
    routes=_routes,
    handlers=_handlers,
    schedules=_schedules,
)
