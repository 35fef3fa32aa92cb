"""Schemas: tables of one name in two of them are two, and references lead from one to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import DuplicateError, ForeignKeyError, InvalidValueError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Choice, Preset, Setting

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab


@case("SCHEMA-3")
async def tables_of_one_name_in_two_schemas_are_two(lab: Lab) -> None:
    presets, settings = lab.repository(Preset), lab.repository(Setting)
    await settings.add_many([Setting(name="a"), Setting(name="b", value="here")])
    assert await presets.count() == 0
    first = await presets.add(Preset(name="a", rank=3))
    assert await presets.find() == [first]
    assert await settings.count() == 2
    async with lab.refused(DuplicateError) as caught:
        await presets.add(Preset(name="a"))
    assert (caught.error.entity, caught.error.fields) == ("Preset", ("name",))
    async with lab.refused(InvalidValueError):
        await presets.patch(first.id, Preset.rank.increment(-4))
    again = await presets.upsert(Preset(name="a", rank=5), on=Preset.name)
    assert (again.created, again.entity.id, again.entity.version) == (False, first.id, 2)
    assert await presets.delete_where(Preset.rank > 0) == 1
    assert [each.name for each in await settings.find()] == ["a", "b"]


@case("SCHEMA-3")
async def relations_lead_into_another_schema(lab: Lab) -> None:
    presets, choices = lab.repository(Preset), lab.repository(Choice)
    low, high = (
        await presets.add_many([Preset(name="low", rank=1), Preset(name="high", rank=9)])
    ).entities
    one = await choices.add(Choice(preset_id=high.id, weight=2))
    await choices.add_many([Choice(preset_id=low.id), Choice(preset_id=high.id, weight=3)])
    async with lab.refused(ForeignKeyError) as caught:
        await choices.add(Choice(preset_id=high.id + 1000))
    assert caught.error.fields == ("preset_id",)
    assert await choices.count(Choice.preset.has(Preset.rank > 5)) == 2
    assert await presets.find(Preset.choices.any(Choice.weight == 1)) == [low]
    along = await choices.find(order_by=[Choice.preset[Preset.rank].desc(), Choice.id])
    assert [each.preset_id for each in along] == [high.id, high.id, low.id]
    heavy = await presets.select(Preset.name, Preset.choices.sum(Choice.weight))
    assert sorted(heavy) == [("high", 5), ("low", 1)]
    loaded = await presets.find(load=[Preset.choices], order_by=Preset.name)
    assert [len(each.choices) for each in loaded] == [2, 1]
    assert (await choices.get_one(one.id, load=[Choice.preset])).preset == high
    assert (
        await choices.update_where(
            Choice.preset.has(Preset.name == "low"), changes=Choice.weight.to(7)
        )
        == 1
    )
    await presets.delete(high.id)
    assert [each.weight for each in await choices.find()] == [7]
