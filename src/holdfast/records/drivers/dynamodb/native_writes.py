"""Writes of one row that concern no other item: one request each, and nothing read before."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar, assert_never, cast

from holdfast.records.drivers.dynamodb.access_path import AccessPath, access_path
from holdfast.records.drivers.dynamodb.attribute_codec import encoder
from holdfast.records.drivers.dynamodb.expiry import EXPIRES
from holdfast.records.drivers.dynamodb.filter_expression import (
    ExpressionNames,
    compiled,
    is_compiled,
)
from holdfast.records.drivers.dynamodb.item_reader import absent_table
from holdfast.records.drivers.dynamodb.lost_answer import write_row
from holdfast.records.drivers.dynamodb.service_refusal import DynamoDBError
from holdfast.records.drivers.dynamodb.table_layout import REVISION, new_revision, target_of
from holdfast.records.expressions.field_changes import EditJson, Increment, SetBy, SetFrom, SetTo
from holdfast.records.rows.evaluate import changed, fits
from holdfast.records.rows.row_rules import check_row
from holdfast.records.values.json_values import INT_MAX, INT_MIN
from holdfast.records.values.value import EXACT, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.driver_requests import Update
    from holdfast.records.drivers.dynamodb.attribute_codec import AttributeValue, Item
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.field_changes import Change
    from holdfast.records.expressions.operands import Join
    from holdfast.records.expressions.predicates import Predicate, Subquery
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

_ADDED = frozenset({Kind.INT, Kind.DECIMAL, Kind.TIMEDELTA})


class NotNative(Exception):  # noqa: N818 - never leaves the driver: it goes the longer way
    """The write needs more than one request."""


async def native_insert(reader: ItemReader, model: Model[object], row: Row) -> bool:
    """Put one row if its key is free; tell whether it was. Raises NotNative, having put nothing."""
    layout = reader.layout(model)
    if not layout.is_plain:
        raise NotNative
    check_row(model, row)
    item = layout.item(row)
    request = {
        "TableName": layout.name,
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#key)",
        "ExpressionAttributeNames": {"#key": layout.key_name},
        "ReturnConsumedCapacity": "TOTAL",
    }
    at = (layout, model.key_of(row))
    try:
        await write_row(reader, "PutItem", request, at=at, revision=item[REVISION])
    except DynamoDBError as refusal:
        if refusal.is_condition:
            return False
        raise _otherwise(refusal, layout) from refusal
    return True


async def native_replace(
    reader: ItemReader, model: Model[E], row: Row, expected: int | None
) -> E | None:
    """Do as `Writer.replace`. Raises NotNative, and then nothing was written."""
    layout = reader.layout(cast("Model[object]", model))
    unseen = {spec.name for spec in model.fields if spec.kept and spec not in model.keys}
    if not layout.is_plain or any(unseen.intersection(check.fields) for check in model.checks):
        raise NotNative
    if any(index.reads(unseen) for index in layout.composed.values()):
        raise NotNative
    check_row(model, row)
    names = ExpressionNames()
    if model.version is None:
        condition = f"attribute_exists({names.name(layout.key_name)})"
    else:
        value = names.value({"N": str(expected)})
        condition = f"{names.name(model.version.name)} = {value}"
    if model.living is not None:
        condition = f"{condition} AND {compiled(model.living, names)}"
    item = layout.item(row)
    kept = {layout.key_name} | unseen
    kept |= {each.name for each in layout.copies if each.spec.name in unseen}
    sets = [f"{names.name(n)} = {names.value(v)}" for n, v in item.items() if n not in kept]
    removed = [names.name(s.name) for s in model.fields if s.name not in item and not s.kept]
    if layout.expires is not None and EXPIRES not in item:
        removed.append(names.name(EXPIRES))
    said = (sets, removed, condition)
    try:
        found = await _updated(reader, layout, model.key_of(row), said, names, item[REVISION])
    except DynamoDBError as refusal:
        if refusal.is_condition:
            return None
        raise _otherwise(refusal, layout) from refusal
    return cast("E", layout.entities((found,))[0])


async def native_patch(reader: ItemReader, update: Update[E]) -> E | None:
    """Do as `Writer.patch`. Raises NotNative, and then nothing was written."""
    layout = reader.layout(cast("Model[object]", update.model))
    path = _single(layout, update.where)
    names = ExpressionNames()
    sets: list[str] = []
    removed: list[str] = []
    conditions = [f"attribute_exists({names.name(layout.key_name)})", *_rest(path, names)]
    bound = _bound(layout)
    for change in update.changes:
        _say(layout, change, bound, (sets, removed, conditions), names)
    revision: AttributeValue = {"S": new_revision()}
    sets.append(f"{names.name(REVISION)} = {names.value(revision)}")
    said = (sets, removed, " AND ".join(conditions))
    try:
        found = await _updated(reader, layout, path.keys[0], said, names, revision)
    except DynamoDBError as refusal:
        if refusal.is_condition:
            _require_refused(layout, refusal.item, update)
            return None
        if refusal.code == "ValidationException":  # such as an item that would grow too large
            raise NotNative from refusal
        raise _otherwise(refusal, layout) from refusal
    return cast("E", layout.entities((found,))[0])


async def native_delete(reader: ItemReader, model: Model[E], where: Predicate) -> int:
    """Do as `Writer.delete`. Raises NotNative, and then nothing was deleted."""
    layout = reader.layout(cast("Model[object]", model))
    referred = any(
        target_of(spec) is layout.model for each in reader.layouts for spec in each.model.references
    )
    if not layout.is_plain or referred:
        raise NotNative
    path = _single(layout, where)
    names = ExpressionNames()
    conditions = [f"attribute_exists({names.name(layout.key_name)})", *_rest(path, names)]
    request = {
        "TableName": layout.name,
        "Key": layout.key_of(path.keys[0]),
        "ConditionExpression": " AND ".join(conditions),
        "ReturnConsumedCapacity": "TOTAL",
        **names.parameters(),
    }
    try:
        await reader.service.write("DeleteItem", request)
    except DynamoDBError as refusal:
        if refusal.is_condition:
            return 0
        raise _otherwise(refusal, layout) from refusal
    return 1


async def _updated(
    reader: ItemReader,
    layout: TableLayout[object],
    key: object,
    said: tuple[list[str], list[str], str],
    names: ExpressionNames,
    revision: AttributeValue,
) -> Item:
    sets, removed, condition = said
    remove = f" REMOVE {', '.join(removed)}" if removed else ""
    request = {
        "TableName": layout.name,
        "Key": layout.key_of(key),
        "UpdateExpression": f"SET {', '.join(sets)}{remove}",
        "ConditionExpression": condition,
        "ReturnValues": "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        "ReturnConsumedCapacity": "TOTAL",
        **names.parameters(),
    }
    at = (layout, key)
    answer = await write_row(reader, "UpdateItem", request, at=at, revision=revision)
    return answer.get("Attributes", {})


def _otherwise(refusal: DynamoDBError, layout: TableLayout[object]) -> Exception:
    """Return what *refusal*, not of the condition, means: done again where another is at work."""
    return NotNative() if refusal.is_conflict else absent_table(refusal, layout)


def _single(layout: TableLayout[object], where: Predicate) -> AccessPath:
    path = access_path(layout, where)
    if path.access != "key" or len(path.keys) != 1:
        raise NotNative
    return path


def _rest(path: AccessPath, names: ExpressionNames) -> list[str]:
    if not path.client:
        return []
    if not is_compiled(path.left):
        raise NotNative
    return [cast("str", compiled(path.left, names))]


def _bound(layout: TableLayout[object]) -> set[str]:
    """Return the fields whose change concerns other items or attributes, or more of the row."""
    model = layout.model
    names = {name for unique in model.all_uniques for name in unique.reads}
    names |= {name for check in model.checks if check.of is None for name in check.fields}
    if layout.expires is not None:
        names.add(layout.expires.name)
    names |= {each.spec.name for index in layout.composed.values() for each in index.sort}
    return names | {spec.name for spec in model.references}


def _say(
    layout: TableLayout[object],
    change: Change,
    bound: set[str],
    said: tuple[list[str], list[str], list[str]],
    names: ExpressionNames,
) -> None:
    sets, removed, conditions = said
    spec = change.column.spec
    if spec.name in bound:
        raise NotNative
    attribute = names.name(spec.name)
    copy = next((each for each in layout.copies if each.spec is spec), None)
    match change:
        case SetTo(_, value):
            if value is None:
                removed.append(attribute)
            else:
                sets.append(f"{attribute} = {names.value(encoder(spec)(value))}")
            if copy is not None:
                sets.append(f"{names.name(copy.name)} = {names.value(copy.encode(value))}")
        case Increment(_, amount):
            bounds = spec.type.bounds
            free = bounds.least is None and bounds.most is None and copy is None
            if spec.type.kind not in _ADDED or spec.type.nullable or not free:
                raise NotNative
            added = encoder(spec)(amount)
            sets.append(f"{attribute} = {attribute} + {names.value(added)}")
            conditions.append(_in_range(spec, Decimal(cast("str", added["N"])), attribute, names))
        case SetFrom() | SetBy() | EditJson():
            raise NotNative
        case _:
            assert_never(change)


def _in_range(spec: FieldSpec, amount: Decimal, attribute: str, names: ExpressionNames) -> str:
    """Return the condition that the sum is one that the field can hold."""
    least, most = Decimal(INT_MIN), Decimal(INT_MAX)
    if spec.type.kind is Kind.DECIMAL:
        bounds = spec.type.bounds
        step = Decimal(1).scaleb(-(bounds.scale or 0))
        most = EXACT.subtract(Decimal(10) ** ((bounds.precision or 0) - (bounds.scale or 0)), step)
        least = -most
    if amount < 0:
        return f"{attribute} >= {names.value({'N': f'{EXACT.subtract(least, amount):f}'})}"
    return f"{attribute} <= {names.value({'N': f'{EXACT.subtract(most, amount):f}'})}"


def _require_refused(layout: TableLayout[object], item: Item | None, update: Update[E]) -> None:
    """Return when the condition failed as no row fits.

    Raises InvalidValueError when a sum can't be kept, NotNative when neither is so.
    """
    if item is None:
        return
    (row,) = layout.rows((item,))
    if fits(update.where, _nowhere)(row):
        changed(row, update.changes)
        raise NotNative


def _nowhere(_join: Join | Subquery[object], _value: object) -> Sequence[Row]:
    return ()
