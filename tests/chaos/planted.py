"""Ledgers that break one promise each, so that every count of the checker is shown to count."""

import asyncio
import itertools
import os

from chaos.ledger import AGAIN, Ledger, LedgerCounter, LedgerEffect, LedgerPrice, LedgerRow

ENVIRONMENT = "HOLDFAST_CHAOS_PLANT"
_EVERY = 2


class DropsRows(Ledger):
    """Some changes are acknowledged and not made."""

    def __init__(self, parts):
        super().__init__(parts)
        self.turns = itertools.count(1)

    async def change_row(self, name, value):
        if next(self.turns) % _EVERY:
            await super().change_row(name, value)


class CountsTwice(Ledger):
    """An increment is made again, as by a retry that asks nobody."""

    async def count(self, name):
        await super().count(name)
        await super().count(name)


class MovesHalf(Ledger):
    """Some transfers take, and don't give."""

    async def transfer(self, source, target, amount):
        await self.counters.patch(source, LedgerCounter.value.increment(-amount))


class ServesStale(Ledger):
    """Changes of prices never reach the cache."""

    async def change_price(self, name, value):
        await self.prices.repository.patch(name, LedgerPrice.value.to(value))


class EndsTwice(Ledger):
    """The end of a job leaves its effect twice."""

    async def work(self, context):
        await self.effects.add(LedgerEffect(order=str(context.payload["order"])))
        await super().work(context)


class HidesChanges(Ledger):
    """Changes of rows pass by the audit: by a statement of the database's own."""

    async def change_row(self, name, value):
        async with self.store.transaction():
            await self.rows.patch(name, LedgerRow.value.to(value))
            await self.audit_entries().delete_where(self.entry.key == name)

    @property
    def entry(self):
        from holdfast.audit import AuditEntry  # noqa: PLC0415 - nobody else needs it

        return AuditEntry

    def audit_entries(self):
        return self.store.repository(self.entry)


class RegistersTwice(Ledger):
    """A registration forgets what it was asked before."""

    async def register(self, token, text):
        await super().register(f"{token}{AGAIN}", text)
        return await super().register(token, text)


class LeavesFiles(Ledger):
    """A registration leaves a file in the folder of work."""

    async def register(self, token, text):
        number = await super().register(token, text)
        await asyncio.to_thread((self.parts.folder / f"{token}.left").write_text, text)
        return number


class LeavesTasks(Ledger):
    """Each transfer leaves a task, and a transaction that nobody ends."""

    def __init__(self, parts):
        super().__init__(parts)
        self.left = []

    async def transfer(self, source, target, amount):
        await super().transfer(source, target, amount)
        if len(self.left) < 3:  # the pool has few
            self.left.append(asyncio.create_task(self._hold()))

    async def _hold(self):
        async with self.store.transaction():
            await self.counters.count()
            await asyncio.Event().wait()


class BreaksAll(
    DropsRows, HidesChanges, CountsTwice, LeavesTasks, MovesHalf, ServesStale, EndsTwice,
    LeavesFiles, RegistersTwice,
):  # fmt: skip
    """All of it at once."""


ALL = "all"
SERVICES = {
    "dropped-row": DropsRows,
    "doubled-count": CountsTwice,
    "half-transfer": MovesHalf,
    "stale-price": ServesStale,
    "doubled-end": EndsTwice,
    "hidden-change": HidesChanges,
    "doubled-model": RegistersTwice,
    "left-file": LeavesFiles,
    "left-task": LeavesTasks,
    ALL: BreaksAll,
}
EXPECTED = {
    "dropped-row": ("records", "lost", ""),
    "doubled-count": ("counters", "doubled", ""),
    "half-transfer": ("transfers", "torn", ""),
    "stale-price": ("cache", "stale", ""),
    "doubled-end": ("jobs", "doubled", ""),
    "hidden-change": ("audit", "lost", ""),
    "doubled-model": ("models", "doubled", ""),
    "left-file": ("platform", "leaked", "file"),
    "left-task": ("platform", "leaked", "transaction"),
    # What is planted when the load is over, by `afterwards.py`:
    "dropped-object": ("objects", "lost", ""),
    "left-upload": ("platform", "leaked", "upload"),
    "dropped-job": ("jobs", "lost", ""),
    "doubled-tick": ("schedules", "doubled", ""),
}
"""The domain and the wrong that each has to be counted as, and how the finding's text begins."""


def is_found(name, verdict):
    """Tell whether *verdict* has what was planted as *name*, as what it is."""
    domain, kind, text = EXPECTED[name]
    found = verdict.wrong.get(domain, {}).get(kind, ())
    return any(each.startswith(text) for each in found)


def ledger_of(parts):
    """Return the ledger that the environment asks for: the right one, unless it names a plant."""
    return SERVICES.get(os.environ.get(ENVIRONMENT, ""), Ledger)(parts)
