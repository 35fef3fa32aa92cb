"""Numbers the rows whose key the store generates, by a counter item for each table.

As of a sequence, numbers are given once and for all: a write that fails leaves a gap. One item
counts, which bounds how many rows of a table can be added a second; UUIDs have no such bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from holdfast.records.drivers.dynamodb.guards import GUARDS_KEY, NUMBER, number_key
from holdfast.records.drivers.dynamodb.item_reader import absent_table
from holdfast.records.drivers.dynamodb.service_refusal import DynamoDBError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.entities.model import Model, Row


async def numbered(reader: ItemReader, model: Model[object], rows: Sequence[Row]) -> Sequence[Row]:
    """Return *rows*, each with a key; numbers that were given count as given."""
    if model.keys[0].role != "generated":
        return rows
    at = model.key.position
    given = [cast("int", row[at]) for row in rows if row[at] is not None]
    if given:
        await _reach(reader, model, max(given))
    missing = len(rows) - len(given)
    if not missing:
        return rows
    number = await _take(reader, model, missing) - missing
    made: list[Row] = []
    for row in rows:
        if row[at] is None:
            number += 1
            row = (*row[:at], number, *row[at + 1 :])  # noqa: PLW2901
        made.append(row)
    return made


async def _take(reader: ItemReader, model: Model[object], count: int) -> int:
    """Return the last of *count* numbers that nobody else gets."""
    request = _request(reader, model) | {
        "UpdateExpression": "ADD #number :count",
        "ExpressionAttributeNames": {"#number": NUMBER},
        "ExpressionAttributeValues": {":count": {"N": str(count)}},
        "ReturnValues": "UPDATED_NEW",
    }
    try:  # sent again it leaves a gap, no more
        answer = await reader.service.write("UpdateItem", request, repeatable=True)
    except DynamoDBError as refusal:
        raise absent_table(refusal, None) from refusal
    return int(cast("str", answer.get("Attributes", {})[NUMBER]["N"]))


async def _reach(reader: ItemReader, model: Model[object], number: int) -> None:
    """Let no number up to *number* be given later."""
    request = _request(reader, model) | {
        "UpdateExpression": "SET #number = :number",
        "ConditionExpression": "attribute_not_exists(#number) OR #number < :number",
        "ExpressionAttributeNames": {"#number": NUMBER},
        "ExpressionAttributeValues": {":number": {"N": str(number)}},
    }
    try:
        await reader.service.write("UpdateItem", request, repeatable=True)
    except DynamoDBError as refusal:
        if not refusal.is_condition:
            raise absent_table(refusal, None) from refusal


def _request(reader: ItemReader, model: Model[object]) -> dict[str, object]:
    return {
        "TableName": reader.guards,
        "Key": {GUARDS_KEY: {"S": number_key(model)}},
        "ReturnConsumedCapacity": "TOTAL",
    }
