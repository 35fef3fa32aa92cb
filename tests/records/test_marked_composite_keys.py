"""Deletion by a mark, of rows with composite keys that point at several of what goes with them."""

from datetime import datetime
from uuid import uuid4

import pytest

from dynamodb_servers import store_url
from holdfast import Entity, Field, deleted_at, key, open_store, ref
from holdfast.errors import ForeignKeyError
from servers import empty_store

pytestmark = pytest.mark.anyio


class Project(Entity, table="marked_projects"):
    id: Field[int] = key()
    deleted_at: Field[datetime | None] = deleted_at()


class Video(Entity, table="marked_videos"):
    id: Field[int] = key()
    project: Field[int] = ref(Project, on_delete="cascade")
    deleted_at: Field[datetime | None] = deleted_at()


class Shot(Entity, table="marked_shots"):
    """Goes with its project, and else keeps its video."""

    project: Field[int] = ref(Project, key=True, on_delete="cascade")
    number: Field[int] = key()
    video: Field[int] = ref(Video)
    deleted_at: Field[datetime | None] = deleted_at()


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb", "mysql", "dynamodb"])
async def store(request, tmp_path):
    entities = [Project, Video, Shot]
    if request.param == "dynamodb":
        url = store_url("dynoxide", f"marked{uuid4().hex[:8]}")
        async with open_store(url, entities) as store:
            await store.create_schema()
            yield store
            await store.drop_schema()
        return
    with empty_store(request.param, tmp_path) as url:
        async with open_store(url, entities) as store:
            await store.create_schema()
            yield store


async def test_rows_that_go_together_hold_one_another_back_no_more_than_others_do(store):
    projects, videos, shots = map(store.repository, (Project, Video, Shot))
    await projects.add_many([Project(id=1), Project(id=2)])
    await videos.add_many([Video(id=1, project=1), Video(id=2, project=1), Video(id=3, project=2)])
    await shots.add_many([Shot(project=1, number=number, video=1) for number in (1, 2)])
    await shots.add(Shot(project=2, number=1, video=3))
    with pytest.raises(ForeignKeyError):
        await videos.delete(1)
    foreign = await shots.add(Shot(project=2, number=2, video=2))
    with pytest.raises(ForeignKeyError):  # a shot of another project keeps its video
        await projects.delete(1)
    assert (await projects.count(), await videos.count(), await shots.count()) == (2, 3, 4)
    await shots.delete((foreign.project, foreign.number))
    assert await projects.delete(1)
    assert [video.id for video in await videos.find()] == [3]
    assert [(shot.project, shot.number) for shot in await shots.find()] == [(2, 1)]
    await projects.restore(1)
    assert (await projects.count(), await videos.count(), await shots.count()) == (2, 3, 3)
