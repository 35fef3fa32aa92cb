"""Many to many on mapped classes: by the class of the table between, named by `info`."""

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from holdfast.errors import ConfigurationError, ForeignKeyError, UntranslatableError
from holdfast.integrations.sqlalchemy import field_of, relation_of
from holdfast.sync import open_store


class Base(DeclarativeBase):
    pass


class UserTag(Base):
    __tablename__ = "user_tags"
    user_id: Mapped[int] = mapped_column(
        sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    tag_id: Mapped[int] = mapped_column(
        sa.ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True
    )
    sure: Mapped[float] = mapped_column(sa.Double, default=1.0)
    tag: Mapped["Tag"] = relationship()


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20))


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_tags: Mapped[list[UserTag]] = relationship()
    tags: Mapped[list[Tag]] = relationship(
        secondary="user_tags", viewonly=True, info={"holdfast": "through"}
    )
    plain: Mapped[list[Tag]] = relationship(secondary="user_tags", viewonly=True)


def test_a_relationship_through_a_mapped_class_is_loaded_asked_for_and_written(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/links.db", [User, Tag, UserTag]) as store:
        store.create_schema()
        users = store.repository(User)
        store.repository(Tag).add_many([Tag(id=1, name="a"), Tag(id=2, name="b")])
        users.add_many([User(id=1), User(id=2)])
        links = store.links(relation_of(User.tags))
        assert links.connect(1, [2, 1]) == (2, 1)
        assert links.connect(2, [1]) == (1,)
        with pytest.raises(ForeignKeyError):
            links.connect(2, [2, 9])
        assert store.repository(UserTag).get_one((1, 2)).sure == 1.0
        for load in (User.tags, selectinload(User.tags)):
            found = users.find(order_by=User.id, load=[load])
            assert [[tag.name for tag in each.tags] for each in found] == [["a", "b"], ["a"]]
        named_b = relation_of(User.tags).any(field_of(Tag.name) == "b")
        step_by_step = User.user_tags.any(UserTag.tag.has(Tag.name == "b"))
        for where in (named_b, step_by_step):
            assert [each.id for each in users.find(where)] == [1]
        assert links.replace(1, [1]).disconnected == (2,)
        for refused in (
            lambda: users.find(load=[User.plain]),
            lambda: users.find(User.plain.any(Tag.name == "b")),
        ):
            with pytest.raises(UntranslatableError):
                refused()


def test_a_secondary_table_without_a_class_can_not_be_gone_through():
    class Apart(DeclarativeBase):
        pass

    sa.Table(
        "between",
        Apart.metadata,
        sa.Column("left_id", sa.ForeignKey("lefts.id"), primary_key=True),
        sa.Column("right_id", sa.ForeignKey("rights.id"), primary_key=True),
    )

    class Right(Apart):
        __tablename__ = "rights"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Left(Apart):
        __tablename__ = "lefts"
        id: Mapped[int] = mapped_column(primary_key=True)
        rights = relationship(Right, secondary="between", info={"holdfast": "through"})

    with pytest.raises(ConfigurationError, match="a secondary table that a class is mapped to"):
        open_store("memory://", [Left, Right])
