"""Full-text search: which words there are, what a query finds, in which order, after each write."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from holdfast.errors import InvalidCursorError, InvalidQueryError, StaleVersionError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Article, Setting
from holdfast.records.driver import StoreCapability
from holdfast.records.entities.search_index import text_matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.records.conformance.lab import Lab

_NEEDS = (StoreCapability.FULL_TEXT, StoreCapability.TRANSACTIONS)


async def _found(lab: Lab, query: str) -> list[int]:
    """Return the keys of what *query* finds, upwards."""
    page = await lab.repository(Article).search(query)
    return sorted(hit.entity.id for hit in page)


async def _added(lab: Lab, titles: Iterable[str]) -> None:
    articles = [Article(id=number, title=title) for number, title in enumerate(titles, 1)]
    await lab.repository(Article).add_many(articles)


@case("SEARCH-1", needs=_NEEDS)
async def words_are_runs_of_letters_digits_and_marks_without_case(lab: Lab) -> None:
    long = "x" * 64
    titles = [
        "Über den ÉTÉ", "e\u0301te\u0301", "cam_01.mp4", "don't", "हिन्दी में", "❤️ 1 ½", "東京 2026",
        f"{long}one", "The A an OF", "İstanbul ΣΊΣΥΦΟΣ", "50% of a\\b 'c' \"d\"",
    ]  # fmt: skip
    await _added(lab, titles)
    queries = {
        "über": [1], "été": [1, 2], "ete": [], "CAM": [3], "mp4": [3], "don": [4], "dont": [],
        "हिन्दी": [5], "ह": [], "❤": [], "\ufe0f": [], "1": [6], "½": [6], "東京": [7], "東": [],
        f"{long}two": [8], "the": [9], "a": [9, 11], "of": [9, 11], "σίσυφοσ": [10],
        "b": [11], "c": [11], "%": [], "50": [11], "\\": [],
    }  # fmt: skip
    for query, expected in queries.items():
        assert await _found(lab, query) == expected, query


@case("SEARCH-2", needs=_NEEDS)
async def a_query_has_words_phrases_beginnings_and_exclusions(lab: Lab) -> None:
    articles = [
        Article(id=1, title="Night drive", body="A red car in the rain. A car!"),
        Article(id=2, title="A red sky", body="car park at night"),
        Article(id=3, title="Nightfall", body=None),
        Article(id=4, title="red", body="car"),
    ]
    await lab.repository(Article).add_many(articles)
    queries = {
        "red car": [1, 2, 4], '"red car"': [1], "red-car": [1], '"car red"': [], "night": [1, 2],
        "nig*": [1, 2, 3], "NIGHTF*": [3], "night* -rain": [2, 3], "night -rain": [2],
        'red -"red car"': [2, 4], "red --car": [], "red - car": [1, 2, 4], "car -ra*": [2, 4],
        "red-c*": [1], '"red c*"': [], '"red': [1, 2, 4], "red OR sky": [], "": [], "-red": [],
        '"" * - ? !': [], "red car a": [1, 2], "a car*": [1, 2],
    }  # fmt: skip
    for query, expected in queries.items():
        assert await _found(lab, query) == expected, query
    repository = lab.repository(Article)
    fits, not_rain = text_matches(Article, "red car"), ~text_matches(Article, "rain")
    assert await repository.count(fits, not_rain, Article.id < 4) == 1
    assert await repository.count(fits) + await repository.count(~fits) == 4
    assert await repository.count(text_matches(Article, "-red")) == 0
    page = await repository.search("red car", Article.id > 1, size=1, total=True)
    assert ([hit.entity.id for hit in page], page.total) == ([2], 2)


@case("SEARCH-3", needs=_NEEDS)
async def results_come_by_rank_and_their_pages_are_stable(lab: Lab) -> None:
    repository = lab.repository(Article)
    far = "word " * 640
    articles = [
        Article(id=1, title="", body="car"),  # 500
        Article(id=2, title="car", body=""),  # 3 * 500
        Article(id=3, title="", body="car car car"),  # 750
        Article(id=4, title="", body=f"car {far}"),  # 1000 - 1000 * 8 // 9
        Article(id=5, title="", body="CAR"),
        Article(id=6, title="other", body=None),
    ]
    await repository.add_many(articles)
    whole = await repository.search("car")
    expected = [(2, 1500), (3, 750), (1, 500), (5, 500), (4, 112)]
    assert [(hit.entity.id, hit.rank) for hit in whole] == expected
    first = await repository.search("car", size=2)
    assert first.next is not None
    await repository.add(Article(id=7, title="car car", body=None))  # before the cursor
    await repository.delete(3)  # which the page ended on
    second = await repository.search("car", size=2, cursor=first.next)
    assert [hit.entity.id for hit in second] == [1, 5]
    assert second.next is not None
    assert second.previous is not None
    third = await repository.search("car", size=2, cursor=second.next)
    assert ([hit.entity.id for hit in third], third.next) == ([4], None)
    back = await repository.search("car", size=2, cursor=second.previous)
    assert [hit.entity.id for hit in back] == [7, 2]
    async with lab.refused(InvalidCursorError):
        await repository.search("cars", cursor=first.next)


@case("SEARCH-4", needs=_NEEDS)
async def what_a_write_changes_is_found_at_once_and_what_it_undoes_is_not(lab: Lab) -> None:
    repository = lab.repository(Article)
    root = await repository.add(Article(id=1, title="one"))
    kept = await repository.add_many(
        [Article(id=2, title="two"), Article(id=1, title="twice")], atomic=False
    )
    assert (await _found(lab, "two"), await _found(lab, "twice")) == ([2], [])
    root.title = "changed"
    root = await repository.update(root)
    assert (await _found(lab, "one"), await _found(lab, "changed")) == ([], [1])
    stale = kept.entities[0]
    await repository.patch(2, Article.title.to("patched"), Article.read.increment())
    async with lab.refused(StaleVersionError):
        await repository.update(stale)
    assert (await _found(lab, "two"), await _found(lab, "patched")) == ([], [2])
    await repository.upsert_many(
        [
            Article(id=3, title="x"),
            Article(id=2, title="upserted"),
            Article(id=3, title="later"),
        ]
    )
    assert await _found(lab, "x") == await _found(lab, "patched") == []
    assert (await _found(lab, "upserted"), await _found(lab, "later")) == ([2], [3])
    changed = await repository.update_where(
        text_matches(Article, "upserted") | (Article.id == 3), changes=Article.body.to("both")
    )
    assert (changed, await _found(lab, "both upserted"), await _found(lab, "both")) == (
        2,
        [2],
        [2, 3],
    )
    async with lab.unchanged():
        try:
            async with lab.store.transaction():
                await repository.add(Article(id=4, title="inside"))
                await repository.patch(3, Article.title.to("inside"))
                assert await _found(lab, "inside") == [3, 4]
                raise LookupError
        except LookupError:
            pass
    assert (await _found(lab, "inside"), await _found(lab, "later")) == ([], [3])
    assert await repository.delete(1)
    assert await repository.delete_where(text_matches(Article, "both")) == 2
    assert await _found(lab, "both") == await _found(lab, "changed") == []
    documents = repository.model.search
    assert documents is not None
    assert await lab.repository(documents.documents.entity).count() == 0
    assert await lab.store.build_search(rebuild=True) == 0


@case("SEARCH-5", needs=_NEEDS)
async def hostile_queries_find_nothing_or_are_refused(lab: Lab) -> None:
    repository = lab.repository(Article)
    await repository.add(Article(id=1, title="a b", body="x' OR 'x'='x"))
    for query in ("\0", "\ud800", "\U0001f697 " * 1000, '"' * 100_001, "-" * 100_000, "*" * 1000):
        assert await _found(lab, query) == [], query[:20]
    for query in ("a\0b", "a & b | !c", "+a +b", "(a) <-> b:*", "a') OR (x", "a%_ b\\"):
        expected = [] if "c" in query else [1]
        assert await _found(lab, query) == expected, query
    for refused in ("word " * 100_000, " ".join(f'"a {number}"' for number in range(33))):
        async with lab.refused(InvalidQueryError):
            await repository.search(refused)
    async with lab.refused(InvalidQueryError):
        await lab.repository(Setting).search("a")
    async with lab.refused(InvalidQueryError):
        await lab.repository(Setting).find(text_matches(Article, "a"))


@case("SEARCH-1", "SEARCH-2", "SEARCH-3", needs=_NEEDS)
async def random_searches_agree_with_a_naive_one(lab: Lab) -> None:
    pick = random.Random(15)  # noqa: S311 - the same in each run
    words = ["a", "ab", "abc", "b", "é", "ÉA", "東", "1", "x" * 70]
    signs = [" ", " ", "-", "\t", ". ", "'", " 🎥 "]

    def text(most: int) -> str:
        return "".join(
            pick.choice(words) + pick.choice(signs) for _ in range(pick.randint(0, most))
        )

    articles = [Article(id=each, title=text(4), body=text(9)) for each in range(40)]
    repository = lab.repository(Article)
    for at in range(0, len(articles), 20):
        await repository.add_many(articles[at : at + 20])
    for _ in range(30):
        terms = [pick.sample(words, 1) for _ in range(pick.randint(1, 3))]
        terms.append(pick.choices(words, k=pick.randint(1, 3)))
        forms = [(term, pick.choice(["", "*", "-", '"'])) for term in terms]
        query = " ".join(_said(term, form) for term, form in forms)
        expected = sorted(
            (-rank, article.id) for article in articles if (rank := _naive(article, forms)) > 0
        )
        page = await repository.search(query)
        assert [(-hit.rank, hit.entity.id) for hit in page] == expected, query


def _said(term: list[str], form: str) -> str:
    match form:
        case "*":
            return f"{'.'.join(term)}*"
        case '"':
            return f'"{" ".join(term)}"'
        case _:
            return form + "-".join(term)


def _naive(article: Article, forms: list[tuple[list[str], str]]) -> int:
    """Return the rank of *article*, 0 where it does not fit, by lists of words alone."""
    fields = [(3, _split(article.title)), (1, _split(article.body or ""))]
    rank = 0
    sought: set[tuple[tuple[str, ...], bool]] = set()
    for term, form in forms:
        words = tuple(each[:64].lower() for each in term)
        if form != "-":
            sought.add((words, form == "*"))
        elif any(_times(held, words, prefix=False) for _, held in fields):
            return 0
    for wanted, prefix in sought:
        counts = [(weight, held, _times(held, wanted, prefix=prefix)) for weight, held in fields]
        if not any(count for _, _, count in counts):
            return 0
        for weight, held, count in counts:
            k = 1 + sum(len(word) + 2 for word in held) // 512
            rank += weight * (1000 - 1000 * k // (count + k))
    return rank


def _split(text: str) -> list[str]:
    apart = "".join(each if each.isalnum() else " " for each in text)
    return [word[:64].lower() for word in apart.split()]


def _times(held: list[str], wanted: tuple[str, ...], prefix: bool) -> int:
    count, at = 0, 0
    while at + len(wanted) <= len(held):
        *whole, last = held[at : at + len(wanted)]
        same = last.startswith(wanted[-1]) if prefix else last == wanted[-1]
        if same and tuple(whole) == wanted[:-1]:
            count += 1
            at += len(wanted)
        else:
            at += 1
    return count
