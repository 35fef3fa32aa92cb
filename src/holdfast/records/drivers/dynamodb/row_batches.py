"""Rows in batches: a scan or a walk along an index that goes on where it stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from holdfast.errors import InvalidCursorError
from holdfast.records.drivers.dynamodb.access_path import access_path
from holdfast.records.drivers.dynamodb.row_finder import RowFinder
from holdfast.records.drivers.dynamodb.unknown_parts import refuse_unknown
from holdfast.records.rows.evaluate import fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.driver_requests import Select
    from holdfast.records.drivers.dynamodb.access_path import AccessPath
    from holdfast.records.drivers.dynamodb.attribute_codec import Item
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader, PageRequest
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.predicates import Predicate

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class _Sorted(Generic[E]):
    """All that was found, in the order that was asked for, and how many were handed out."""

    found: list[E]
    given: int = 0


@dataclass(frozen=True, slots=True)
class _Underway:
    """The requests that come next, one for each part that is not at its end."""

    requests: list[PageRequest]
    holds: Callable[[Row], bool] | None
    """What is decided here of a row that came, None where nothing is."""


async def find_batch(
    reader: ItemReader, select: Select[E], place: object
) -> tuple[list[E], object]:
    """Do as `BatchReader.find_batch`.

    A scan without an order, and an index that goes along the order, are read page by page; what
    has to be sorted is read once, and kept.
    """
    if place is None:
        refuse_unknown(select)
        place = await _begun(reader, select)
    if isinstance(place, _Sorted):
        return _next_of(cast("_Sorted[E]", place), select)
    assert isinstance(place, _Underway)
    layout = reader.layout(cast("Model[object]", select.model))
    requests = place.requests
    while requests:
        pages = await reader.at_once([partial(reader.page, each, layout) for each in requests])
        requests = [request for _, request in pages if request is not None]
        items = [item for came, _ in pages for item in came]
        entities = _entities(cast("TableLayout[E]", layout), items, place.holds)
        if entities:
            return entities, _Underway(requests, place.holds) if requests else None
    return [], None


async def find_behind(reader: ItemReader, select: Select[E], key: object) -> list[E]:
    """Do as `BatchReader.find_behind`.

    The first request reads no more items than are wanted, each that follows twice as many as the
    one before: where few rows fit, there are not many requests.
    """
    refuse_unknown(select)
    layout = reader.layout(cast("Model[object]", select.model))
    path = access_path(layout, select.where)
    reader.require_scan(layout, select.where)
    if key is not None and not layout.may_be_key(key):
        raise InvalidCursorError("the cursor is damaged: no row has such a key")
    holds = await _decided_here(reader, path, select.where)
    most = limit = select.limit or 1
    asked: PageRequest | None = reader.scan_request(layout, path, behind=key)
    found: list[E] = []
    while asked is not None and len(found) < limit:
        asked.request["Limit"] = most
        items, asked = await reader.page(asked, layout)
        found += _entities(cast("TableLayout[E]", layout), items, holds)
        most *= 2
    return found[:limit]


def _entities(
    layout: TableLayout[E], items: list[Item], holds: Callable[[Row], bool] | None
) -> list[E]:
    if holds is None:
        return layout.entities(items)
    return layout.entities_of(list(filter(holds, layout.rows(items))))


async def _decided_here(
    reader: ItemReader, path: AccessPath, where: Predicate
) -> Callable[[Row], bool] | None:
    """Return what is decided here of a row that came, None where nothing is."""
    return fits(path.left, await RowFinder(reader).follow(where)) if path.client else None


async def _begun(reader: ItemReader, select: Select[E]) -> _Underway | _Sorted[E]:
    layout = reader.layout(cast("Model[object]", select.model))
    path = access_path(layout, select.where, select.order)
    if not (path.ordered or (path.access == "scan" and not select.order)):
        return _Sorted(await RowFinder(reader).entities(replace(select, limit=None)))
    if path.access == "scan":
        reader.require_scan(layout, select.where)
    holds = await _decided_here(reader, path, select.where)
    return _Underway(reader.page_requests(layout, path, select.limit), holds)


def _next_of(place: _Sorted[E], select: Select[E]) -> tuple[list[E], object]:
    end = place.given + (select.limit or len(place.found))
    rest = None if end >= len(place.found) else _Sorted(place.found, end)
    return place.found[place.given : end], rest
