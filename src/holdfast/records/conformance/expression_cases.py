"""Expressions: field against field, arithmetic, text, in every verb that takes a value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from holdfast.errors import (
    InvalidCursorError,
    InvalidQueryError,
    InvalidValueError,
    PreconditionFailedError,
)
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import (
    Author,
    Book,
    Colour,
    Member,
    Sample,
    Specimen,
    Tally,
)
from holdfast.records.driver import StoreCapability
from holdfast.records.entities.field import count, subquery
from holdfast.records.expressions.expression_functions import coalesce, length, lower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.conformance.lab import Lab
    from holdfast.records.expressions.expression import Expression
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.repository import Repository

MANY = 10
EXPRESSIONS = (StoreCapability.EXPRESSIONS,)
NUMBERED_EXPRESSIONS = (StoreCapability.GENERATED_KEYS, StoreCapability.EXPRESSIONS)
MOST = 2**63 - 1
SECOND = timedelta(seconds=1)


async def _ids(repository: Repository[Tally], *where: Predicate[Tally]) -> str:
    return "".join(each.id for each in await repository.find(*where))


async def _values(lab: Lab, *wanted: Expression[Any, Specimen]) -> Sequence[object]:
    """Return what *wanted* is in the one specimen that there is."""
    found: list[tuple[object, ...]] = await lab.repository(Specimen).select(*wanted)
    return found[0]


@case("EXPR-1", "NULL-1", "NULL-2", needs=EXPRESSIONS)
async def fields_are_compared_with_fields(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many(
        [
            Tally(id="a", total=1, maybe=2),
            Tally(id="b", total=2, maybe=2),
            Tally(id="c", total=3, maybe=2),
            Tally(id="d", total=0, ratio=0.5, amount=Decimal("0.5")),
        ]
    )
    assert await _ids(tallies, Tally.total < Tally.maybe) == "a"
    assert await _ids(tallies, Tally.maybe >= Tally.total) == "ab"
    assert await _ids(tallies, Tally.total == Tally.maybe) == "b"
    assert await _ids(tallies, Tally.total != Tally.maybe) == "acd", "a null is unequal"
    assert await _ids(tallies, Tally.maybe != Tally.maybe) == "d", "to itself too"
    for predicate in (Tally.total < Tally.maybe, (Tally.maybe + 1) == Tally.total):
        fitting, others = await tallies.count(predicate), await tallies.count(~predicate)
        assert fitting + others == 4
    assert await _ids(tallies, Tally.total < Tally.ratio) == "d", "an int as a float"
    assert await _ids(tallies, Tally.amount > Tally.total * Decimal(1)) == "d"
    assert await _ids(tallies, Tally.amount - Tally.total > Decimal(0)) == "d"
    assert await _ids(tallies, Tally.total.between(Tally.maybe, 2)) == "b"
    assert await tallies.delete_where(Tally.total > Tally.maybe) == 1
    async with lab.refused(PreconditionFailedError):
        await tallies.patch("b", Tally.ratio.to(1.0), when=Tally.total < Tally.maybe)
    changes = [Tally.maybe.to(None)]
    assert await tallies.update_where(Tally.total == Tally.maybe, changes=changes) == 1


@case("EXPR-2", "VALUE-3", needs=EXPRESSIONS)
async def integers_are_computed_exactly_within_64_bits(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id="a", total=MOST), Tally(id="b", total=-MOST - 1, maybe=7)])
    ((exact,),) = await tallies.select(Tally.total - 1, where=Tally.id == "a")
    assert (exact, type(exact)) == (MOST - 1, int)
    rows = await tallies.select(Tally.total + Tally.maybe, Tally.maybe * -3, 10 - Tally.maybe)
    assert rows == [(None, None, None), (-MOST + 6, -21, 3)]
    assert await _ids(tallies, Tally.id == "a", Tally.total - 1 < MOST - 1) == ""
    assert await _ids(tallies, (Tally.maybe + 1) * 2 == 16) == "b"
    assert await _ids(tallies, (Tally.maybe + 1).in_([8, 9])) == "b"
    assert await _ids(tallies, (Tally.maybe + 1).is_null()) == "a"
    one = Tally.id == "a"
    for too_large in (Tally.total + 1, Tally.total * 2, -(-Tally.total - 2), Tally.total + MOST):
        async with lab.refused(InvalidValueError):
            await tallies.select(too_large, where=one)
        async with lab.refused(InvalidValueError):
            await tallies.find(one, too_large < 0)
        async with lab.refused(InvalidValueError):
            await tallies.patch("a", Tally.maybe.to(too_large))
    async with lab.refused(InvalidValueError):
        await tallies.select(-Tally.total, where=Tally.id == "b")


@case("EXPR-3", "VALUE-4", needs=EXPRESSIONS)
async def floats_are_finite_and_a_quotient_with_zero_is_null(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id="a", total=7, ratio=0.5), Tally(id="b", ratio=1.5e308)])
    rows = await tallies.select(
        Tally.ratio * 0.5, Tally.total / 2, 1 / Tally.total, Tally.total + 0.25
    )
    assert rows == [(0.25, 3.5, 1 / 7, 7.25), (0.75e308, 0.0, None, 0.25)]
    ((zero,),) = await tallies.select(Tally.ratio * -1 * 0, where=Tally.id == "a")
    assert str(zero) == "0.0", "minus zero is zero"
    assert await _ids(tallies, Tally.ratio / Tally.total < 1) == "a"
    assert await _ids(tallies, ~(Tally.ratio / Tally.total < 1)) == "b"
    for too_large in (Tally.ratio * 2, Tally.ratio + Tally.ratio, Tally.ratio / 0.1):
        async with lab.refused(InvalidValueError):
            await tallies.select(too_large)


@case("EXPR-4", "VALUE-5", needs=EXPRESSIONS)
async def decimals_are_exact_and_never_rounded(lab: Lab) -> None:
    most = Decimal("99999999999999.9999")
    await lab.repository(Specimen).add(
        Specimen(amount=Decimal("12.34"), maybe_amount=most, number=3, maybe_number=MOST)
    )
    amount, other = Specimen.amount, Specimen.maybe_amount
    found = await _values(
        lab, amount + 1, amount * Decimal("0.5"), Decimal(100) - amount, amount * amount
    )
    assert list(map(str, found)) == ["13.34", "6.170", "87.66", "152.2756"]
    found = await _values(lab, other + amount, amount * Specimen.number, -other)
    assert list(map(str, found)) == ["100000000000012.3399", "37.02", f"-{most}"]
    specimens = lab.repository(Specimen)
    assert await specimens.count(amount < other, amount + 1 == Decimal("13.34")) == 1
    assert await specimens.aggregate((amount * 2).sum(), (other + 1).max()) == [
        (Decimal("24.68"), most + 1)
    ]
    for too_large in (other * 1000, other + Specimen.maybe_number, amount * Specimen.maybe_number):
        async with lab.refused(InvalidValueError):
            await specimens.select(too_large)
    inexact: Any = amount
    for wrong in (
        lambda: inexact / 3,
        lambda: inexact * 0.5,
        lambda: inexact.to(coalesce(other, inexact)),
        lambda: amount * Decimal("1e-17"),
    ):
        async with lab.refused(InvalidQueryError):
            wrong()


@case("EXPR-5", "VALUE-2", "VALUE-3", needs=EXPRESSIONS)
async def moments_and_spans_of_time_are_exact(lab: Lab) -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    whole = last - first
    specimens = lab.repository(Specimen)
    await specimens.add(Specimen(moment=first, maybe_moment=last, span=whole, maybe_span=SECOND))
    moment, end, span, step = (
        Specimen.moment,
        Specimen.maybe_moment,
        Specimen.span,
        Specimen.maybe_span,
    )
    found = await _values(lab, moment + span, end - span, end - moment, span - step, step * 3)
    assert found == (last, first, whole, whole - SECOND, 3 * SECOND)
    assert (await _values(lab, moment + SECOND / 1000, step / timedelta(minutes=1)))[1] == 1 / 60
    assert await specimens.count(moment + span == end, end - moment >= span) == 1
    assert await specimens.count((moment + span).in_([first, last]), moment.in_([first])) == 1
    assert await specimens.count((moment + span).not_in([last])) == 0
    assert await specimens.count(end - step * 2 < last - SECOND) == 1
    for outside in (end + step, moment - step, end + span, moment - span * 2):
        async with lab.refused(InvalidValueError):
            await specimens.select(outside)
    async with lab.refused(InvalidValueError):
        await specimens.select(span * 1000)


@case("EXPR-6", "TEXT-3", needs=EXPRESSIONS)
async def text_is_measured_and_folded_and_nulls_are_replaced(lab: Lab) -> None:
    samples = lab.repository(Sample)
    await samples.add_many(
        [
            Sample(id="a", name="ÄẞİK", text="\U0001f3a5e\u0301 "),
            Sample(id="b", text="Plain", number=3),
        ]
    )
    rows = await samples.select(
        lower(Sample.name), length(Sample.text), length(Sample.name), lower(Sample.text)
    )
    assert rows == [
        ("ä\u00dfİk", 4, 4, "\U0001f3a5e\u0301 "),
        (None, 5, None, "plain"),
    ]
    assert [each.id for each in await samples.find(lower(Sample.text).startswith("pl"))] == ["b"]
    assert [each.id for each in await samples.find(lower(Sample.name) == "ä\u00dfİk")] == ["a"]
    assert await samples.count(length(Sample.text) > Sample.number) == 1
    replaced = await samples.select(
        coalesce(Sample.name, "none"),
        coalesce(Sample.name, Sample.text),
        coalesce(Sample.number, 0),
    )
    assert replaced == [("ÄẞİK", "ÄẞİK", 0), ("none", "Plain", 3)]
    assert await samples.count(coalesce(Sample.number, 0) < 1) == 1
    await lab.repository(Specimen).add(Specimen(number=1))
    found = await _values(
        lab,
        coalesce(Specimen.maybe_colour, Colour.GREEN),
        coalesce(Specimen.maybe_flag, Specimen.flag),
        coalesce(Specimen.maybe_moment, datetime(2025, 1, 1, tzinfo=UTC)),
        coalesce(Specimen.maybe_amount, Specimen.amount),
        coalesce(Specimen.maybe_data, b"\0x"),
        coalesce(Specimen.maybe_token, Specimen.token),
        coalesce(Specimen.maybe_day, Specimen.day),
        coalesce(Specimen.maybe_at, Specimen.at),
        coalesce(Specimen.maybe_span, SECOND),
    )
    whole = (await lab.repository(Specimen).find())[0]
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    assert found[:5] == (Colour.GREEN, False, moment, Decimal("0.0000"), b"\0x")
    assert found[5:] == (whole.token, whole.day, whole.at, SECOND)


@case("EXPR-7", "WRITE-1", needs=EXPRESSIONS)
async def changes_see_the_row_as_it_was(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add_many([Tally(id="a", total=1, maybe=5, ratio=0.5), Tally(id="b", maybe=2)])
    changed = await tallies.patch(
        "a",
        Tally.total.to(coalesce(Tally.maybe, 0)),
        Tally.maybe.to(Tally.total),
        Tally.ratio.to(Tally.total + Tally.ratio),
        Tally.spent.to(Tally.spent + SECOND),
    )
    assert (changed.total, changed.maybe, changed.ratio) == (5, 1, 1.5)
    assert (changed.spent, changed.version) == (SECOND, 2)
    count_of = await tallies.update_where(
        Tally.total <= Tally.maybe + 10,
        changes=[Tally.total.to(Tally.total + 1), Tally.maybe.to(Tally.maybe + Tally.total)],
    )
    assert count_of == 2
    assert await tallies.select(Tally.total, Tally.maybe) == [(6, 6), (1, 2)]
    await tallies.patch("b", Tally.maybe.to(None))
    assert (await tallies.patch("b", Tally.maybe.to(Tally.maybe + Tally.total))).maybe is None
    async with lab.unchanged():
        async with lab.refused(InvalidQueryError):
            Tally.total.to(Tally.maybe)  # type: ignore[arg-type]
        async with lab.refused(InvalidQueryError):
            Tally.total.to(Tally.ratio)  # type: ignore[arg-type]
        async with lab.refused(InvalidQueryError):
            Specimen.label.to(Specimen.text)
        async with lab.refused(InvalidQueryError):
            await tallies.patch("a", Tally.id.to(lower(Tally.id)))
        async with lab.refused(InvalidQueryError):
            Member.name.to(Member.chief[Member.name])  # type: ignore[arg-type]
        async with lab.refused(InvalidQueryError):
            await lab.repository(Member).patch(1, Member.rank.to(Member.id))
        async with lab.refused(InvalidValueError):
            await tallies.update_where(
                Tally.id == "a", changes=[Tally.amount.to(Tally.amount + Tally.total * 10_000)]
            )


@case("EXPR-7", "CONC-1", needs=EXPRESSIONS)
async def computed_changes_of_many_at_once_lose_nothing(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add(Tally(id="t", maybe=0))
    # Each is computed of the other, so that what is stored depends on every write before.
    changes = (Tally.total.to(coalesce(Tally.maybe, 0)), Tally.maybe.to(Tally.total + 1))
    await lab.together([lambda: tallies.patch("t", *changes) for _ in range(MANY)])
    assert await tallies.select(Tally.total + Tally.maybe, Tally.version) == [(MANY, MANY + 1)]


@case(
    "EXPR-8", "PAGE-1", "PAGE-2", "PAGE-4", "ORDER-2", "AGG-1", "AGG-2", "SELECT-1",
    needs=EXPRESSIONS,
)  # fmt: skip
async def rows_are_ordered_paged_and_grouped_by_expressions(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    maybes = (3, None, 1, 1, None, 2, 5)
    await tallies.add_many(
        [Tally(id=f"{at}", total=at, maybe=maybe) for at, maybe in enumerate(maybes)]
    )
    order = [(Tally.maybe * 2 - Tally.total).desc(), Tally.total.asc()]
    expected = ["0", "6", "2", "3", "5", "1", "4"]
    assert [each.id for each in await tallies.find(order_by=order)] == expected
    first = [order[0].nulls_first()]
    assert [each.id for each in await tallies.find(order_by=first, limit=3)] == ["4", "1", "0"]
    orders: tuple[Any, ...] = (order, [length(Tally.id), (Tally.total + Tally.total).asc()], first)
    for by in orders:
        whole = [each.id for each in await tallies.find(order_by=by)]
        found, cursor = list[str](), None
        while True:
            page = await tallies.page(order_by=by, size=2, cursor=cursor, total=True)
            found += [each.id for each in page.items]
            if page.next is None:
                break
            cursor = page.next
        assert (found, page.total) == (whole, 7)
        before = await tallies.page(order_by=by, size=2, cursor=page.previous)
        assert [each.id for each in before.items] == whole[4:6]
        streamed = [each.id async for each in tallies.stream(order_by=by, batch=2)]
        assert streamed == whole
        async with lab.refused(InvalidCursorError):
            await tallies.page(order_by=[Tally.total * 3], cursor=cursor)
    totals = await tallies.aggregate(
        count(), (Tally.total * 2).sum(), (Tally.maybe + 1).max(), (Tally.total / 2).avg()
    )
    assert totals == [(7, 42, 6, 1.5)]
    groups = await tallies.aggregate(
        count(), (Tally.total + 1).min(), by=coalesce(Tally.maybe, 1) * 10, where=Tally.total < 6
    )
    assert groups == [(10, 4, 2), (20, 1, 6), (30, 1, 1)]


@case("EXPR-9", "REL-3", "REL-5", needs=NUMBERED_EXPRESSIONS)
async def related_fields_are_operands_too(lab: Lab) -> None:
    authors, books = lab.repository(Author), lab.repository(Book)
    north, south = (
        await authors.add_many([Author(name="north", born=5), Author(name="south")])
    ).results
    assert isinstance(north, Author)
    assert isinstance(south, Author)
    for title, author, editor in (
        ("north", north, None),
        ("b", north, south),
        ("south", south, north),
    ):
        made = Book(
            title=title, author_id=author.id, editor_id=None if editor is None else editor.id
        )
        await books.add(made)

    async def titles(*where: Predicate[Book]) -> list[str]:
        return [each.title for each in await books.find(*where)]

    assert await titles(Book.title == Book.author[Author.name]) == ["north", "south"]
    assert await titles(Book.author_id == Book.editor_id) == []
    assert await titles(Book.editor[Author.name] == "south") == ["b"]
    assert await titles(~(Book.editor[Author.name] == "south")) == ["north", "south"]
    assert await titles(Book.editor[Author.name] > Book.author[Author.name]) == ["b"]
    assert await titles(Book.author[Author.born] + 1 == 6) == ["north", "b"]
    assert await titles(length(Book.title) + Book.author[Author.born] == 10) == ["north"]
    assert await titles(Book.author[Author.born] + 0.5 == 5.5) == ["north", "b"]
    assert await titles(lower(Book.editor[Author.name]) == "south") == ["b"]
    assert await titles(length(Book.editor[Author.name]) > length(Book.title)) == ["b"]
    found = await books.select(Book.title, coalesce(Book.editor[Author.name], "nobody"))
    assert found == [("north", "nobody"), ("b", "south"), ("south", "north")]
    named = Author.books.any(Book.title == Book.author[Author.name])
    assert await authors.count(named) == 2
    long_titled = Author.books.any(length(Book.title) == length(Book.author[Author.name]))
    assert await authors.count(long_titled, ~named) == 0
    changes = [Book.title.to(lower(Book.title))]
    where = Book.title == Book.author[Author.name]
    assert await books.update_where(where, changes=changes) == 2
    assert await books.delete_where(Book.editor[Author.name] == Book.title) == 0
    assert await books.delete_where(Book.editor[Author.name] > Book.title) == 1


@case("EXPR-10", "QUERY-2", needs=EXPRESSIONS)
async def what_does_not_go_together_is_refused(lab: Lab) -> None:
    total: Any = Tally.total
    text: Any = Tally.id
    day: Any = Specimen.day
    item: Any = Specimen.items
    for wrong in (
        lambda: total + "1",
        lambda: total + Specimen.text,
        lambda: total + True,
        lambda: total < Tally.id,
        lambda: total + Tally.spent,
        lambda: total / 0,
        lambda: text + "x",
        lambda: day + SECOND,
        lambda: item == Specimen.attributes,
        lambda: item + 1,
        lambda: coalesce(total, Tally.id),
        lambda: lower(total),
        lambda: length(total),
        lambda: (total + 1).contains("x"),
        lambda: Specimen.flag.sum(),
    ):
        async with lab.refused(InvalidQueryError):
            wrong()
    deep = total
    async with lab.refused(InvalidQueryError):
        for _ in range(100):
            deep = deep + 1
    async with lab.refused(InvalidValueError):
        coalesce(total, "x")
    tallies: Repository[Any] = lab.repository(Tally)
    foreign: Any = Sample.number + 1
    for where in (total < foreign, foreign < 5, coalesce(foreign, 1) == total):
        async with lab.refused(InvalidQueryError):
            await tallies.find(where)
    async with lab.refused(InvalidQueryError):
        await tallies.find(order_by=foreign)
    async with lab.refused(InvalidQueryError):
        await tallies.select(foreign)
    async with lab.refused(InvalidQueryError):
        await tallies.aggregate(foreign.sum())
    async with lab.refused(InvalidQueryError):
        await tallies.patch("a", Tally.maybe.to(foreign))


@case("SUB-1", "NULL-1", needs=NUMBERED_EXPRESSIONS)
async def values_are_looked_for_in_other_rows(lab: Lab) -> None:
    authors, books = lab.repository(Author), lab.repository(Book)
    for name, born in (("north", 1950), ("south", None), ("west", 1960)):
        author = await authors.add(Author(name=name, born=born))
        if name != "west":
            await books.add(Book(title=f"{name} wind", author_id=author.id))
            await books.add(Book(title="west", author_id=author.id, editor_id=author.id))

    async def titles(*where: Predicate[Book]) -> list[str]:
        return [each.title for each in await books.find(*where)]

    old = subquery(Author.id, Author.born < 1955)
    assert await titles(Book.author_id.in_(old)) == ["north wind", "west"]
    assert await titles(Book.author_id.not_in(old)) == ["south wind", "west"]
    assert await titles(Book.editor_id.in_(old)) == ["west"]
    assert len(await titles(Book.editor_id.not_in(old))) == 3, "a null is in nothing"
    assert await titles(Book.title.in_(subquery(Author.name))) == ["west", "west"]
    editors = subquery(Book.editor_id, Book.title == Book.author[Author.name])
    nobody: Predicate[Author] = Author.id.in_(editors)
    assert await authors.count(nobody) == 0
    assert await authors.count(~nobody) == 3
    kept = subquery(Book.author_id, Book.editor_id.in_(subquery(Author.id, Author.born.is_null())))
    assert [each.name for each in await authors.find(Author.id.in_(kept))] == ["south"]
    assert await authors.count(Author.books.any(Book.title.in_(subquery(Author.name)))) == 2
    assert await authors.count(length(Author.name).in_(subquery(Author.born))) == 0
    both = Author.name.in_(subquery(Author.name, Author.born > 1955))
    assert await authors.update_where(both, changes=[Author.born.to(1)]) == 1
    assert (
        await books.delete_where(Book.title.in_(subquery(Book.title, Book.editor_id.is_null())))
        == 2
    )
    async with lab.refused(InvalidQueryError):
        Book.title.in_(subquery(Author.id))  # type: ignore[arg-type]
    foreign: Any = Book.title == "x"
    async with lab.refused(InvalidQueryError):
        await books.find(Book.author_id.in_(subquery(Author.id, foreign)))


@case("JSON-7", "JSON-2", "NULL-1")
async def lists_are_searched_for_an_item(lab: Lab) -> None:
    specimens = lab.repository(Specimen)
    lists: tuple[Any, ...] = (
        ["night", 1, None],
        ["nights", "1", True],
        [["night"], {"a": 1, "b": [2]}, 1.0],
        "night",
        {"night": 1},
        None,
    )
    for at, tags in enumerate(lists):
        items: list[Any] = tags if isinstance(tags, list) else []
        await specimens.add(Specimen(text=f"{at}", attributes={"tags": tags}, items=items))
    tags_of = Specimen.attributes["tags"]

    async def fitting(*where: Predicate[Specimen]) -> str:
        return "".join(each.text for each in await specimens.find(*where, order_by=Specimen.text))

    looked_for: tuple[tuple[Any, str], ...] = (
        ("night", "0"),
        (1, "02"),
        (True, "1"),
        (None, "0"),
        (["night"], "2"),
        ({"b": [2.0], "a": 1}, "2"),
        ({"a": 1}, ""),
    )
    for item, expected in looked_for:
        assert await fitting(tags_of.has_item(item)) == expected, item
        assert await fitting(Specimen.items.has_item(item)) == expected, item
        rest = "".join(each for each in "012345" if each not in expected)
        assert await fitting(~tags_of.has_item(item)) == rest, item
    assert await fitting(tags_of[0].has_item("night")) == "2"
    assert await fitting(tags_of.contains("night")) == "3", "contains looks into text"
    async with lab.refused(InvalidQueryError):
        Specimen.text.has_item("x")
