"""What a store was not made for is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Setting
from holdfast.records.entities.declaration import key
from holdfast.records.entities.entity import Entity
from holdfast.records.entities.field import Field

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab


class Stranger(Entity, table="conformance_strangers"):
    id: Field[int] = key()


@case("CAP-2")
async def an_entity_that_the_store_was_not_opened_with_is_refused(lab: Lab) -> None:
    async with lab.refused(ConfigurationError):
        lab.repository(Stranger)
    async with lab.refused(ConfigurationError):
        lab.repository(str)


@case("CAP-2")
async def a_store_without_its_schema_says_so(lab: Lab) -> None:
    await lab.store.drop_schema()
    repository = lab.repository(Setting)
    for work in (
        lambda: repository.find(),
        lambda: repository.get("a"),
        lambda: repository.add(Setting(name="a")),
        lambda: repository.count(),
    ):
        try:
            await work()
        except ConfigurationError as error:
            assert "create_schema" in str(error), error
        else:
            raise AssertionError("a table that is not there was used")
    await lab.store.create_schema()
