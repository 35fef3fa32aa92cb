"""Pages: cursors that stay where they are while rows come and go."""

from __future__ import annotations

import base64
import itertools
from typing import TYPE_CHECKING, cast

from holdfast.errors import InvalidCursorError, InvalidQueryError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Setting, Specimen, Tally
from holdfast.records.expressions.predicates import everything

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.records.conformance.lab import Lab
    from holdfast.records.expressions.predicates import Order

ORDERS: tuple[tuple[Order, ...], ...] = (
    (Specimen.id.asc(),),
    (Specimen.id.desc(),),
    (Specimen.maybe_number.asc(),),
    (Specimen.maybe_number.desc().nulls_first(),),
    (Specimen.label.desc(), Specimen.maybe_number.asc().nulls_first()),
    (Specimen.flag.asc(), Specimen.label.asc().nulls_first(), Specimen.id.desc()),
    (Specimen.ratio.desc(), Specimen.maybe_moment.asc()),
    (Specimen.amount.asc(), Specimen.data.desc(), Specimen.text.asc()),
    (Specimen.colour.desc(), Specimen.level.asc(), Specimen.span.desc(), Specimen.token.asc()),
    (Specimen.day.desc(), Specimen.at.asc(), Specimen.maybe_colour.desc()),
)


async def _many(lab: Lab) -> None:
    labels, numbers = (None, "a", "B", "\U0001f3a5"), (None, 0, 1)
    base = Specimen()
    await lab.repository(Specimen).add_many(
        [
            Specimen(
                label=label,
                maybe_number=number,
                flag=bool(copy),
                ratio=(number or 0) / 3,
                amount=base.amount + (number or 0),
                data=(label or "").encode(),
                text=label or "",
                maybe_moment=None if label is None else base.moment.replace(year=2000 + 4 * copy),
                maybe_colour=None if copy else base.colour,
            )
            for label, number, copy in itertools.product(labels, numbers, range(2))
        ]
    )


@case("PAGE-1", "ORDER-2")
async def pages_in_a_row_give_everything_once_in_order(lab: Lab) -> None:
    await _many(lab)
    repository = lab.repository(Specimen)
    where = (Specimen.maybe_number != 1) | (Specimen.label == "a")
    for order in ORDERS:
        expected = [each.id for each in await repository.find(where, order_by=order)]
        for size in (1, 5, len(expected), len(expected) + 1):
            seen: list[UUID] = []
            cursor: str | None = None
            while True:
                page = await repository.page(where, order_by=order, size=size, cursor=cursor)
                assert len(page) <= size
                assert (page.previous is None) is (cursor is None)
                seen += [each.id for each in page]
                cursor = page.next
                if cursor is None:
                    break
                assert len(page) == size
            assert seen == expected, (order, size)


@case("PAGE-1", "PAGE-2")
async def pages_go_back_the_way_they_came(lab: Lab) -> None:
    await _many(lab)
    repository = lab.repository(Specimen)
    for order in ORDERS:
        pages = [await repository.page(order_by=order, size=7)]
        while (cursor := pages[-1].next) is not None:
            pages.append(await repository.page(order_by=order, size=7, cursor=cursor))
        back = pages[-1]
        for expected in reversed(pages[:-1]):
            assert back.previous is not None
            back = await repository.page(order_by=order, size=7, cursor=back.previous)
            assert back.items == expected.items, order
            assert back.next is not None
        assert back.previous is None
        forth = await repository.page(order_by=order, size=7, cursor=back.next)
        assert forth.items == pages[1].items


@case("PAGE-1", "PAGE-3", "PAGE-5")
async def pages_without_an_order_give_everything_once(lab: Lab) -> None:
    """By key, and the way back leads there; or in the order of the table, without one."""
    repository = lab.repository(Setting)
    await repository.add_many([Setting(name=f"{each:02}") for each in range(20)])
    seen: list[str] = []
    page = await repository.page(size=6, total=True)
    by_key = [each.name for each in await repository.page(order_by=Setting.name.asc())]
    assert page.previous is None
    while True:
        assert page.total == 20
        seen += [each.name for each in page]
        if page.next is None:
            break
        further = await repository.page(size=6, cursor=page.next, total=True)
        if further.previous is not None:
            assert seen == by_key[: len(seen)]
            assert (await repository.page(size=6, cursor=further.previous)).items == page.items
        page = further
    assert sorted(seen) == by_key
    first = await repository.page(size=6)
    gone = first.items[-1].name
    await repository.delete(gone)
    seen = [each.name for each in first]
    cursor = first.next
    while cursor is not None:
        page = await repository.page(size=6, cursor=cursor)
        seen += [each.name for each in page]
        cursor = page.next
    assert sorted(seen) == by_key


@case("PAGE-3")
async def rows_that_come_and_go_neither_repeat_nor_hide_others(lab: Lab) -> None:
    await _many(lab)
    repository = lab.repository(Specimen)
    for order in ORDERS[:6]:
        stays = [each.id for each in await repository.find(order_by=order)]
        seen: list[UUID] = []
        page = await repository.page(order_by=order, size=4)
        while True:
            seen += [each.id for each in page]
            # The row that the cursor stands on goes, and so does the first one.
            gone = {page.items[-1].id, seen[0]}
            await repository.delete_where(Specimen.id.in_(gone))
            await repository.add_many([Specimen(), Specimen(label="a", maybe_number=1, flag=True)])
            if page.next is None:
                break
            page = await repository.page(order_by=order, size=4, cursor=page.next)
            assert len(seen) < 200, "the pages never end"
        assert len(set(seen)) == len(seen), order
        assert [each for each in seen if each in set(stays)] == stays, order


@case("PAGE-2", "PAGE-3")
async def going_back_is_stable_too(lab: Lab) -> None:
    repository = lab.repository(Setting)
    await repository.add_many([Setting(name=each) for each in "bdfhj"])
    last = await repository.page(size=2, order_by=Setting.name.desc())
    second = await repository.page(size=2, order_by=Setting.name.desc(), cursor=last.next)
    assert [each.name for each in second] == ["f", "d"]
    await repository.delete("f")
    await repository.add_many([Setting(name=each) for each in "agz"])
    back = await repository.page(size=2, order_by=Setting.name.desc(), cursor=second.previous)
    assert [each.name for each in back] == ["h", "g"]
    further = await repository.page(size=3, order_by=Setting.name.desc(), cursor=back.previous)
    assert [each.name for each in further] == ["z", "j"]
    assert further.previous is None


@case("PAGE-1")
async def a_total_counts_all_that_fits(lab: Lab) -> None:
    repository = lab.repository(Setting)
    await repository.add_many([Setting(name=each) for each in "abcdefg"])
    page = await repository.page(Setting.name > "a", size=2, total=True)
    assert (len(page), page.total) == (2, 6)
    page = await repository.page(Setting.name > "a", size=2, cursor=page.next, total=True)
    assert (len(page), page.total) == (2, 6)
    assert (await repository.page()).total is None
    empty = await repository.page(Setting.name > "x", total=True)
    assert (empty.items, empty.next, empty.previous, empty.total) == ([], None, None, 0)


@case("PAGE-4")
async def a_cursor_of_another_query_is_refused(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add_many([Tally(id=each) for each in "abcde"])
    where = Tally.total == 0
    page = await repository.page(where, order_by=Tally.total.asc(), size=2)
    assert page.next is not None
    for query, order in (
        (everything(), Tally.total.asc()),
        (Tally.total == 1, Tally.total.asc()),
        (Tally.total >= 0, Tally.total.asc()),
        (where, Tally.total.desc()),
        (where, Tally.total.asc().nulls_first()),
        (where, Tally.id.asc()),
        (where, [Tally.total.asc(), Tally.maybe.asc()]),
    ):
        async with lab.refused(InvalidCursorError):
            await repository.page(query, order_by=order, size=2, cursor=page.next)
    async with lab.refused(InvalidCursorError):
        await lab.repository(Setting).page(cursor=page.next)
    for size in (0, 2.5, True, "3"):
        async with lab.refused(InvalidQueryError):
            await repository.page(size=cast("int", size))
    again = await repository.page(where, order_by=Tally.total.asc(), size=3, cursor=page.next)
    assert "".join(each.id for each in again) == "cde"


@case("PAGE-4")
async def a_damaged_cursor_is_refused(lab: Lab) -> None:
    repository = lab.repository(Specimen)
    await repository.add_many([Specimen() for _ in range(4)])
    order = [Specimen.maybe_number.asc(), Specimen.moment.desc(), Specimen.amount.asc()]
    cursor = (await repository.page(order_by=order, size=2)).next
    assert cursor is not None
    body = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    damaged = {
        "",
        "x",
        "====",
        "\U0001f3a5",
        "AAAA",
        cursor[:-3],
        cursor[3:],
        cursor + "A",
        " " + cursor,
    }
    for old, new in (
        (b"after", b"where"),
        (b"null", b"true"),
        (b"null", b'"x"'),
        (b"2024-02-29", b"2024-02-31"),
        (b'"0.00"', b'"0.001"'),
        (b'"0.00"', b'"NaN"'),
        (b'"0.00"', b"null"),
        (b'"0.00"', b"[]"),
    ):
        assert old in body, "the test knows how cursors look; change it with them"
        damaged.add(base64.urlsafe_b64encode(body.replace(old, new)).decode().rstrip("="))
    async with lab.unchanged():
        for text in damaged:
            async with lab.refused(InvalidCursorError):
                await repository.page(order_by=order, size=2, cursor=text)
        async with lab.refused(InvalidCursorError):
            await repository.page(order_by=order, cursor=5)  # type: ignore[arg-type]


@case("PAGE-1")
async def a_page_has_a_sensible_size(lab: Lab) -> None:
    repository = lab.repository(Setting)
    for size in (0, -1, 10**9):
        async with lab.refused(InvalidQueryError):
            await repository.page(size=size)


@case("PAGE-4")
async def a_cursor_is_text_that_fits_into_a_url(lab: Lab) -> None:
    repository = lab.repository(Setting)
    await repository.add_many(
        [Setting(name=each) for each in ("\U0001f3a5/?&", "a b%", "\u00e9=+")]
    )
    cursor = (await repository.page(size=1)).next
    assert cursor is not None
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
