"""Single writes whose answer was lost: a look at the row tells whether they were done.

Each write gives its row a revision that no other write has. A row that has it was written by this
very request; one that has another was not, or was written again since, or will be in a moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UnavailableError
from holdfast.records.drivers.dynamodb.service_refusal import DynamoDBError
from holdfast.records.drivers.dynamodb.table_layout import REVISION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.records.drivers.dynamodb.attribute_codec import AttributeValue, Item
    from holdfast.records.drivers.dynamodb.dynamodb_service import DynamoDBAnswer
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout


async def write_row(
    reader: ItemReader,
    operation: str,
    request: Mapping[str, object],
    *,
    at: tuple[TableLayout[object], object],
    revision: AttributeValue,
) -> DynamoDBAnswer:
    """Send a write, once, that gives the row *at* that key *revision*; return the answer.

    Where it was lost and the row has the revision, the row as it is stands for the answer. Raises
    what `DynamoDBService.write` raises: UnavailableError leaves open whether it was done.
    """
    try:
        return await reader.service.write(operation, request)
    except UnavailableError as error:
        if not _leaves_open(error):
            raise
        found = await _found(reader, *at)
        if found is None or found.get(REVISION) != revision:
            raise
        return {"Attributes": found}


def _leaves_open(error: UnavailableError) -> bool:
    """Return whether the service may have done what it gave no answer to."""
    cause = error.__cause__
    return not isinstance(cause, DynamoDBError) or cause.status >= 500


async def _found(reader: ItemReader, layout: TableLayout[object], key: object) -> Item | None:
    try:
        return await reader.item(layout, key, strong=True)
    except UnavailableError:
        return None
