"""Relationships that were set: the key is taken over, or the write is refused; never left out."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from holdfast import Entity, Field, Many, One, generated_key, many, one, ref
from holdfast.errors import ForeignKeyError, InvalidValueError, NotLoadedError
from holdfast.sync import open_store


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "written_teams"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="")
    users: Mapped[list[User]] = relationship(back_populates="team")
    tags: Mapped[set[Tag]] = relationship(secondary=lambda: TAGGED)


class User(Base):
    __tablename__ = "written_users"
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int | None] = mapped_column("team", sa.ForeignKey(Team.id))
    boss_id: Mapped[int | None] = mapped_column(sa.ForeignKey("written_users.id"))
    team: Mapped[Team | None] = relationship(back_populates="users")
    boss: Mapped[User | None] = relationship(remote_side="User.id")


class Tag(Base):
    __tablename__ = "written_tags"
    id: Mapped[int] = mapped_column(primary_key=True)


TAGGED = sa.Table(
    "written_tagged",
    Base.metadata,
    sa.Column("team", sa.ForeignKey(Team.id)),
    sa.Column("tag", sa.ForeignKey(Tag.id)),
)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    else:
        url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/store.db"
    with open_store(url, [Team, User, Tag]) as store:
        store.create_schema()
        yield store
        store.drop_schema()


def test_the_key_of_what_a_reference_leads_to_is_taken_over(store):
    teams, users = store.repository(Team), store.repository(User)
    red, blue = teams.add(Team(name="red")), teams.add(Team(name="blue"))
    user = users.add(User(team=red))
    assert user.team_id == red.id
    assert [each.team_id for each in users.add_many([User(team=blue), User()]).entities] == [
        blue.id,
        None,
    ]
    assert users.upsert(User(id=50, team=blue)).entity.team_id == blue.id
    user.team = blue
    assert users.update(user).team_id == blue.id
    loaded = users.get_one(user.id, load=[User.team])
    assert users.update(loaded).team_id == blue.id  # what load= set changes nothing
    loaded = users.get_one(user.id, load=[User.team])
    loaded.team = None
    assert users.update(loaded).team_id is None
    itself = users.get_one(user.id)
    itself.boss = user
    assert users.update(itself).boss_id == user.id


def test_a_reference_to_what_has_no_key_is_refused(store):
    users = store.repository(User)
    with pytest.raises(InvalidValueError, match="no key yet") as caught:
        users.add(User(team=Team()))
    assert (caught.value.entity, caught.value.field) == ("User", "team")
    stored = users.add(User())
    stored.team = Team()
    with pytest.raises(InvalidValueError, match="no key yet"):
        users.update(stored)
    assert users.find(User.team_id != None) == []  # noqa: E711
    with pytest.raises(ForeignKeyError):
        users.add(User(team=Team(id=99)))


def test_a_key_and_a_reference_that_differ_are_refused(store):
    teams, users = store.repository(Team), store.repository(User)
    red, blue = teams.add(Team()), teams.add(Team())
    with pytest.raises(InvalidValueError, match="set one"):
        users.add(User(team=red, team_id=blue.id))
    assert users.add(User(team=red, team_id=red.id)).team_id == red.id


def test_members_that_only_a_list_says_are_refused(store):
    teams, users = store.repository(Team), store.repository(User)
    for members in ([User()], [User(id=5)]):
        with pytest.raises(InvalidValueError, match="by its own repository") as caught:
            teams.add(Team(users=members))
        assert caught.value.field == "users"
    with pytest.raises(InvalidValueError, match="orm_session"):
        teams.add(Team(tags={Tag()}))
    team = teams.add(Team())
    user = users.add(User(team=team))
    loaded = teams.get_one(team.id, load=[Team.users])
    assert teams.update(loaded).id == team.id
    loaded.users.append(User())
    with pytest.raises(InvalidValueError, match="by its own repository"):
        teams.update(loaded)
    loaded = teams.get_one(team.id, load=[Team.users])
    loaded.users.clear()
    with pytest.raises(InvalidValueError, match="has lost a User"):
        teams.update(loaded)
    # A member whose own row was written so changes nothing here.
    other = users.add(User(team_id=team.id))
    loaded = teams.get_one(team.id, load=[Team.users])
    loaded.users.append(other)
    assert teams.update(loaded).id == team.id
    assert users.count() == 2
    assert users.get_one(user.id).team_id == team.id


class Project(Entity, table="written_projects"):
    id: Field[int] = generated_key()
    clips: Many[Clip] = many(via="project_id")


class Clip(Entity, table="written_clips"):
    id: Field[int] = generated_key()
    project_id: Field[int] = ref(Project)
    project: One[Project] = one(via="project_id")


def test_a_relation_of_an_entity_can_not_be_set(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/a.db", [Project, Clip]) as store:
        store.create_schema()
        project = store.repository(Project).add(Project())
        clip = store.repository(Clip).add(Clip(project_id=project.id))
        for each in (clip, store.repository(Clip).one(load=[Clip.project])):
            with pytest.raises(InvalidValueError, match="set project_id to its key"):
                each.project = project
        with pytest.raises(InvalidValueError, match="by their own repository"):
            project.clips = [clip]
        with pytest.raises(NotLoadedError, match=r"load=\[Clip.project\]"):
            _ = clip.project
        assert store.repository(Clip).one(load=[Clip.project]).project.id == project.id
