"""SQLModel's classes: declare, create, read, update, delete, and a relation."""

import pytest
from sqlalchemy.orm import selectinload
from sqlmodel import Field, Relationship, SQLModel, col

from holdfast import open_store
from holdfast.errors import ConfigurationError, DuplicateError, InvalidValueError


class Squad(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=50)
    heroes: list["Hero"] = Relationship(back_populates="squad")


class Hero(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True)
    age: int | None = None
    squad_id: int | None = Field(default=None, foreign_key="squad.id")
    squad: Squad | None = Relationship(back_populates="heroes")


class HeroPublic(SQLModel):
    id: int
    name: str


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/store.db"


async def test_a_sqlmodel_lives_in_a_repository(url):
    async with open_store(url, [Hero, Squad]) as store:
        await store.create_schema()
        squads, heroes = store.repository(Squad), store.repository(Hero)
        squad = await squads.add(Squad(name="blue"))
        given = Hero(name="Ann", age=30, squad_id=squad.id)
        hero = await heroes.add(given)
        assert hero.id is not None
        assert given.id is None
        assert HeroPublic.model_validate(hero, from_attributes=True).name == "Ann"
        assert hero.model_dump() == {"id": hero.id, "name": "Ann", "age": 30, "squad_id": squad.id}
        await heroes.add_many([Hero(name="Bob"), Hero(name="Cy", age=40)])
        found = await heroes.find(col(Hero.age) > 20, order_by=col(Hero.age).desc())
        assert [each.name for each in found] == ["Cy", "Ann"]
        hero.age = 31
        assert (await heroes.update(hero)).age == 31
        assert (await heroes.patch(hero.id, {Hero.age: col(Hero.age) + 1})).age == 32
        (loaded,) = await heroes.find(Hero.name == "Ann", load=[selectinload(Hero.squad)])
        assert loaded.squad.name == "blue"
        (blue,) = await squads.find(load=[Squad.heroes])
        assert [each.name for each in blue.heroes] == ["Ann"]
        with pytest.raises(DuplicateError):
            await squads.add(Squad(name="blue"))
        assert await heroes.delete(hero.id) is True
        assert await heroes.get(hero.id) is None
        await store.drop_schema()


def test_a_sqlmodel_without_a_table_is_refused():
    with pytest.raises(ConfigurationError, match="table=True"):
        open_store("memory://", [HeroPublic])


class Short(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=5)


async def test_the_field_that_is_wrong_is_named_and_not_the_key_to_be_numbered():
    async with open_store("memory://", [Short]) as store:
        await store.create_schema()
        shorts = store.repository(Short)
        wrong = Short(name="toolong")
        for refused in (
            shorts.add(wrong),
            shorts.add_many([Short(name="fits"), wrong]),
            shorts.upsert_many([wrong]),
            shorts.add(Short()),
        ):
            with pytest.raises(InvalidValueError, match=r"^Short\.name: ") as info:
                await refused
            assert info.value.field == "name"
        stored = await shorts.add(Short(name="fits"))
        stored.id = None
        with pytest.raises(InvalidValueError, match=r"^Short\.id: "):
            await shorts.update(stored)
        assert await shorts.count() == 1
