"""The questions that the first users ask of projects, videos and clips: one statement each."""

import logging
import sqlite3

import pytest

from holdfast import Entity, Field, Many, One, field, generated_key, many, one, open_store, ref

KINDS = ("sqlite", "postgresql", "mariadb", "mysql")


class Project(Entity, table="seed_projects"):
    id: Field[int] = generated_key()
    name: Field[str] = field(max_length=50, unique=True)
    videos: Many["Video"] = many(via="project_id")
    clips: Many["Clip"] = many(via="project_id")


class Video(Entity, table="seed_videos", indexes=[("project_id", "title")]):
    id: Field[int] = generated_key()
    project_id: Field[int] = ref(Project)
    title: Field[str] = field(max_length=50)
    duration: Field[float]
    project: One[Project] = one(via="project_id")
    clips: Many["Clip"] = many(via="video_id")


class Clip(Entity, table="seed_clips"):
    id: Field[int] = generated_key()
    project_id: Field[int] = ref(Project)
    video_id: Field[int] = ref(Video)
    start: Field[float]
    end: Field[float]
    project: One[Project] = one(via="project_id")
    video: One[Video] = one(via="video_id")


@pytest.fixture(params=KINDS)
async def asked(request, tmp_path, monkeypatch, caplog):
    """A store with three projects, and the list of statements that were sent since its making."""
    said = []
    if request.param == "sqlite":
        url, connect = f"sqlite:///{tmp_path}/seed.db", sqlite3.connect

        def watched(*args, **kwargs):
            connection = connect(*args, **kwargs)
            connection.set_trace_callback(said.append)
            return connection

        monkeypatch.setattr(sqlite3, "connect", watched)
    else:
        url = f"{request.getfixturevalue(f'{request.param}_url')}?echo=true"
    async with open_store(url, [Project, Video, Clip]) as store:
        await store.create_schema()
        projects, videos, clips = map(store.repository, (Project, Video, Clip))
        north, south, _ = (
            await projects.add_many([Project(name=name) for name in ("north", "south", "west")])
        ).entities
        made = (
            await videos.add_many(
                [
                    Video(project_id=owner.id, title=title, duration=60.0)
                    for owner, titles in ((north, "abc"), (south, "d"))
                    for title in titles
                ]
            )
        ).entities
        await clips.add_many(
            [
                Clip(project_id=video.project_id, video_id=video.id, start=start, end=start + 10.0)
                for video in (made[0], made[1], made[3])
                for start in (0.0, 20.0, 55.0)
            ]
        )
        said.clear()
        caplog.set_level(logging.INFO, "holdfast.records.sql")
        caplog.clear()

        def statements():
            """Return what was asked of the tables; the transaction of two reads is no question."""
            sent = [*said, *(record.getMessage() for record in caplog.records)]
            said.clear()
            caplog.clear()
            return [each for each in sent if "FROM seed_" in each]

        yield store, statements
        await store.drop_schema()


async def test_projects_come_with_their_numbers_of_videos_and_clips(asked):
    store, statements = asked
    found = await store.repository(Project).select(
        Project.name, Project.videos.count(), Project.clips.count(), order_by=Project.name
    )
    assert found == [("north", 3, 6), ("south", 1, 3), ("west", 0, 0)]
    assert len(statements()) == 1


async def test_a_project_comes_with_its_videos_in_one_statement_more(asked):
    store, statements = asked
    project = await store.repository(Project).one(Project.name == "north", load=[Project.videos])
    assert [video.title for video in project.videos] == ["a", "b", "c"]
    assert len(statements()) == 2  # one for the project, one for its relation
    of_it = Video.project.has(Project.name == "north")
    rows = await store.repository(Video).select(
        Video.project[Project.name], Video.title, where=of_it, order_by=Video.title
    )
    assert rows == [("north", title) for title in "abc"]
    assert len(statements()) == 1


async def test_clips_of_a_video_or_a_project_are_found(asked):
    store, statements = asked
    clips = store.repository(Clip)
    of_video = await clips.find(Clip.video.has(Video.title == "d"), order_by=Clip.start)
    assert [clip.start for clip in of_video] == [0.0, 20.0, 55.0]
    assert len(statements()) == 1
    of_project = Clip.video.has(Video.project.has(Project.name == "north"))
    assert len(await clips.find(of_project)) == 6
    assert len(statements()) == 1
    either = Clip.video.has((Video.title == "a") | Video.project.has(Project.name == "south"))
    assert await clips.count(either) == 6
    assert len(statements()) == 1


async def test_clips_that_overlap_a_range_are_found(asked):
    store, statements = asked
    first, last = 9.0, 21.0
    found = await store.repository(Clip).select(
        Clip.video[Video.title],
        Clip.start,
        where=(Clip.start < last) & (Clip.end > first),
        order_by=[Clip.video[Video.title].asc(), Clip.start.asc()],
    )
    assert found == [(title, start) for title in "abd" for start in (0.0, 20.0)]
    assert len(statements()) == 1


async def test_bounds_of_a_clip_are_held_against_its_video(asked):
    store, statements = asked
    beyond = Clip.end > Clip.video[Video.duration]
    found = await store.repository(Clip).select(
        Clip.video[Video.title], Clip.end, Clip.video[Video.duration], where=beyond
    )
    assert sorted(found) == [(title, 65.0, 60.0) for title in "abd"]
    assert len(statements()) == 1
    assert await store.repository(Video).count(Video.clips.any(beyond)) == 3
    assert len(statements()) == 1
