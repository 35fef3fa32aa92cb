"""Gives rows that are there already what indexes, unique values, references and expiry go by.

Each write keeps these parts of an item (`table_layout`), their guards and their counts. A row that
was written before its entity declared one lacks it: an index would pass it over, a unique value
would be given twice. The table of guards has for each table the parts that all its rows have.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, cast

from holdfast.errors import DuplicateError, ForeignKeyError, UnavailableError
from holdfast.records.drivers.dynamodb.access_path import AccessPath
from holdfast.records.drivers.dynamodb.commit_request import unchanged
from holdfast.records.drivers.dynamodb.expiry import EXPIRES
from holdfast.records.drivers.dynamodb.filter_expression import ExpressionNames
from holdfast.records.drivers.dynamodb.guards import (
    GUARDS_KEY,
    OWNER,
    guard_owner,
    guards_of,
    parts_key,
    unique_name,
)
from holdfast.records.drivers.dynamodb.service_refusal import DynamoDBError
from holdfast.records.drivers.dynamodb.table_layout import counter_name, target_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from holdfast.records.drivers.dynamodb.attribute_codec import AttributeValue, Item
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.drivers.dynamodb.table_layout import StoredRow, TableLayout
    from holdfast.records.entities.constraint import Unique
    from holdfast.records.values.field_spec import FieldSpec

_ATTEMPTS = 20
_PARTS = "parts"


def parts_of(layout: TableLayout[object]) -> frozenset[str]:
    """Return the names of what each row of the table has to have beside its fields."""
    parts = {f"index:{each.spec.name}" for each in layout.copies}
    parts |= {f"composed:{each.name}" for each in layout.composed.values()}
    parts |= {f"unique:{unique_name(each)}" for each in layout.model.all_uniques}
    parts |= {f"reference:{spec.name}:{target_of(spec).table}" for spec in layout.model.references}
    if layout.expires is not None:
        parts.add(f"expires:{layout.expires.name}")
    return frozenset(parts)


async def recorded_parts(
    reader: ItemReader, layouts: Sequence[TableLayout[object]]
) -> dict[str, frozenset[str]]:
    """Return by the table's name which parts all its rows have; none where nothing is known."""
    found = await reader.owners([parts_key(layout.model) for layout in layouts])
    empty: Item = {}
    parts: dict[str, frozenset[str]] = {}
    for layout in layouts:
        said = found.get(parts_key(layout.model), empty).get(_PARTS, {}).get("SS", [])
        parts[layout.name] = frozenset(cast("list[str]", said))
    return parts


async def record_parts(reader: ItemReader, layouts: Sequence[TableLayout[object]]) -> None:
    """Write down that all rows of these tables have their parts."""
    puts: list[dict[str, object]] = []
    for layout in layouts:
        item: Item = {GUARDS_KEY: {"S": parts_key(layout.model)}}
        if parts := sorted(parts_of(layout)):
            item[_PARTS] = {"SS": parts}
        puts.append({"PutRequest": {"Item": item}})
    await reader.write_batches(reader.guards, puts)


async def backfill(
    reader: ItemReader, layout: TableLayout[object], missing: frozenset[str]
) -> None:
    """Give all rows of the table the *missing* parts. It may be done again, and goes on then.

    Writers that keep these parts may be at work meanwhile. Raises DuplicateError and
    ForeignKeyError for rows that can't have them, StoredValueError for those that can't be read.
    """
    uniques = [u for u in layout.model.all_uniques if f"unique:{unique_name(u)}" in missing]
    kept = ("index:", "composed:", "expires:")
    if uniques or any(part.startswith(kept) for part in missing):
        async for items in _pages(reader, layout):
            held = await _held(reader, layout, items, uniques)
            await reader.at_once(
                [partial(_complete, reader, layout, item, uniques, held) for item in items]
            )
    for spec in layout.model.references:
        if f"reference:{spec.name}:{target_of(spec).table}" in missing:
            await _count_references(reader, layout, spec)


async def _pages(reader: ItemReader, layout: TableLayout[object]) -> AsyncIterator[list[Item]]:
    requests = reader.page_requests(layout, AccessPath("scan"), None, strong=True)
    while requests:
        pages = await reader.at_once([partial(reader.page, each, layout) for each in requests])
        requests = [behind for _, behind in pages if behind is not None]
        for items, _ in pages:
            yield items


async def _held(
    reader: ItemReader,
    layout: TableLayout[object],
    items: Sequence[Item],
    uniques: Sequence[Unique],
) -> dict[str, Item]:
    """Return the guards that rows in *items* need and that are there, by their keys."""
    if not uniques:
        return {}
    rows = layout.rows(items)
    return await reader.owners([guard for row in rows for guard in _guards(layout, row, uniques)])


def _guards(
    layout: TableLayout[object], row: tuple[object, ...], uniques: Sequence[Unique]
) -> dict[str, Unique]:
    return {
        guard: unique
        for guard, unique in guards_of(layout.model, row).items()
        if any(unique is each for each in uniques)
    }


async def _complete(
    reader: ItemReader,
    layout: TableLayout[object],
    item: Item,
    uniques: Sequence[Unique],
    held: Mapping[str, Item],
) -> None:
    """Give one row its parts, in the state that it has by then."""
    for attempt in range(1, _ATTEMPTS + 1):
        stored = layout.stored(item)
        writes = [_row_write(layout, item, stored)]
        for guard, unique in _guards(layout, stored.row, uniques).items():
            writes += await _guard_writes(reader, layout, stored, (guard, unique), held)
        if len(writes) == 1 and "ConditionCheck" in writes[0]:
            return
        if await _written(reader, writes):
            return
        await reader.service.network.sleep(0.01 * attempt)
        key = layout.model.key_of(stored.row)
        found = await reader.item(layout, key, strong=True)
        if found is None:
            return  # deleted meanwhile, by a writer that lets go of the parts
        item = found
        held = await _held(reader, layout, [item], uniques)
    raise UnavailableError(f"{layout.name}: a row is written again and again by others")


async def _written(reader: ItemReader, writes: list[dict[str, dict[str, object]]]) -> bool:
    """Write all, or nothing; tell whether it was done: somebody else may have been faster."""
    request: dict[str, object]
    if len(writes) == 1:
        operation, request = "UpdateItem", writes[0]["Update"]
    else:
        token = secrets.token_hex(16)
        operation = "TransactWriteItems"
        request = {"TransactItems": writes, "ClientRequestToken": token}
    try:
        await reader.service.write(operation, request, repeatable=True)
    except DynamoDBError as refusal:
        if refusal.is_condition or refusal.is_conflict or refusal.reasons:
            return False
        raise
    return True


def _row_write(
    layout: TableLayout[object], item: Item, stored: StoredRow
) -> dict[str, dict[str, object]]:
    """Return what completes the item itself, on condition that it is as it was read."""
    wanted = layout.item(stored.row)
    kept = {*layout.composed, *(each.name for each in layout.copies)}
    if layout.expires is not None:
        kept.add(EXPIRES)
    names = ExpressionNames()
    sets = [
        f"{names.name(name)} = {names.value(wanted[name])}"
        for name in sorted(kept)
        if name in wanted and item.get(name) != wanted[name]
    ]
    removed = [names.name(name) for name in sorted(kept) if name in item and name not in wanted]
    request: dict[str, object] = {
        "TableName": layout.name,
        "Key": layout.key_of(layout.model.key_of(stored.row)),
        "ConditionExpression": unchanged(layout, stored, names),
    }
    said = [f"SET {', '.join(sets)}"] if sets else []
    said += [f"REMOVE {', '.join(removed)}"] if removed else []
    if not said:
        return {"ConditionCheck": request | names.parameters()}
    return {"Update": {**request, "UpdateExpression": " ".join(said), **names.parameters()}}


async def _guard_writes(
    reader: ItemReader,
    layout: TableLayout[object],
    stored: StoredRow,
    wanted: tuple[str, Unique],
    held: Mapping[str, Item],
) -> list[dict[str, dict[str, object]]]:
    """Return the writes by which the row holds the guard. Raises DuplicateError."""
    guard, unique = wanted
    owner = layout.encode_key(layout.model.key_of(stored.row))
    known = held.get(guard)
    if known is not None and known[OWNER] == owner:
        return []
    names = ExpressionNames()
    writes: list[dict[str, dict[str, object]]] = []
    if known is None:
        condition = f"attribute_not_exists({names.name(GUARDS_KEY)})"
    else:  # left behind by a row that has another value now, or is gone
        condition = f"{names.name(OWNER)} = {names.value(known[OWNER])}"
        writes.append(await _no_longer(reader, layout, known, (guard, unique)))
    put: dict[str, object] = {
        "TableName": reader.guards,
        "Item": {GUARDS_KEY: {"S": guard}, OWNER: owner},
        "ConditionExpression": condition,
    }
    return [*writes, {"Put": put | names.parameters()}]


async def _no_longer(
    reader: ItemReader, layout: TableLayout[object], guard: Item, wanted: tuple[str, Unique]
) -> dict[str, dict[str, object]]:
    """Return the check that the owner of *guard* has no right to it. Raises DuplicateError."""
    key = guard_owner(layout, guard)
    item = await reader.item(layout, key, strong=True)
    names = ExpressionNames()
    if item is None:
        condition = f"attribute_not_exists({names.name(layout.key_name)})"
    else:
        stored = layout.stored(item)
        name, unique = wanted
        if name in guards_of(layout.model, stored.row):
            model = layout.model
            raise DuplicateError(model.name, unique.fields, constraint=unique.name)
        condition = unchanged(layout, stored, names)
    request: dict[str, object] = {
        "TableName": layout.name,
        "Key": layout.key_of(key),
        "ConditionExpression": condition,
    }
    return {"ConditionCheck": request | names.parameters()}


async def _count_references(
    reader: ItemReader, layout: TableLayout[object], spec: FieldSpec
) -> None:
    """Let each row that *spec* may point at have the number of rows that do.

    What is counted at a target is read before the rows are counted, and replaced if it still is
    the same: a row that comes or goes meanwhile changes it. Raises ForeignKeyError.
    """
    target = reader.layout(target_of(spec))
    counter = counter_name(layout.model, spec)
    for attempt in range(1, _ATTEMPTS + 1):
        before: dict[object, AttributeValue | None] = {}
        async for items in _pages(reader, target):
            keys = map(target.model.key_of, target.rows(items))
            before |= {key: item.get(counter) for key, item in zip(keys, items, strict=True)}
        counted = dict.fromkeys(before, 0)
        async for items in _pages(reader, layout):
            for row in layout.rows(items):
                key = row[spec.position]
                if key is None or (target is layout and key == layout.model.key_of(row)):
                    continue
                counted[key] = counted.get(key, 0) + 1
        absent = [key for key in counted if key not in before]
        if len(await reader.items(target, absent, strong=True)) < len(absent):
            raise ForeignKeyError(layout.model.name, (spec.name,))
        wrong = [key for key in before if _count(before[key]) != counted[key]]
        calls = [
            partial(_recount, reader, target, counter, (key, before[key], counted[key]))
            for key in wrong
        ]
        if all(await reader.at_once(calls)) and not absent:
            return
        await reader.service.network.sleep(0.01 * attempt)
    raise UnavailableError(f"{layout.name}: rows come and go while those that point are counted")


def _count(value: AttributeValue | None) -> int:
    return 0 if value is None else int(str(value["N"]))


async def _recount(
    reader: ItemReader,
    target: TableLayout[object],
    counter: str,
    change: tuple[object, AttributeValue | None, int],
) -> bool:
    """Replace a count that still is what it was; tell whether it was, or its row is gone."""
    key, before, count = change
    names = ExpressionNames()
    attribute = names.name(counter)
    there = f"attribute_exists({names.name(target.key_name)})"
    same = (
        f"attribute_not_exists({attribute})"
        if before is None
        else f"{attribute} = {names.value(before)}"
    )
    request = {
        "TableName": target.name,
        "Key": target.key_of(key),
        "UpdateExpression": f"SET {attribute} = {names.value({'N': str(count)})}",
        "ConditionExpression": f"{there} AND {same}",
        **names.parameters(),
    }
    try:
        await reader.service.write("UpdateItem", request)
    except DynamoDBError as refusal:
        if not (refusal.is_condition or refusal.is_conflict):
            raise
        return False
    return True
