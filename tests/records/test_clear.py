"""`clear` where entities point at one another in a circle, and where it is refused."""

import pytest

from holdfast import Entity, Field, field, key, open_store, ref
from holdfast.errors import ForeignKeyError
from holdfast.sync import open_store as open_blocking
from servers import empty_store

pytestmark = pytest.mark.anyio


class Team(Entity, table="clear_teams"):
    id: Field[int] = key()
    captain_id: Field[int | None] = ref("Player", default=None)
    sponsor_id: Field[int | None] = ref("Player", default=None)


class Player(Entity, table="clear_players"):
    id: Field[int] = key()
    team_id: Field[int] = ref(Team)
    name: Field[str] = field(default="")


class Fan(Entity, table="clear_fans"):
    id: Field[int] = key()
    player_id: Field[int] = ref(Player)


ENTITIES = (Team, Player, Fan)


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb"])
def url(request, tmp_path):
    with empty_store(request.param, tmp_path) as found:
        yield found


async def fill(store):
    await store.repository(Team).add_many([Team(id=1), Team(id=2)])
    await store.repository(Player).add_many([Player(id=1, team_id=1), Player(id=2, team_id=2)])
    await store.repository(Team).patch(1, Team.captain_id.to(1), Team.sponsor_id.to(2))
    await store.repository(Team).patch(2, Team.captain_id.to(1))
    await store.repository(Fan).add(Fan(id=1, player_id=2))


async def counts(store):
    return [await store.repository(entity).count() for entity in ENTITIES]


async def test_entities_in_a_circle_are_cleared_and_a_rollback_brings_them_back(url):
    async with open_store(url, ENTITIES) as store:
        await store.create_schema()
        await fill(store)
        with pytest.raises(RuntimeError, match="mine"):
            async with store.transaction():
                await store.clear()
                assert await counts(store) == [0, 0, 0]
                raise RuntimeError("mine")
        assert await counts(store) == [2, 2, 1]
        assert (await store.repository(Team).get_one(1)).captain_id == 1
        await store.clear()
        assert await counts(store) == [0, 0, 0]
        await fill(store)


async def test_rows_that_others_point_at_are_refused_and_nothing_is_deleted(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url, ENTITIES) as store:
        await store.create_schema()
        await fill(store)
        async with open_store(url, (Team, Player)) as less:
            with pytest.raises(ForeignKeyError):
                await less.clear()
        assert await counts(store) == [2, 2, 1]
        assert (await store.repository(Team).get_one(1)).captain_id == 1


def test_the_blocking_store_clears_too():
    with open_blocking("memory://", ENTITIES) as store:
        store.create_schema()
        store.repository(Team).add(Team(id=1))
        store.clear()
        assert store.repository(Team).count() == 0
