"""Makes tables and indexes, waits until they can be used, and removes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError, UnavailableError
from holdfast.records.drivers.dynamodb.backfill import (
    backfill,
    parts_of,
    record_parts,
    recorded_parts,
)
from holdfast.records.drivers.dynamodb.expiry import enable_expiry
from holdfast.records.drivers.dynamodb.guards import GUARDS_KEY, GUARDS_TABLE, table_of_guard
from holdfast.records.drivers.dynamodb.service_refusal import DynamoDBError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.records.drivers.dynamodb.dynamodb_service import (
        DynamoDBService,
        TableDescription,
    )
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.drivers.dynamodb.table_index import TableIndex
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.options import DynamoDBOptions

_LONGEST_WAIT = 600.0  # seconds for one table; an index that is filled takes longest
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def table_request(layout: TableLayout[object], options: DynamoDBOptions) -> dict[str, object]:
    """Return the request that makes the table of *layout*, with all its indexes."""
    letters = {layout.key_name: layout.key_letter}
    for index in layout.indexes:
        letters |= index.letters
    request = _request(layout.name, layout.key_name, letters, options)
    if layout.indexes:
        request["GlobalSecondaryIndexes"] = [_index_request(each) for each in layout.indexes]
    return request


def guards_request(name: str, options: DynamoDBOptions) -> dict[str, object]:
    """Return the request that makes the table of guard items."""
    return _request(name, GUARDS_KEY, {GUARDS_KEY: "S"}, options)


def _request(
    name: str, key: str, letters: Mapping[str, str], options: DynamoDBOptions
) -> dict[str, object]:
    request: dict[str, object] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": _definitions(letters),
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
    }
    if options.deletion_protection:
        request["DeletionProtectionEnabled"] = True
    if options.tags:
        request["Tags"] = _tags(options)
    return request


def _definitions(letters: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": n, "AttributeType": letter} for n, letter in letters.items()]


def _index_request(index: TableIndex) -> dict[str, object]:
    first, *rest = index.letters
    keys = [{"AttributeName": first, "KeyType": "HASH"}]
    keys += [{"AttributeName": name, "KeyType": "RANGE"} for name in rest]
    return {
        "IndexName": index.name,
        "KeySchema": keys,
        "Projection": {"ProjectionType": "ALL"},
    }


async def create_tables(reader: ItemReader, options: DynamoDBOptions) -> None:
    """Make the tables and indexes that are missing, and return when all can be used.

    Rows that are there get what their entity declares since they were written (`backfill`), before
    an index that goes by it is added, which the service fills. Raises UnavailableError when a
    table takes longer than ten minutes, and as `backfill` does.
    """
    service, layouts = reader.service, reader.layouts
    asked = {reader.guards: guards_request(reader.guards, options)}
    asked |= {layout.name: table_request(layout, options) for layout in layouts}
    made = {name for name, request in asked.items() if await _create(service, request, options)}
    found = {name: await _active(service, name) for name in asked}
    recorded = await recorded_parts(reader, layouts)
    for layout in layouts:
        if layout.name not in made:
            missing = parts_of(layout) - recorded[layout.name]
            if missing:
                await backfill(reader, layout, missing)
            await _add_indexes(service, layout, found[layout.name], options)
        if layout.expires is not None:
            await enable_expiry(service, layout.name)
    for name, description in found.items():
        await _apply_options(service, description, options, is_new=name in made)
    changed = [each for each in layouts if parts_of(each) != recorded[each.name]]
    await record_parts(reader, changed)


async def _apply_options(
    service: DynamoDBService,
    found: TableDescription,
    options: DynamoDBOptions,
    *,
    is_new: bool,
) -> None:
    """Switch on what the options ask for; what they leave out stays as it is."""
    name = found.get("TableName")
    request: dict[str, object]
    if options.point_in_time_recovery:
        said = {"PointInTimeRecoveryEnabled": True}
        request = {"TableName": name, "PointInTimeRecoverySpecification": said}
        await service.write("UpdateContinuousBackups", request, repeatable=True)
    if is_new:  # was made with the others
        return
    if options.deletion_protection and not found.get("DeletionProtectionEnabled"):
        request = {"TableName": name, "DeletionProtectionEnabled": True}
        await service.write("UpdateTable", request, repeatable=True)
    if options.tags:
        request = {"ResourceArn": found.get("TableArn"), "Tags": _tags(options)}
        await service.write("TagResource", request, repeatable=True)


def _tags(options: DynamoDBOptions) -> list[dict[str, str]]:
    return [{"Key": tag, "Value": text} for tag, text in options.tags]


async def _create(
    service: DynamoDBService, request: Mapping[str, object], options: DynamoDBOptions
) -> bool:
    try:
        await service.write("CreateTable", request, repeatable=True)
    except DynamoDBError as refusal:
        if refusal.code != "ResourceInUseException":  # it is there
            raise _index_refusal(refusal, options) from refusal
        return False
    return True


async def _add_indexes(
    service: DynamoDBService,
    layout: TableLayout[object],
    found: TableDescription,
    options: DynamoDBOptions,
) -> None:
    """Add the indexes that the table lacks, one after another, as the service wants it."""
    there = {each.get("IndexName") for each in found.get("GlobalSecondaryIndexes", [])}
    for index in layout.indexes:
        if index.name in there:
            continue
        letters = index.letters | {layout.key_name: layout.key_letter}
        request = {
            "TableName": layout.name,
            "AttributeDefinitions": _definitions(letters),
            "GlobalSecondaryIndexUpdates": [{"Create": _index_request(index)}],
        }
        try:
            await service.write("UpdateTable", request)
        except DynamoDBError as refusal:
            raise _index_refusal(refusal, options) from refusal
        await _active(service, layout.name)


def _index_refusal(refusal: DynamoDBError, options: DynamoDBOptions) -> Exception:
    """Return what *refusal* of a table or an index says, with the way out if it is of its form."""
    if refusal.code != "ValidationException" or options.indexes == "composed":
        return refusal
    return ConfigurationError(
        f"{refusal}. A service without indexes of several attributes needs indexes='composed'"
    )


async def _active(service: DynamoDBService, name: str) -> TableDescription:
    """Return the description of the table once it and its indexes can be used."""
    waited = 0.0
    for attempt in range(10_000):
        found = await describe(service, name)
        if found is not None:
            states = {found.get("TableStatus")}
            states |= {
                each.get("IndexStatus", "ACTIVE")
                for each in found.get("GlobalSecondaryIndexes", [])
            }
            if states == {"ACTIVE"}:
                return found
        waited = await _pause(service, name, attempt, waited)
    raise UnavailableError(f"the table {name} is still being made")


async def _pause(service: DynamoDBService, name: str, attempt: int, waited: float) -> float:
    if waited >= _LONGEST_WAIT:
        raise UnavailableError(f"the table {name} is not ready after {waited:.0f} s")
    seconds = _PAUSES[min(attempt, len(_PAUSES) - 1)]
    await service.network.sleep(seconds)
    return waited + seconds


async def describe(service: DynamoDBService, name: str) -> TableDescription | None:
    """Return what the service tells of the table, None when it is not there."""
    try:
        answer = await service.read("DescribeTable", {"TableName": name})
    except DynamoDBError as refusal:
        if refusal.is_absent_table:
            return None
        raise
    return answer.get("Table", {})


async def drop_tables(reader: ItemReader, beginning: str) -> None:
    """Remove the tables of the store's entities and their guards, and return when they are gone.

    The table of guards goes with the last other table whose name has the *beginning* of all that
    may use it; until then only the guards of the store's own entities are removed.
    """
    service = reader.service
    await _drop(service, [layout.name for layout in reader.layouts])
    if await _is_last(service, reader.guards, beginning):
        await _drop(service, [reader.guards])
    else:
        await _drop_guards(reader)


async def _is_last(service: DynamoDBService, guards: str, beginning: str) -> bool:
    """Return whether only tables of guards are left. It asks for the names of all tables."""
    request: dict[str, object] = {}
    while True:
        answer = await service.read("ListTables", request)
        for name in answer.get("TableNames", []):
            own = name == guards or name.endswith(f".{GUARDS_TABLE}")
            if name.startswith(beginning) and not own:
                return False
        last = answer.get("LastEvaluatedTableName")
        if last is None:
            return True
        request["ExclusiveStartTableName"] = last


async def _drop_guards(reader: ItemReader) -> None:
    """Remove what the table of guards has of the store's entities. It reads all of the table."""
    tables = {layout.model.table for layout in reader.layouts}
    request: dict[str, object] = {
        "TableName": reader.guards,
        "ConsistentRead": True,
        "ProjectionExpression": "#key",
        "ExpressionAttributeNames": {"#key": GUARDS_KEY},
        "ReturnConsumedCapacity": "TOTAL",
    }
    while True:
        try:
            answer = await reader.service.read("Scan", request)
        except DynamoDBError as refusal:
            if refusal.is_absent_table:
                return
            raise
        keys = [item for item in answer.get("Items", []) if table_of_guard(item) in tables]
        await reader.write_batches(reader.guards, [{"DeleteRequest": {"Key": key}} for key in keys])
        last = answer.get("LastEvaluatedKey")
        if last is None:
            return
        request["ExclusiveStartKey"] = last


async def _drop(service: DynamoDBService, names: Sequence[str]) -> None:
    """Remove the tables, and return when they are gone."""
    going: list[str] = []
    for name in names:
        try:
            await service.write("DeleteTable", {"TableName": name}, repeatable=True)
        except DynamoDBError as refusal:
            if refusal.is_absent_table:
                continue
            raise
        going.append(name)
    for name in going:
        waited = 0.0
        for attempt in range(10_000):
            if await describe(service, name) is None:
                break
            waited = await _pause(service, name, attempt, waited)
