"""Deletion by a mark: what is out of sight, what goes with it, comes back, and goes for good."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from holdfast.errors import (
    DuplicateError,
    ForeignKeyError,
    InvalidQueryError,
    NotFoundError,
    StaleVersionError,
)
from holdfast.records.conformance.case import case
from holdfast.records.conformance.constraint_entities import File, Folder, Hold
from holdfast.records.entities.field import count
from holdfast.records.expressions.predicates import everything

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from holdfast.records.conformance.lab import Lab

    Write: TypeAlias = Callable[[], Awaitable[object]]


async def _folders(lab: Lab) -> tuple[Folder, Folder]:
    """Store two folders, the first with two files, of which one is a copy from the second."""
    first = await lab.repository(Folder).add(Folder(name="first"))
    second = await lab.repository(Folder).add(Folder(name="second"))
    await lab.repository(File).add_many(
        [
            File(id="a", folder_id=first.id, copied_from=second.id, size=1),
            File(id="b", folder_id=first.id, size=2),
            File(id="c", folder_id=second.id, size=3),
        ]
    )
    return first, second


@case("SOFT-1")
async def what_is_deleted_is_out_of_every_verb(lab: Lab) -> None:
    folders, files = lab.repository(Folder), lab.repository(File)
    first, second = await _folders(lab)
    loose = await files.get_one("c")
    assert await files.delete("c")
    assert await folders.delete(first.id)
    assert await folders.delete(first.id) is False
    assert await folders.delete_many([first.id]) == 0
    assert await folders.get(first.id) is None
    assert await folders.get_many([first.id, second.id]) == [None, second]
    assert await folders.find() == await folders.find(order_by=Folder.name) == [second]
    assert (await folders.page(total=True)).total == await folders.count() == 1
    assert [each async for each in folders.stream()] == [second]
    assert await folders.select(Folder.name) == [("second",)]
    assert await folders.aggregate(count()) == [(1,)]
    assert await folders.exists(Folder.name == "first") is False
    async with lab.unchanged():
        writes: list[Write] = [
            lambda: folders.patch(first.id, Folder.name.to("x")),
            lambda: folders.update(first),
            lambda: files.update(loose),
        ]
        for write in writes:
            async with lab.refused(NotFoundError):
                await write()
    assert await folders.update_where(Folder.name == "first", changes=Folder.name.to("x")) == 0
    assert await folders.delete_where(Folder.name == "first") == 0


@case("SOFT-1", "WRITE-4")
async def a_deletion_by_a_mark_is_a_write_of_the_row(lab: Lab) -> None:
    folders = lab.repository(Folder)
    stored = await folders.add(Folder(name="a"))
    async with lab.refused(StaleVersionError):
        await folders.delete(stored.id, version=2)
    then = lab.clock.advance()
    assert await folders.delete(stored.id, version=1)
    assert await folders.delete(stored.id, version=2) is False
    (seen,) = await folders.with_deleted().find(~Folder.deleted_at.is_null())
    assert (seen.version, seen.deleted_at, seen.updated_at) == (2, then, then)
    assert seen.created_at == stored.created_at
    assert await folders.with_deleted().get(stored.id) == seen
    async with lab.refused(InvalidQueryError):
        await folders.patch(stored.id, Folder.deleted_at.to(None))
    with_hold = lab.repository(Hold)
    async with lab.refused(InvalidQueryError):
        with_hold.with_deleted()


@case("SOFT-2")
async def relations_lead_to_the_living(lab: Lab) -> None:
    folders, files = lab.repository(Folder), lab.repository(File)
    first, second = await _folders(lab)
    await files.delete("b")
    (loaded, _) = await folders.find(load=[Folder.files])
    assert [each.id for each in loaded.files] == ["a"]
    assert await folders.count(Folder.files.any(File.size == 2)) == 0
    assert await folders.count(Folder.files.none(File.size == 2)) == 2
    await folders.delete(second.id)
    (copied,) = await files.find(load=[File.source, File.folder])
    assert (copied.source, copied.folder.id, copied.copied_from) == (None, first.id, second.id)
    assert await files.count(File.source.has()) == 0
    assert await files.count(~File.source.has(Folder.name == "second")) == 1
    assert await files.select(File.id, File.source[Folder.name]) == [("a", None)]
    assert await files.find(order_by=File.source[Folder.name].asc()) == await files.find()


@case("SOFT-3")
async def what_goes_with_a_row_goes_and_comes_back(lab: Lab) -> None:
    folders, files = lab.repository(Folder), lab.repository(File)
    first, _ = await _folders(lab)
    await files.delete("b")
    lab.clock.advance()
    await folders.delete(first.id)
    assert [each.id for each in await files.find()] == ["c"]
    async with lab.refused(ForeignKeyError) as caught:
        await files.restore("a")
    assert caught.error.fields == ("folder_id",)
    back = await folders.restore(first.id)
    assert (back.version, back.deleted_at) == (3, None)
    # What was deleted before stays deleted.
    assert [each.id for each in await files.find()] == ["a", "c"]
    async with lab.refused(NotFoundError) as missing:
        await folders.restore(first.id)
    assert (missing.error.entity, missing.error.key) == ("Folder", first.id)
    assert (await files.restore("b")).size == 2


@case("SOFT-3", "REF-2")
async def a_living_row_holds_what_it_points_at(lab: Lab) -> None:
    folders, files, holds = lab.repository(Folder), lab.repository(File), lab.repository(Hold)
    first, _ = await _folders(lab)
    await holds.add(Hold(id=1, file_id="a"))
    writes: list[Write] = [
        lambda: files.delete("a"),
        lambda: folders.delete(first.id),
        lambda: folders.delete_where(everything()),
    ]
    for write in writes:
        async with lab.refused(ForeignKeyError) as caught:
            await write()
        assert (caught.error.entity, caught.error.fields) == ("Hold", ("file_id",))
    await holds.delete(1)
    assert await folders.delete(first.id)


@case("SOFT-4")
async def uniques_are_among_the_living(lab: Lab) -> None:
    folders = lab.repository(Folder)
    first = await folders.add(Folder(name="a"))
    await folders.delete(first.id)
    second = await folders.add(Folder(name="a"))
    async with lab.refused(DuplicateError) as caught:
        await folders.restore(first.id)
    assert (caught.error.fields, caught.error.constraint) == (("name",), "name")
    met = await folders.upsert(Folder(name="a"), on=Folder.name)
    assert (met.created, met.entity.id) == (False, second.id)
    await folders.delete(second.id)
    made = await folders.upsert(Folder(name="a"), on=Folder.name)
    assert made.created
    assert await folders.with_deleted().count(Folder.name == "a") == 3


@case("SOFT-5")
async def a_purge_is_for_good(lab: Lab) -> None:
    folders, files = lab.repository(Folder), lab.repository(File)
    first, second = await _folders(lab)
    await folders.delete(second.id)
    lab.clock.advance(timedelta(days=30))
    await files.delete("b")
    assert await files.purge(older_than=timedelta(days=30)) == 1
    assert [each.id for each in await files.with_deleted().find()] == ["a", "b"]
    assert await folders.purge(older_than=timedelta(days=30)) == 1
    assert (await files.get_one("a")).copied_from is None
    assert await files.purge(older_than=timedelta(0)) == 1
    assert await folders.with_deleted().find() == [first]
    async with lab.refused(InvalidQueryError):
        await files.purge(older_than=timedelta(-1))


@case("SOFT-6", "CONC-4")
async def nothing_that_lives_points_at_what_is_deleted(lab: Lab) -> None:
    folders, files = lab.repository(Folder), lab.repository(File)
    first, second = await _folders(lab)
    await folders.delete(first.id)
    async with lab.unchanged():
        writes: list[Write] = [
            lambda: files.add(File(id="x", folder_id=first.id)),
            lambda: files.add_many([File(id=str(n), folder_id=n) for n in (second.id, first.id)]),
            lambda: files.patch("c", File.folder_id.to(first.id)),
            lambda: files.update_where(everything(), changes=File.folder_id.to(first.id)),
            lambda: files.upsert(File(id="c", folder_id=first.id)),
        ]
        for write in writes:
            async with lab.refused(ForeignKeyError) as caught:
                await write()
            assert caught.error.fields == ("folder_id",)
    other = await folders.add(Folder(name="other"))
    assert (await files.patch("c", File.folder_id.to(other.id))).folder_id == other.id
    moved = await files.update_where(File.id == "c", changes=File.folder_id.to(second.id))
    assert (moved, (await files.get_one("c")).folder_id) == (1, second.id)
    (taken,) = await files.take(File.id == "c", changes=File.folder_id.to(other.id), limit=1)
    assert taken == await files.get_one("c")
    assert taken.folder_id == other.id
    third = await folders.add(Folder(name="third"))

    def adding(number: int) -> Callable[[], Coroutine[object, None, object]]:
        return lambda: files.add(File(id=f"n{number}", folder_id=third.id))

    def deleting() -> Coroutine[object, None, object]:
        return folders.delete(third.id)

    outcomes = await lab.together([*(adding(number) for number in range(6)), deleting])
    assert outcomes[-1] is True
    assert all(isinstance(each, (File, ForeignKeyError)) for each in outcomes[:-1])
    assert await files.count(File.folder_id == third.id) == 0
