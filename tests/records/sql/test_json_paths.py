"""Paths and values of JSON, hundreds of them at random: what SQL finds is what `evaluate` says.

HOLDFAST_TEST_PREDICATES says how many, HOLDFAST_TEST_SEED which.
"""

import os
import random

import pytest

import holdfast
from holdfast import Entity, Field, field, key
from holdfast.records.entities.model import model_of
from holdfast.records.rows.evaluate import fits
from holdfast.sync import open_store

SEED = int(os.environ.get("HOLDFAST_TEST_SEED", "20261129"))
PREDICATES = int(os.environ.get("HOLDFAST_TEST_PREDICATES", "500"))
NAMES = (
    "", "a", "A", "-", "-a", "--", "a-b", "0", "1", "01", "-1", "%", "%s", "%(p0)s", "%%", "a%b",
    "$1", "$", "$.a", ":p0", "?", "?1", "__[POSTCOMPILE_p0]", "__[POSTCOMPILE_x]", "p0", "'", "''",
    '"', '\\"', "\\", "\\\\", "\\'", "\\n", "\n", "\r\n", "\t", "\x01", "\x7f", "\x1f", "a.b",
    ".", "..", "*", "**", "[0]", "[*]", "[last]", "@", "a b", " ", "/", "/a", "~0", "~1", "#", "{}",
    "null", "true", "last", "to", "strict", "lax", "\u00e9", "e\u0301", "\u2028", "\ufeff",
    "\uffff", "\U0001f3a5", "\u00df", "\u0130", "k" * 300, "; DROP TABLE x", "-- ", "/*", "x\\",
)  # fmt: skip
TEXTS = (*NAMES, "0a", "00", "false", "Ä", "ä", "a%", "_", "Aa")
SCALARS = (
    None, True, False, 0, 1, -1, 2, 10, 1.0, 0.5, -0.5, 1e300, 5e-324, 2**53, 2**53 + 1, 2**63 - 1,
    -(2**63), 1e18, 1e19, 0.1, 1e-7,
)  # fmt: skip
TEXT_VERBS = ("contains", "startswith", "endswith", "iequals", "icontains")


class Paper(Entity, table="json_papers"):
    id: Field[int] = key()
    document: Field[dict[str, object]] = field(default_factory=dict)
    maybe: Field[list[object] | None] = field(default=None)


class Search:
    """Documents, places in them and predicates about these, all from one seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, depth=0):
        kind = self.random.random()
        if kind < 0.35 or depth > 2:
            return self.random.choice(TEXTS)
        if kind < 0.7:
            return self.random.choice(SCALARS)
        many = range(self.random.randrange(4))
        if kind < 0.85:
            return [self.value(depth + 1) for _ in many]
        return {self.random.choice(NAMES): self.value(depth + 1) for _ in many}

    def papers(self, count):
        return [
            Paper(
                id=number,
                document={self.random.choice(NAMES): self.value() for _ in range(12)},
                maybe=self.random.choice((None, [self.value() for _ in range(3)])),
            )
            for number in range(count)
        ]

    def place(self, papers):
        """Return a place, mostly one that is there in one of *papers*, and the value in it."""
        paper = self.random.choice(papers)
        place, value = Paper.document, paper.document
        if paper.maybe is not None and self.random.random() < 0.3:
            place, value = Paper.maybe, paper.maybe
        while True:
            if isinstance(value, dict) and value:
                step = self.random.choice([*value, self.random.choice(NAMES)])
            elif isinstance(value, list) and value:
                step = self.random.choice([*range(len(value) + 1), self.random.choice(NAMES)])
            else:
                step = self.random.choice((*NAMES, 0, 1))
            place = place[step]
            inside = isinstance(value, dict) or (isinstance(value, list) and step != len(value))
            found = None
            if inside and not (isinstance(value, list) and isinstance(step, str)):
                found = value.get(step) if isinstance(value, dict) else value[step]
            value = found
            if not isinstance(value, (dict, list)) or self.random.random() < 0.4:
                return place, value

    def predicate(self, papers):
        place, value = self.place(papers)
        other = self.value() if self.random.random() < 0.6 else value
        kind = self.random.randrange(6)
        if kind == 0 or other is None:
            made = place == other
        elif kind == 1:
            made = place.in_([self.value() for _ in range(self.random.randrange(5))] + [other])
        elif kind == 2 and isinstance(other, (str, int, float)) and not isinstance(other, bool):
            how = self.random.choice(("__lt__", "__le__", "__gt__", "__ge__"))
            made = getattr(place, how)(other)
        elif kind == 3:
            made = place.is_null()
        elif kind == 4 and isinstance(other, str):
            cut = slice(self.random.randrange(3), self.random.choice((None, 1, 2)))
            made = getattr(place, self.random.choice(TEXT_VERBS))(other[cut])
        else:
            made = place == other
        if self.random.random() < 0.5:
            made = ~made
        if self.random.random() < 0.2:
            made = (made & self.predicate(papers)) | ~self.predicate(papers)
        return made


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb", "mysql"])
def url(request, tmp_path):
    match request.param:
        case "memory":
            return "memory://"
        case "sqlite":
            return f"sqlite:///{tmp_path}/papers.db"
        case name:
            return request.getfixturevalue(f"{name}_url")


def no_relations(join, value):
    raise AssertionError(f"{join!r} of {value!r}: a paper has no relations")


def test_a_path_finds_what_evaluate_says_whatever_its_names(url):
    search = Search(SEED)
    papers = search.papers(40)
    model = model_of(Paper)
    with open_store(url, [Paper]) as store:
        store.create_schema()
        try:
            repository = store.repository(Paper)
            repository.add_many(papers)
            rows = [model.stored_row(paper) for paper in papers]
            for number in range(PREDICATES):
                predicate = search.predicate(papers)
                expected = [row[0] for row in filter(fits(predicate, no_relations), rows)]
                found = [paper.id for paper in repository.find(predicate)]
                assert found == expected, f"HOLDFAST_TEST_SEED={SEED}, no. {number}: {predicate}"
        finally:
            store.drop_schema()


async def test_thousands_of_values_are_one_list_for_a_path_too(url):
    many = [*range(5_000), *map(str, range(2_000)), 0.5, True, {"a": 1}, [1, {"-": None}]]
    values = [4_999, "1999", 0.5, True, {"a": 1}, [1, {"-": None}], -1, "x", False, None, {"a": 2}]
    async with holdfast.open_store(url, [Paper]) as store:
        await store.create_schema()
        try:
            papers = store.repository(Paper)
            await papers.add_many(
                Paper(id=number, document={"-k": value}) for number, value in enumerate(values)
            )
            found = await papers.find(Paper.document["-k"].in_(many))
            assert [paper.id for paper in found] == [0, 1, 2, 3, 4, 5]
            found = await papers.find(Paper.document["-k"].not_in(many))
            assert [paper.id for paper in found] == [6, 7, 8, 9, 10]
            found = await papers.find(Paper.document.in_([{"-k": value} for value in values]))
            assert len(found) == len(values)
        finally:
            await store.drop_schema()
