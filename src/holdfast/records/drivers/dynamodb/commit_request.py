"""Turns a unit of work into the writes of one request, each on its condition."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson

from holdfast.errors import ConflictError, ForeignKeyError, UnsupportedError
from holdfast.records.drivers.dynamodb.filter_expression import ExpressionNames
from holdfast.records.drivers.dynamodb.guards import GUARDS_KEY, OWNER, guards_of
from holdfast.records.drivers.dynamodb.item_reader import LARGEST_WRITE, NAME, absent_table
from holdfast.records.drivers.dynamodb.item_size import LARGEST_ITEM, item_size
from holdfast.records.drivers.dynamodb.lost_answer import write_row
from holdfast.records.drivers.dynamodb.service_refusal import CONDITION, DynamoDBError
from holdfast.records.drivers.dynamodb.table_layout import (
    REVISION,
    StoredRow,
    counter_name,
    new_revision,
    target_of,
)
from holdfast.records.drivers.dynamodb.unit_of_work import (
    Clash,
    Place,
    UnitOfWork,
    marks,
    reference_changes,
    said,
    too_many,
)
from holdfast.records.rows.row_rules import duplicate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.records.drivers.dynamodb.attribute_codec import Item
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.entities.constraint import Unique
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.values.field_spec import FieldSpec

_MOST_BYTES = 4 * 1024 * 1024
_SINGLE = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """One write of a transaction, or a check.

    *refused*: what a failed condition says to a caller whose unit had assumed that it holds.
    *item*: what it leaves. *at*: the row's layout and key, where it writes one.
    """

    kind: Literal["Put", "Update", "Delete", "ConditionCheck"]
    request: dict[str, object]
    where: str
    refused: ConflictError | None = None
    item: Item | None = None
    at: tuple[TableLayout[object], object] | None = None


async def commit(unit: UnitOfWork) -> None:
    """Write all that *unit* leaves, or nothing.

    Raises Clash, UnsupportedError for more than one request holds, and DuplicateError or
    ForeignKeyError where the unit had assumed what is not so.
    """
    writes = item_writes(unit)
    if not writes:
        return
    reader, service = unit.reader, unit.reader.service
    try:
        if len(writes) == 1 and writes[0].kind in _SINGLE:
            (write,) = writes
            request = {**write.request, "ReturnConsumedCapacity": "TOTAL"}
            if write.item is None or write.at is None:
                await service.write(_SINGLE[write.kind], request)
                return
            revision = write.item[REVISION]
            await write_row(reader, _SINGLE[write.kind], request, at=write.at, revision=revision)
            return
        if len(writes) > LARGEST_WRITE:
            raise too_many()
        if _bytes(writes) > _MOST_BYTES:
            raise UnsupportedError("writes of more than 4 MiB at once", NAME)
        items = [{write.kind: write.request} for write in writes]
        token = secrets.token_hex(16)
        request = {
            "TransactItems": items,
            "ClientRequestToken": token,
            "ReturnConsumedCapacity": "TOTAL",
        }
        await service.write("TransactWriteItems", request, repeatable=True)
    except DynamoDBError as refusal:
        raise _meaning(refusal, unit, writes) from refusal


def _bytes(writes: list[ItemWrite]) -> int:
    """Return the bytes that *writes* leave; 0 where it is plain that they are not too many."""
    items = [write.item for write in writes if write.item is not None]
    if len(items) * LARGEST_ITEM <= _MOST_BYTES or len(orjson.dumps(items)) <= _MOST_BYTES:
        return 0
    return sum(map(item_size, items))


def _meaning(refusal: DynamoDBError, unit: UnitOfWork, writes: list[ItemWrite]) -> Exception:
    if refusal.is_conflict:
        return Clash(", ".join(write.where for write in writes[:3]))
    if refusal.is_condition:
        failed = writes
    else:
        codes = [reason.get("Code") for reason in refusal.reasons]
        failed = [write for write, code in zip(writes, codes, strict=False) if code == CONDITION]
    if not failed:
        return absent_table(refusal, None if len(writes) > 1 else _layout_of(unit))
    if unit.assumes and failed[0].refused is not None:
        return failed[0].refused
    return Clash(failed[0].where)


def _layout_of(unit: UnitOfWork) -> TableLayout[object]:
    model, _ = next(iter(unit.written))
    return unit.reader.layout(model)


def item_writes(unit: UnitOfWork) -> list[ItemWrite]:
    """Return the writes and checks that *unit* comes to, rows first, then guards and counts."""
    counts: dict[Place, dict[str, int]] = {}
    released: dict[str, tuple[Model[object], object]] = {}
    taken: dict[str, tuple[Model[object], object, Unique]] = {}
    changed: list[tuple[Place, StoredRow | None, Row | None]] = []
    for place, new in unit.written.items():
        model, key = place
        stored = unit.seen.get(place)
        old = None if stored is None else stored.row
        if old is None and new is None:
            continue
        changed.append((place, stored, new))
        for target, name, by in reference_changes(model, old, new):
            known = counts.setdefault(target, {})
            known[name] = known.get(name, 0) + by
        before, after = guards_of(model, old), guards_of(model, new)
        released |= {guard: (model, key) for guard in before if guard not in after}
        taken |= {g: (model, key, unique) for g, unique in after.items() if g not in before}
    writes = [
        _row_write(unit, place, stored, new, counts.pop(place, {}))
        for place, stored, new in changed
    ]
    writes += _guard_writes(unit, released, taken)
    counted = {
        place: found
        for place, each in counts.items()
        if (found := {name: by for name, by in each.items() if by})
    }
    writes += [_count_write(unit, place, found) for place, found in counted.items()]
    # A row that was gone may be added again, and hold its guard again.
    gone = {
        (model, unit.abandoned[guard])
        for guard, (model, _, _) in taken.items()
        if guard in unit.abandoned
    }
    if writes:
        touched = {place for place, _, _ in changed} | counted.keys()
        writes += [
            _check(unit, place, stored)
            for place, stored in unit.seen.items()
            if place not in touched and (unit.checks or place in gone or place in unit.held)
        ]
    return writes


def _row_write(
    unit: UnitOfWork,
    place: Place,
    stored: StoredRow | None,
    new: Row | None,
    counts: Mapping[str, int],
) -> ItemWrite:
    model, key = place
    layout = unit.reader.layout(model)
    if new is None:
        assert stored is not None
        return _delete(unit, layout, stored, counts)
    item = layout.item(new)
    if stored is None:
        item |= {name: {"N": str(by)} for name, by in counts.items()}
        names = ExpressionNames()
        request = {
            "TableName": layout.name,
            "Item": item,
            "ConditionExpression": f"attribute_not_exists({names.name(layout.key_name)})",
            **names.parameters(),
        }
        taken = duplicate(model, model.key_unique)
        return ItemWrite("Put", request, said(place), taken, item, (layout, key))
    holders = _holders(unit, layout.model) if marks(model, stored.row, new) else ()
    return _update(layout, stored, item, counts, holders)


def _update(
    layout: TableLayout[object],
    stored: StoredRow,
    item: Item,
    counts: Mapping[str, int],
    holders: Iterable[str],
) -> ItemWrite:
    """Overwrite a row that is as it was read, and is counted by *holders* as it was then."""
    key = layout.model.key_of(stored.row)
    before, foreign = layout.item(stored.row), stored.revision is None
    names = ExpressionNames()
    sets = [
        f"{names.name(name)} = {names.value(value)}"
        for name, value in item.items()
        if name != layout.key_name and (foreign or before.get(name) != value)
    ]
    removed = [names.name(name) for name in before if name not in item]
    added = [f"{names.name(name)} {names.value({'N': str(by)})}" for name, by in counts.items()]
    conditions = [unchanged(layout, stored, names)]
    conditions += [_counted(stored, counter, names) for counter in holders]
    parts = [f"SET {', '.join(sets)}"]
    if removed:
        parts.append(f"REMOVE {', '.join(removed)}")
    if added:
        parts.append(f"ADD {', '.join(added)}")
    request = {
        "TableName": layout.name,
        "Key": layout.key_of(key),
        "UpdateExpression": " ".join(parts),
        "ConditionExpression": " AND ".join(conditions),
        **names.parameters(),
    }
    where = said((layout.model, key))
    return ItemWrite("Update", request, where, item=item, at=(layout, key))


def _delete(
    unit: UnitOfWork,
    layout: TableLayout[object],
    stored: StoredRow,
    counts: Mapping[str, int],
) -> ItemWrite:
    """Delete a row that nothing points at once the unit is done. Raises Clash."""
    key = layout.model.key_of(stored.row)
    where = said((layout.model, key))
    names = ExpressionNames()
    conditions = [unchanged(layout, stored, names)]
    for counter in referring_counters(unit, layout.model):
        known = stored.referred.get(counter, 0)
        if known + counts.get(counter, 0) != 0:
            raise Clash(where)
        conditions.append(_counted(stored, counter, names))
    request = {
        "TableName": layout.name,
        "Key": layout.key_of(key),
        "ConditionExpression": " AND ".join(conditions),
        **names.parameters(),
    }
    return ItemWrite("Delete", request, where)


def _counted(stored: StoredRow, counter: str, names: ExpressionNames) -> str:
    """Return the condition that *counter* still is what it was."""
    known = stored.referred.get(counter, 0)
    attribute, value = names.name(counter), names.value({"N": str(known)})
    absent = "" if known else f"attribute_not_exists({attribute}) OR "
    return f"({absent}{attribute} = {value})"


def _holders(unit: UnitOfWork, model: Model[object]) -> list[str]:
    """Return the counts of rows that hold one of *model*, or go with it when it is deleted."""
    return [
        counter_name(layout.model, spec)
        for layout in unit.reader.layouts
        for spec in layout.model.references
        if target_of(spec) is model and _binds(spec)
    ]


def _binds(spec: FieldSpec) -> bool:
    return spec.reference is not None and spec.reference.on_delete != "set null"


def referring_counters(unit: UnitOfWork, model: Model[object]) -> list[str]:
    """Return the counts that rows of *model* may have: one for each reference to them."""
    return [
        counter_name(layout.model, spec)
        for layout in unit.reader.layouts
        for spec in layout.model.references
        if target_of(spec) is model
    ]


def unchanged(layout: TableLayout[object], stored: StoredRow, names: ExpressionNames) -> str:
    """Return the condition that the row is as it was read."""
    if stored.revision is not None:
        return f"{names.name(REVISION)} = {names.value({'S': stored.revision})}"
    key, revision = names.name(layout.key_name), names.name(REVISION)
    return f"attribute_exists({key}) AND attribute_not_exists({revision})"


def _guard_writes(
    unit: UnitOfWork,
    released: Mapping[str, tuple[Model[object], object]],
    taken: Mapping[str, tuple[Model[object], object, Unique]],
) -> list[ItemWrite]:
    writes: list[ItemWrite] = []
    for guard, (model, key, unique) in taken.items():
        names = ExpressionNames()
        before = released.get(guard)
        if before is None and guard in unit.abandoned:
            before = (model, unit.abandoned[guard])
        condition = (
            f"attribute_not_exists({names.name(GUARDS_KEY)})"
            if before is None
            else _owned(unit, before, names)
        )
        owner = unit.reader.layout(model).encode_key(key)
        item: Item = {GUARDS_KEY: {"S": guard}, OWNER: owner}
        request: dict[str, object] = {"TableName": unit.reader.guards, "Item": item}
        request |= {"ConditionExpression": condition, **names.parameters()}
        refused = duplicate(model, unique)
        writes.append(ItemWrite("Put", request, said((model, key)), refused, item))
    for guard, (model, key) in released.items():
        if guard in taken:
            continue
        names = ExpressionNames()
        request = {"TableName": unit.reader.guards, "Key": {GUARDS_KEY: {"S": guard}}}
        request |= {"ConditionExpression": _owned(unit, (model, key), names), **names.parameters()}
        writes.append(ItemWrite("Delete", request, said((model, key))))
    return writes


def _owned(unit: UnitOfWork, place: Place, names: ExpressionNames) -> str:
    model, key = place
    owner = unit.reader.layout(model).encode_key(key)
    return f"{names.name(OWNER)} = {names.value(owner)}"


def _count_write(unit: UnitOfWork, place: Place, counts: Mapping[str, int]) -> ItemWrite:
    """Change what is counted at a row that is else left as it is."""
    model, key = place
    layout = unit.reader.layout(model)
    names = ExpressionNames()
    added = [f"{names.name(name)} {names.value({'N': str(by)})}" for name, by in counts.items()]
    held = f"SET {_revised(names)} " if place in unit.held else ""
    # What is marked as deleted only is still there to be pointed at: its revision tells.
    known = unit.checks or held or model.deleted_at is not None
    stored = unit.seen.get(place) if known else None
    request = {
        "TableName": layout.name,
        "Key": layout.key_of(key),
        "UpdateExpression": f"{held}ADD {', '.join(added)}",
        "ConditionExpression": (
            f"attribute_exists({names.name(layout.key_name)})"
            if stored is None
            else unchanged(layout, stored, names)
        ),
        **names.parameters(),
    }
    refused = _pointing_nowhere(unit, place)
    return ItemWrite("Update", request, said(place), refused)


def _pointing_nowhere(unit: UnitOfWork, place: Place) -> ForeignKeyError | None:
    target, key = place
    for (model, _), row in unit.written.items():
        for spec in model.references:
            if row is not None and target_of(spec) is target and row[spec.position] == key:
                return ForeignKeyError(model.name, (spec.name,))
    return None


def _check(unit: UnitOfWork, place: Place, stored: StoredRow | None) -> ItemWrite:
    """Check that a row is as it was read; one that is held then differs for others who read it."""
    model, key = place
    layout = unit.reader.layout(model)
    names = ExpressionNames()
    condition = (
        f"attribute_not_exists({names.name(layout.key_name)})"
        if stored is None
        else unchanged(layout, stored, names)
    )
    request = {
        "TableName": layout.name,
        "Key": layout.key_of(key),
        "ConditionExpression": condition,
    }
    if stored is None or place not in unit.held:
        return ItemWrite("ConditionCheck", request | names.parameters(), said(place))
    request["UpdateExpression"] = f"SET {_revised(names)}"
    return ItemWrite("Update", request | names.parameters(), said(place))


def _revised(names: ExpressionNames) -> str:
    """Return the assignment by which others who have read the row find it changed."""
    return f"{names.name(REVISION)} = {names.value({'S': new_revision()})}"
