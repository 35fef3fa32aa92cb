"""Lists of what no index leads to: it is looked for among so many of the newest rows at a time.

A page then takes as long with a million rows as with LOOKED_THROUGH, and leads on to those before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from uuid import UUID

import orjson

from holdfast.console.page_urls import asked_cursor, page_urls
from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.records.cursor import reverse
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import After, Compare, Operator
from holdfast.records.record_values import parsed_value, text_value
from holdfast.records.validation import total_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.console.console_site import ConsoleSite
    from holdfast.records import Field, Order, Page, Predicate, Relation, Repository
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

LOOKED_THROUGH = 4_000
"""The rows that a page looks through."""
PIECE = ("_since", "_until", "_last")
"""What of an address says between which places rows are looked through, and the last of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a list is asked for.

    Rows are looked through along *newest*, by a field that is never null among those that fit
    *within*; an index has these rows in that order. *sought* are the other conditions. *led* are
    those of them that an index leads to, each with the order in which it has them: where few fit
    one, all of these are looked through. So are all rows where *bounded* is false. The page is in
    the *order* given, by default the newest first.
    """

    newest: Order
    within: Sequence[Predicate] = ()
    sought: Sequence[Predicate] = ()
    led: Sequence[tuple[Predicate, Sequence[Order]]] = ()
    order: Sequence[Order] = ()
    bounded: bool = True


@dataclass(frozen=True, slots=True)
class AskedPiece:
    """Which page an address asks for, and of which rows: those between two places, as PIECE has it.

    *last* is the place of the last of them, which pages after the first are told.
    """

    cursor: str | None = None
    since: str = ""
    until: str = ""
    last: str = ""

    @classmethod
    def of(cls, site: ConsoleSite, given: Mapping[str, str]) -> AskedPiece:
        """Return what the parameters *given* ask for. Raises InvalidCursorError."""
        since, until, last = (given.get(name, "") for name in PIECE)
        return cls(asked_cursor(site, given.get("_cursor", "")), since, until, last)

    @property
    def is_first(self) -> bool:
        """Whether it is the page that has what is newest of all."""
        return self.cursor is None and not self.until


@dataclass(frozen=True, slots=True)
class Look(Generic[E]):
    """A page of what was found, and the rows that were looked through.

    They come after the place *until*, and before the place *since*; '' stands for none. *last* is
    that of the last of them where there are others before, and *at* its time, None where it tells
    none. *along* is the field that they were looked through by.
    """

    page: Page[E]
    until: str = ""
    since: str = ""
    last: str = ""
    at: datetime | None = None
    along: str = ""
    rows: int = LOOKED_THROUGH

    def urls(self, site: ConsoleSite, path: str, asked: Mapping[str, object]) -> dict[str, object]:
        """Return the addresses `back`, `ahead` and `further`, '' where there is no such page.

        *further* leads to the rows before, once there are no more pages of these. *path* is that of
        the list in the console, *asked* what stands in its address besides.
        """
        kept = {**asked, **dict(zip(PIECE, (self.since, self.until, self.last), strict=True))}
        further = ""
        if self.last and not self.page.next:
            further = site.url(path, {**asked, "_until": self.last})
        return {**page_urls(site, path, kept, self.page), "further": further, "look": self}


async def look(
    rows: Repository[E],
    wanted: Wanted,
    asked: AskedPiece,
    *,
    size: int,
    load: Sequence[Relation] = (),
) -> Look[E]:
    """Return the page of *wanted* that is *asked* for.

    The page after the first is of the rows that the first looked through. Raises InvalidQueryError
    for a place that this order does not have, and InvalidCursorError.
    """
    model = rows.model
    newest = total_order(model, wanted.newest)
    where = list(wanted.within)
    if asked.until:
        where += _beyond(model, newest, _place(model, newest, asked.until))
    since, last, at = asked.since, asked.last, None
    if not (since or asked.cursor) and wanted.bounded:
        last, since = await _piece(rows, wanted, newest, where)
    if since:
        where += _beyond(model, reverse(newest), _place(model, newest, since))
    if last:
        at = _time_of(_place(model, newest, last)[0])
    found = await rows.page(
        *where,
        *wanted.sought,
        order_by=wanted.order or newest,
        size=size,
        cursor=asked.cursor,
        load=load,
    )
    along = _specs(newest)[0].name
    return Look(found, asked.until, since, last, at, along, LOOKED_THROUGH)


@dataclass(frozen=True, slots=True)
class Counted:
    """How many rows fit: *count* of them, all where it *is_all*.

    Else there are more, or *among* so many of the newest rows alone was looked; 0 for all rows.
    """

    count: int
    is_all: bool
    among: int = 0

    @property
    def may_be_some(self) -> bool:
        """Whether there may be a row that fits."""
        return bool(self.count) or not self.is_all


async def counted(rows: Repository[E], wanted: Wanted) -> Counted:
    """Return how many rows are *wanted*, LOOKED_THROUGH at most.

    Where no index leads to them they are counted among the newest LOOKED_THROUGH rows alone.
    """
    newest = total_order(rows.model, wanted.newest)
    where = [*wanted.within, *wanted.sought]
    if wanted.sought and wanted.bounded:
        _, since = await _piece(rows, wanted, newest, wanted.within)
        if since:
            place = _place(rows.model, newest, since)
            where += _beyond(rows.model, reverse(newest), place)
            return Counted(await rows.count(*where), is_all=False, among=LOOKED_THROUGH)
    if await _are_more(rows, where, newest):
        return Counted(LOOKED_THROUGH, is_all=False)
    return Counted(await rows.count(*where), is_all=True)


async def _piece(
    rows: Repository[E], wanted: Wanted, newest: Sequence[Order], where: Sequence[Predicate]
) -> tuple[str, str]:
    """Return the places of the last row that is looked through, and of the first that is not.

    Of the rows that fit *where*; '' for both where all of them are.
    """
    if not await _are_many(rows, wanted.led):
        return "", ""
    ends = await rows.find(*where, order_by=newest, limit=2, offset=LOOKED_THROUGH - 1)
    if len(ends) < 2:
        return "", ""
    last, since = (_place_text(newest, each) for each in ends)
    return last, since


def _specs(order: Sequence[Order]) -> list[FieldSpec]:
    return [each.operand.spec for each in order if isinstance(each.operand, Column)]


def _place_text(order: Sequence[Order], row: object) -> str:
    """Return the place of *row* in *order*, for an address."""
    values = vars(row)
    return orjson.dumps([text_value(each, values[each.name]) for each in _specs(order)]).decode()


def _place(model: Model[E], order: Sequence[Order], text: str) -> list[object]:
    """Return the values in *text*, as `_place_text` wrote it. Raises InvalidQueryError."""
    specs = _specs(order)
    try:
        given = orjson.loads(text)
        if isinstance(given, list) and len(given) == len(specs):
            pairs = zip(specs, given, strict=True)
            return [parsed_value(model.entity, each, value) for each, value in pairs]
    except (orjson.JSONDecodeError, InvalidValueError):
        pass
    raise InvalidQueryError("the address names a place that this list does not have")


def _beyond(model: Model[E], order: Sequence[Order], place: Sequence[object]) -> list[Predicate]:
    """Return the conditions of the rows that come after *place* in *order*.

    The first says nothing that the second does not, in a form that every index serves.
    """
    first = order[0]
    specs = _specs(order)
    values = tuple(each.to_row(model.name, value) for each, value in zip(specs, place, strict=True))
    how = Operator.LE if first.descending else Operator.GE
    return [Compare(first.operand, how, values[0]), After(tuple(order), values)]


def _time_of(value: object) -> datetime | None:
    """Return the time that *value* is, or that stands in it as an id; None for another."""
    if isinstance(value, UUID) and value.version == 7:
        return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
    return value if isinstance(value, datetime) else None


async def _are_many(rows: Repository[E], led: Sequence[tuple[Predicate, Sequence[Order]]]) -> bool:
    """Return whether more rows than are looked through fit each of *led*."""
    for where, order in led:
        if not await _are_more(rows, [where], order):
            return False
    return True


async def _are_more(
    rows: Repository[E], where: Sequence[Predicate], order: Sequence[Order]
) -> bool:
    """Return whether more rows fit *where* than a look takes; an index has them in *order*."""
    key = cast("Field[object]", getattr(rows.model.entity, rows.model.keys[0].name))
    beyond = LOOKED_THROUGH
    return bool(await rows.select(key, where=where, order_by=order, limit=1, offset=beyond))
