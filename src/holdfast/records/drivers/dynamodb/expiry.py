"""Rows that the service removes by itself, some time after the moment that one of their fields has.

It goes by an attribute of whole seconds, and removes the item alone: what other items say of it,
guards and counts, stays. So a guard whose row is gone counts as free, and entities that point at
others, or are pointed at, can't have their rows removed so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from holdfast.errors import ConfigurationError
from holdfast.records.entities.model import model_of
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from holdfast.records.drivers.dynamodb.attribute_codec import AttributeValue
    from holdfast.records.drivers.dynamodb.dynamodb_service import DynamoDBService
    from holdfast.records.entities.model import Model
    from holdfast.records.options import ExpiryField
    from holdfast.records.values.field_spec import FieldSpec

EXPIRES = "~expires"
"""The attribute that the service goes by: seconds since 1970."""
_ON = ("ENABLED", "ENABLING")


def expiry_fields(
    models: Sequence[Model[object]], fields: Sequence[ExpiryField]
) -> dict[Model[object], FieldSpec]:
    """Return the field of each model whose rows expire. Raises ConfigurationError."""
    by_name = {model.name: model for model in models}
    found: dict[Model[object], FieldSpec] = {}
    for each in fields:
        column = each.column
        model = by_name.get(column.entity)
        if model is None or column.spec not in model.fields:
            raise ConfigurationError(f"expires: {each} is of no entity of this store")
        if column.spec.type.kind is not Kind.DATETIME:
            raise ConfigurationError(f"expires: {each} is not a datetime")
        if model in found:
            raise ConfigurationError(f"expires: {model.name} has two fields there")
        pointing = [spec.name for spec in model.references]
        pointing += [
            f"{other.name}.{spec.name}"
            for other in models
            for spec in other.references
            if spec.reference is not None and model_of(spec.reference.target()) is model
        ]
        if pointing:
            raise ConfigurationError(
                f"expires: {each}: rows that the service removes are not counted down where they "
                f"point, nor looked for where they are pointed at ({', '.join(pointing)}); keep "
                "the key in a field without ref()"
            )
        found[model] = column.spec
    return found


def expiry_value(moment: object) -> AttributeValue:
    """Return the attribute for *moment*: the next whole second, as the row lives until then."""
    return {"N": str(math.ceil(cast("datetime", moment).timestamp()))}


async def enable_expiry(service: DynamoDBService, table: str) -> None:
    """Let the service remove what has expired from *table*, unless it does so already."""
    found = await service.read("DescribeTimeToLive", {"TableName": table})
    if found.get("TimeToLiveDescription", {}).get("TimeToLiveStatus") in _ON:
        return
    said = {"AttributeName": EXPIRES, "Enabled": True}
    request = {"TableName": table, "TimeToLiveSpecification": said}
    await service.write("UpdateTimeToLive", request, repeatable=True)
