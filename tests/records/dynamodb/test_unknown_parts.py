"""What the driver was not written for is refused, not ignored."""

from dataclasses import dataclass, replace

import pytest

from holdfast.errors import UnsupportedError
from holdfast.records import driver_requests
from holdfast.records.conformance.sample_entities import Setting, entities_for
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.dynamodb.unknown_parts import refuse_unknown, refuse_unknown_model
from holdfast.records.entities.model import model_of

ENTITIES = entities_for(frozenset(StoreCapability) - {StoreCapability.SEQUENCES})


@dataclass(frozen=True)
class Select(driver_requests.Select):
    """What queries may be some day."""

    sample: object = None


def test_a_new_part_of_a_query_is_refused_where_it_is_used():
    refuse_unknown(driver_requests.Select(model_of(Setting)))
    refuse_unknown(Select(model_of(Setting)))
    with pytest.raises(UnsupportedError, match="'sample' of a Select"):
        refuse_unknown(Select(model_of(Setting), sample="some"))


def test_a_new_role_of_a_field_is_refused():
    for entity in ENTITIES:
        refuse_unknown_model(model_of(entity))
    model = model_of(Setting)
    first, *rest = model.fields
    marked = replace(first, declaration=replace(first.declaration, role="archived_at"))
    with pytest.raises(UnsupportedError, match="archived_at"):
        refuse_unknown_model(replace(model, fields=(marked, *rest)))
