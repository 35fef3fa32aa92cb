"""Lists of what no index leads to: it is looked for among so many of the newest rows at a time.

A page then takes as long with a million rows as with LOOKED_THROUGH, and leads on to those before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from uuid import UUID

from holdfast.console.page_urls import asked_cursor, page_urls
from holdfast.records.operands import Column
from holdfast.records.record_values import parsed_value, text_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.console.console_site import ConsoleSite
    from holdfast.records import Field, Order, Page, Predicate, Relation, Repository

E = TypeVar("E")

LOOKED_THROUGH = 10_000
"""The rows that a page looks through."""
PIECE = ("_since", "_until")
"""What an address says of the rows that are looked through: after and up to a value of a field."""


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
    """Which page an address asks for, and of which rows: *since* and *until* are as in PIECE."""

    cursor: str | None = None
    since: str = ""
    until: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> AskedPiece:
        """Return what the parameters *given* ask for. Raises InvalidCursorError."""
        since, until = (given.get(name, "") for name in PIECE)
        return cls(asked_cursor(given.get("_cursor", "")), since, until)

    @property
    def is_first(self) -> bool:
        """Whether it is the page that has what is newest of all."""
        return self.cursor is None and not self.until


@dataclass(frozen=True, slots=True)
class Look(Generic[E]):
    """A page of what was found, and the rows that were looked through: none before *since*, if any.

    *at* is the time of *since*, None where that tells none. *along* is the field of both.
    """

    page: Page[E]
    until: str = ""
    since: str = ""
    at: datetime | None = None
    along: str = ""
    rows: int = LOOKED_THROUGH

    def urls(self, site: ConsoleSite, path: str, asked: Mapping[str, object]) -> dict[str, object]:
        """Return the addresses `back`, `ahead` and `further`, '' where there is no such page.

        *further* leads to the rows before, once there are no more pages of these. *path* is that of
        the list in the console, *asked* what stands in its address besides.
        """
        kept = {**asked, "_since": self.since, "_until": self.until}
        further = ""
        if self.since and not self.page.next:
            further = site.url(path, {**asked, "_until": self.since})
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

    The page after the first is of the rows that the first looked through. Raises InvalidValueError
    for a piece of the address that is no value of the field, and InvalidCursorError.
    """
    assert isinstance(wanted.newest.operand, Column)
    entity, spec = rows.model.entity, wanted.newest.operand.spec
    field = cast("Field[object]", getattr(entity, spec.name))
    where = list(wanted.within)
    since = parsed_value(entity, spec, asked.since) if asked.since else None
    if asked.until:
        where.append(field <= parsed_value(entity, spec, asked.until))
    is_new = asked.cursor is None and since is None
    if wanted.bounded and is_new and await _are_many(rows, wanted.led):
        following = await rows.find(*where, order_by=wanted.newest, limit=1, offset=LOOKED_THROUGH)
        since = vars(following[0])[spec.name] if following else None
        if since is not None and text_value(spec, since) == asked.until:
            since = None  # more rows than that have one value: all that are left are looked through
    if since is not None:
        where.append(field > since)
    order = wanted.order or [wanted.newest]
    found = await rows.page(
        *where, *wanted.sought, order_by=order, size=size, cursor=asked.cursor, load=load
    )
    text = "" if since is None else text_value(spec, since)
    return Look(found, asked.until, text, _time_of(since), spec.name, LOOKED_THROUGH)


def _time_of(value: object) -> datetime | None:
    """Return the time that *value* is, or that stands in it as an id; None for another."""
    if isinstance(value, UUID) and value.version == 7:
        return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
    return value if isinstance(value, datetime) else None


async def _are_many(rows: Repository[E], led: Sequence[tuple[Predicate, Sequence[Order]]]) -> bool:
    """Tell whether more rows than are looked through fit each of *led*."""
    key = cast("Field[object]", getattr(rows.model.entity, rows.model.keys[0].name))
    for where, order in led:
        beyond = LOOKED_THROUGH
        if not await rows.select(key, where=where, order_by=order, limit=1, offset=beyond):
            return False
    return True
