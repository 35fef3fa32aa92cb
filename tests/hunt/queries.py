"""A hunt for answers that differ: random entities, values, queries and writes on every backend.

Each round makes an entity up, stores the same rows on each backend that answers, and asks and
changes all of them alike: relations, links, expressions, aggregates, documents and changes inside
them, deletion by a mark. What memory says, by `evaluate`, the others must say, errors included.
Every third round asks an emulator of DynamoDB too, which takes as long as all others together.
The seed of a round is printed where they differ: `--seed N` does that round again, and it alone.

    python tests/hunt/queries.py --minutes 3
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import operator
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from tools.services.endpoints import endpoints  # noqa: E402

from dynamodb_servers import store_url  # noqa: E402
from holdfast import (  # noqa: E402
    Entity,
    Field,
    Many,
    One,
    coalesce,
    count,
    deleted_at,
    field,
    generated_key,
    key,
    length,
    lower,
    many,
    one,
    ref,
    subquery,
    version,
)
from holdfast.errors import (  # noqa: E402
    DuplicateError,
    HoldfastError,
    InvalidQueryError,
    InvalidValueError,
)
from holdfast.records.expressions.predicates import everything  # noqa: E402
from holdfast.sync import open_store  # noqa: E402
from servers import database_on  # noqa: E402

ROWS = 30
DYNAMODB_AT = 3  # each how many-th round
STEPS = 40
WORDS = (
    "", "a", "A", "b", "ab", "aB", "%", "_", "\\", "'", '"', "a%", "%s", "%(p0)s", "-", "-a", "é",
    "e\u0301", "ß", "İ", "\u0131", "Ä", "ä", "\uffff", "\U0001f3a5", "a ", " a", "\t", "\n", "?",
    ":p0",
    "$1", "__[POSTCOMPILE_p0]", "0", "1", "null", "x" * 40,
)  # fmt: skip
INTS = (0, 1, -1, 2, 3, 10, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63))
FLOATS = (0.0, 1.0, -1.0, 0.5, 0.1, 1e-7, 5e-324, 1e300, -1e300, 1.7e308, 2.0**53)
MOMENTS = tuple(
    datetime(*parts, tzinfo=UTC)
    for parts in ((1, 1, 1), (1969, 12, 31, 23, 59, 59, 999999), (2026, 1, 1), (9999, 12, 31))
)


class Level(enum.IntEnum):
    """An enum of ints."""

    LOW = 1
    HIGH = 2


class Hue(enum.Enum):
    """An enum of texts."""

    RED = "red"
    BLUE = "Blue"


KINDS = {
    "text": (str, {"max_length": 60}, WORDS),
    "int": (int, {}, INTS),
    "float": (float, {}, FLOATS),
    "bool": (bool, {}, (True, False)),
    "bytes": (bytes, {"max_length": 50}, (b"", b"\0", b"a", b"A", b"\xff", b"a\0")),
    "decimal": (
        Decimal,
        {"digits": (8, 2)},
        tuple(map(Decimal, ("0", "1.5", "-1.5", "999999.99"))),
    ),
    "moment": (datetime, {}, MOMENTS),
    "day": (date, {}, (date(1, 1, 1), date(2024, 2, 29), date(9999, 12, 31))),
    "hour": (clock_time, {}, (clock_time(0), clock_time(12, 30, 1, 5), clock_time(23, 59, 59))),
    "span": (timedelta, {}, (timedelta(0), timedelta(microseconds=-1), timedelta(days=400))),
    "uuid": (UUID, {}, (UUID(int=0), UUID(int=1), UUID(int=2**128 - 1))),
    "level": (Level, {}, tuple(Level)),
    "hue": (Hue, {}, tuple(Hue)),
    "json": (dict[str, object], {}, ()),
    "tags": (list[str], {}, ([], ["a"], ["a", "-a", "a"], ["\U0001f3a5", "%s"])),
}
DOCUMENTS = ("json", "tags")
AMOUNTS = {"int": 3, "float": 0.5, "decimal": Decimal("1.25"), "span": timedelta(seconds=1)}
NUMBERS = ("int", "float", "decimal", "span")
KEYS = {"text": WORDS[1:], "int": INTS, "uuid": KINDS["uuid"][2]}


class Round:
    """What one seed makes up: an entity, and what is done with it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.blank = "_" if seed % DYNAMODB_AT == 0 else " "  # in names of tables
        choice = self.random.choice
        self.key_kind = choice(["generated", "pair", *KEYS])
        names = self.random.sample(sorted(KINDS), self.random.randrange(2, 7))
        self.kinds = {f"{name}_{n}": name for n, name in enumerate(names)}
        self.nullable = {name for name in self.kinds if self.random.random() < 0.5}
        plain = [name for name, kind in self.kinds.items() if kind not in (*DOCUMENTS, "bool")]
        self.unique = set(self.random.sample(plain, min(len(plain), self.random.randrange(2))))
        if self.key_kind == "generated":
            self.unique = set()  # a refused row may use a number up, or not
        self.refers = self.key_kind in KEYS and self.random.random() < 0.4
        self.marked = self.random.random() < 0.3
        self.ties = self.refers and not self.marked  # or what ties would need a mark of its own
        self.entities = [self._entity()]
        self.entity = self.entities[0]
        if self.ties:
            self.entities.append(self._tie())

    def _entity(self) -> type[Entity]:
        keys = {"generated": int, "text": str, "int": int, "uuid": UUID}
        body: dict[str, object] = {"id": generated_key() if self.key_kind == "generated" else key()}
        if self.key_kind == "pair":
            body = {"left": key(), "right": key()}
        of_key = keys.get(self.key_kind, str)
        hints: dict[str, object] = {"id": Field[of_key]}
        if self.key_kind == "pair":
            hints = {"left": Field[str], "right": Field[int]}
        for name, kind in self.kinds.items():
            hint, words, _ = KINDS[kind]
            optional = {"default": None} if name in self.nullable else {}
            body[name] = field(unique=name in self.unique, **words, **optional)
            hints[name] = Field[hint | None if name in self.nullable else hint]
        if self.refers:
            body["up"] = ref("Made", default=None)
            hints["up"] = Field[of_key | None]
            body["above"], hints["above"] = one(via="up"), One["Made"]
            body["below"], hints["below"] = many(via="up"), Many["Made"]
        if self.ties:
            body["tied"], hints["tied"] = many(through="Tie", via="one"), Many["Made"]
            body["tying"], hints["tying"] = many(through="Tie", via="other"), Many["Made"]
            body["__module__"] = __name__  # where Tie is looked for, which is made after this
        if self.marked:
            body["gone"], hints["gone"] = deleted_at(), Field[datetime | None]
        if self.random.random() < 0.5:
            body["version"], hints["version"] = version(), Field[int]
        indexed = [name for name, kind in self.kinds.items() if kind not in DOCUMENTS]
        indexes = [tuple(self.random.sample(indexed, min(2, len(indexed))))] if indexed else []
        body["__annotations__"] = hints
        return type(Entity)(
            "Made", (Entity,), body, table=f"hunted{self.blank}rows", indexes=indexes
        )

    def _tie(self) -> type[Entity]:
        of_key = {"text": str, "int": int, "uuid": UUID}[self.key_kind]
        references = {
            name: ref(self.entity, key=True, on_delete="cascade") for name in ("one", "other")
        }
        hints = dict.fromkeys(references, Field[of_key])
        body = {**references, "__annotations__": hints}
        made = type(Entity)("Tie", (Entity,), body, table=f"hunted{self.blank}ties")
        sys.modules[__name__].Tie = made
        return made

    # --- values -----------------------------------------------------------------------------

    def value(self, kind: str) -> object:
        if kind == "json":
            return {self.random.choice(WORDS): self.json() for _ in range(self.random.randrange(4))}
        return self.random.choice(KINDS[kind][2])

    def json(self, depth: int = 0) -> object:
        pick = self.random.random()
        if depth > 1 or pick < 0.6:
            return self.random.choice((*WORDS, *INTS, *FLOATS, None, True, False))
        many = range(self.random.randrange(3))
        if pick < 0.8:
            return [self.json(depth + 1) for _ in many]
        return {self.random.choice(WORDS): self.json(depth + 1) for _ in many}

    def maybe(self, name: str) -> object:
        if name in self.nullable and self.random.random() < 0.3:
            return None
        return self.value(self.kinds[name])

    def key(self) -> object:
        if self.key_kind == "pair":
            return self.random.choice(WORDS[1:6]), self.random.choice(INTS[:4])
        return self.random.choice(KEYS.get(self.key_kind, range(1, 12)))

    def row(self) -> Entity:
        words = {name: self.maybe(name) for name in self.kinds}
        if self.key_kind == "pair":
            words["left"], words["right"] = self.key()
        elif self.key_kind != "generated":
            words["id"] = self.key()
        if self.refers and self.random.random() < 0.5:
            words["up"] = self.key()
        return self.entity(**words)

    # --- questions --------------------------------------------------------------------------

    def predicate(self, depth: int = 0):
        pick = self.random.random()
        if depth < 2 and pick < 0.25:
            return self.predicate(depth + 1) & self.predicate(depth + 1)
        if depth < 2 and pick < 0.5:
            return self.predicate(depth + 1) | self.predicate(depth + 1)
        if pick < 0.65:
            return ~self.predicate(depth + 1)
        if self.refers and depth < 2 and pick < 0.8:
            beyond, made = self.predicate(depth + 1), self.entity
            verbs = [made.above.has, made.below.any, made.below.none]
            if self.ties:
                verbs += [made.tied.any, made.tied.none, made.tying.any]
            return self.random.choice(verbs)(beyond)
        if pick > 0.85 and (compared := self.compared()) is not None:
            return compared
        name = self.random.choice(list(self.kinds))
        kind = self.kinds[name]
        place = getattr(self.entity, name)
        values = [self.value(kind) for _ in range(self.random.randrange(6))]
        if kind == "json" and self.random.random() < 0.8:
            for _ in range(self.random.randrange(1, 3)):
                place = place[self.random.choice((*WORDS, 0, 1))]
            values = [self.json() for _ in values]
        return self._leaf(place, kind, values)

    def expression(self, kind: str, depth: int = 0):
        """Return an expression of *kind* whose results fit, None where there is none."""
        names = [name for name, each in self.kinds.items() if each == kind]
        if not names:
            return None
        found = getattr(self.entity, self.random.choice(names))
        if self.refers and self.random.random() < 0.2:
            found = self.entity.above[found]
        pick = self.random.random()
        if kind in ("int", "float", "decimal", "span") and depth < 2 and pick < 0.6:
            # Not too large, or which row is looked at would make a difference.
            small = coalesce(found - found, AMOUNTS[kind])
            other = self.expression(kind, depth + 1) if pick < 0.1 else None
            how = self.random.choice((operator.add, operator.sub))
            return how(small, AMOUNTS[kind]) if other is None else how(small, other - other)
        if kind == "moment" and "span" in self.kinds.values() and pick < 0.5:
            span = self.expression("span")
            return found + (span - span)
        if kind == "text" and pick < 0.5:
            return self.random.choice((lower(found), coalesce(found, "none")))
        if kind not in (*DOCUMENTS, "level", "hue") and pick < 0.8:
            return coalesce(found, self.value(kind))
        return found

    def compared(self):
        """Return a comparison of expressions, or of one with the values of a subquery."""
        plain = [each for each in self.kinds.values() if each not in DOCUMENTS]
        kind = self.random.choice(plain or ["-"])
        left, right = self.expression(kind), self.expression(kind)
        if left is None:
            if not (lists := [name for name, each in self.kinds.items() if each == "json"]):
                return None
            place = getattr(self.entity, lists[0])[self.random.choice(WORDS)]
            return place.has_item(self.json())
        if self.random.random() < 0.2:
            name = next(name for name, each in self.kinds.items() if each == kind)
            where = self.predicate(2) if self.random.random() < 0.5 else everything()
            return getattr(self.entity, name).in_(subquery(getattr(self.entity, name), where))
        if kind == "text" and self.random.random() < 0.3:
            return length(left) <= length(right)
        if self.random.random() < 0.3 and kind not in ("bool", "level", "hue"):
            return left.in_([self.value(kind), self.value(kind)])
        how = self.random.choice((operator.eq, operator.ne, operator.lt, operator.ge))
        return how(left, right)

    def _leaf(self, place, kind, values):
        pick = self.random.randrange(5)
        value = self.random.choice([*values, self.value(kind)])
        if pick == 0:
            return place.is_null()
        if pick == 1:
            return place.in_(values)
        if pick == 2 and kind in ("text", "json") and hasattr(place, "contains"):
            verbs = ("contains", "startswith", "endswith", "iequals", "icontains")
            if kind == "text" or not isinstance(place, Field):
                return getattr(place, self.random.choice(verbs))(self.random.choice(WORDS))
        ordered = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        if pick == 3 and (kind not in DOCUMENTS or (ordered and not isinstance(place, Field))):
            how = self.random.choice(("__lt__", "__le__", "__gt__", "__ge__"))
            return getattr(place, how)(value)
        return place == value

    def order(self) -> list[object]:
        names = [name for name, kind in self.kinds.items() if kind not in DOCUMENTS]
        picked = self.random.sample(names, self.random.randrange(min(3, len(names)) + 1))
        found = []
        for name in picked:
            column = getattr(self.entity, name)
            if self.refers and self.random.random() < 0.3:
                column = self.entity.above[column]
            elif self.random.random() < 0.3:
                column = self.expression(self.kinds[name])
            order = column.asc() if self.random.random() < 0.5 else column.desc()
            found.append(order.nulls_first() if self.random.random() < 0.3 else order)
        return found

    def aggregate_of_relation(self):
        """Return an aggregate over the rows that point at one, and a value to compare it with."""
        made, below = self.entity, self.entity.below
        if self.random.random() < 0.5:
            below = below.where(self.predicate(depth=1))
        name = self.random.choice(list(self.kinds))
        column, kind = getattr(made, name), self.kinds[name]
        if kind in (*DOCUMENTS, "bool") or self.random.random() < 0.3:
            return below.count(), self.random.randrange(3)
        choices = [below.min, below.max]
        if kind in ("int", "decimal", "span"):
            choices += [below.sum] * 3
        return self.random.choice(choices)(column), self.value(kind)

    def question_of_relations(self):
        """Return a question about what rows point at one: values, a condition, a part, groups."""
        made, where, order = self.entity, self.predicate(), self.order()
        compared = [self.aggregate_of_relation() for _ in range(self.random.randrange(1, 4))]
        values, (first, value) = [each for each, _ in compared], compared[0]
        direction = self.random.choice((first.asc, first.desc))()
        direction = direction.nulls_first() if self.random.random() < 0.3 else direction
        limit = self.random.choice((None, 2, 5))
        match self.random.randrange(5):
            case 0:
                where = where if self.random.random() < 0.5 else everything()
                return lambda rep: typed(
                    rep.select(made.id, *values, where=where, order_by=direction, limit=limit)
                )
            case 1:
                verb = self.random.choice(("__eq__", "__lt__", "__ge__", "__ne__"))
                fits = (
                    first.is_null() if self.random.random() < 0.2 else getattr(first, verb)(value)
                )
                joined = fits & where if self.random.random() < 0.5 else fits | where
                return lambda rep: [told(each) for each in rep.find(joined)]
            case 2:
                return lambda rep: pages(rep, everything(), [direction, *order], 4)
            case 3:
                part = made.below.where(where).order_by(*order).limit(self.random.randrange(4))
                return lambda rep: [
                    [told(below) for below in each.below] for each in rep.find(load=[part])
                ]
            case _:
                return lambda rep: typed(
                    rep.aggregate(
                        count(), by=first, having=count() > 1, order_by=count().desc(), limit=limit
                    )
                )

    def changes(self) -> list[object]:
        names = self.random.sample(list(self.kinds), self.random.randrange(1, 3))
        found = []
        for name in names:
            column, kind = getattr(self.entity, name), self.kinds[name]
            if kind in DOCUMENTS and self.random.random() < 0.8:
                found += [self.edit(column, kind) for _ in range(self.random.choice((1, 1, 2, 3)))]
                continue
            if self.random.random() < 0.3 and kind in (*NUMBERS, "moment", "day", "uuid"):
                made = self.expression(kind)
                with contextlib.suppress(InvalidQueryError):  # it may be null, or of another row
                    found.append(column.to(made))
                    continue
            if kind in NUMBERS and self.random.random() < 0.5:
                found.append(column.increment(self.random.choice(KINDS[kind][2][:4])))
            else:
                found.append(column.to(self.maybe(name)))
        return found

    def edit(self, column, kind: str):
        """Return a change inside the document in *column*."""
        place, value = column, self.random.choice(("a", "-a", "b", "%s"))
        if kind == "json":
            place, value = place[self.random.choice(WORDS)], self.json(1)
            for _ in range(self.random.choice((0, 0, 1, 2))):
                place = place[self.random.choice((*WORDS, 0, 1))]
        match self.random.randrange(5 if kind == "json" else 3):
            case 0:
                return place.append(value)
            case 1:
                return place.append(value, if_absent=True)
            case 2:
                return place.remove_item(value)
            case 3:
                return place.to(value)
            case _:
                return place.remove()

    def of_the_deleted(self):
        """Return something to do with rows that are marked as deleted."""
        wanted, where = self.key(), self.predicate()
        match self.random.randrange(4):
            case 0:
                return lambda rep: told(rep.restore(wanted))
            case 1:
                return lambda rep: rep.purge(older_than=timedelta(0))
            case 2:
                return lambda rep: rep.with_deleted().count(where)
            case _:
                return lambda rep: [told(each) for each in rep.with_deleted().find(where)]

    def step(self):
        """Return something to do with a repository, the same with each."""
        if self.refers and self.random.random() < 0.4:
            return self.question_of_relations()
        if self.ties and self.random.random() < 0.2:
            return self.tie()
        if self.marked and self.random.random() < 0.2:
            return self.of_the_deleted()
        match self.random.randrange(12):
            case 0:
                rows = [self.row() for _ in range(self.random.randrange(1, 6))]
                atomic = self.random.random() < 0.7
                return lambda rep: [
                    told(each) for each in rep.add_many(rows, atomic=atomic).results
                ]
            case 1:
                rows = [self.row() for _ in range(self.random.randrange(1, 6))]
                on = [getattr(self.entity, name) for name in self.unique]
                on = on if self.random.random() < 0.5 else []
                return lambda rep: [
                    (told(each.entity), each.created) for each in rep.upsert_many(rows, on=on)
                ]
            case 2:
                where, changes = self.predicate(), self.changes()
                return one_refusal(lambda rep: rep.update_where(where, changes=changes))
            case 3:
                where = self.predicate() & self.predicate()
                return lambda rep: rep.delete_where(where)
            case 4:
                keys = [self.key() for _ in range(self.random.randrange(1, 4))]
                return lambda rep: rep.delete_many(keys)
            case 5:
                wanted, changes = self.key(), self.changes()
                when = self.predicate() if self.random.random() < 0.5 else None
                return lambda rep: told(rep.patch(wanted, *changes, when=when))
            case 6:
                where, order, size = self.predicate(), self.order(), self.random.randrange(1, 6)
                # Without an order DynamoDB has one of its own.
                first = self.entity.left if self.key_kind == "pair" else self.entity.id
                order = order or [first.asc()]
                return lambda rep: pages(rep, where, order, size)
            case 7:
                where, groups = self.predicate(), self.random.sample(list(self.kinds), 1)
                groups = [each for each in groups if self.kinds[each] not in DOCUMENTS]
                by = [getattr(self.entity, each) for each in groups]
                figures = [getattr(self.entity, each).count() for each in self.kinds]
                for name, kind in self.kinds.items():
                    if kind in ("int", "decimal", "span"):
                        figures += [
                            getattr(self.entity, name).sum(),
                            getattr(self.entity, name).avg(),
                        ]
                    if kind not in (*DOCUMENTS, "bool"):
                        figures += [
                            getattr(self.entity, name).min(),
                            getattr(self.entity, name).max(),
                        ]
                return lambda rep: rep.aggregate(*figures, where=where, by=by)
            case 8:
                where, changes, order = self.predicate(), self.changes(), self.order()
                # DynamoDB writes each row by itself (TAKE-1), so a refused one would undo no other.
                most = self.random.randrange(2 if self.blank == "_" else 4)
                return one_refusal(
                    lambda rep: sorted(
                        map(told, rep.take(where, changes=changes, order_by=order, limit=most))
                    )
                )
            case _:
                where, order = self.predicate(), self.order()
                limit = self.random.choice((None, 0, 3))
                offset = self.random.choice((0, 0, 2))
                return lambda rep: [
                    told(each)
                    for each in rep.find(where, order_by=order, limit=limit, offset=offset)
                ]

    def tie(self):
        """Return something to do with links of rows."""
        verb = self.random.choice(("connect", "connect", "disconnect", "replace", "load"))
        wanted, others = self.key(), [self.key() for _ in range(self.random.randrange(4))]
        relation = self.random.choice((self.entity.tied, self.entity.tying))
        if verb != "load":
            return lambda rep: repr(getattr(rep.links(relation), verb)(wanted, others))
        part = relation.where(self.predicate(2)) if self.random.random() < 0.5 else relation
        part = part.limit(2) if self.random.random() < 0.3 else part
        order = [each for each in self.order() if not self.random.random() < 0.3]
        part = part.order_by(*order)
        return lambda rep: [
            [told(each) for each in vars(made)[relation.name]] for made in rep.find(load=[part])
        ]


def one_refusal(step):
    """Return *step* with one answer for rows that break different rules (ERR-2)."""

    def taken(repository):
        try:
            return step(repository)
        except (DuplicateError, InvalidValueError):
            return "a row was refused"

    return taken


def told(outcome: object) -> object:
    """Return what can be compared of an entity or of an error."""
    if isinstance(outcome, HoldfastError):
        return type(outcome).__name__, getattr(outcome, "index", None)
    values = sorted(vars(outcome).items())
    values = [(name, value is None if name == "gone" else value) for name, value in values]
    return [(name, type(value).__name__, repr(in_order(value))) for name, value in values]


def typed(rows):
    """Return rows of values with their types."""
    return [[(type(value).__name__, value) for value in row] for row in rows]


def pages(repository, where, order, size):
    """Return the rows of all pages, and of the first one again by the way back."""
    found, cursor = [], None
    while True:
        page = repository.page(where, order_by=order, size=size, cursor=cursor, total=True)
        found.append(([told(each) for each in page.items], page.total))
        if page.next is None:
            return found
        cursor = page.next


def outcome(step, repository):
    """Return what *step* gives with *repository*, or the error that it raises."""
    try:
        return step(repository)
    except HoldfastError as error:
        return told(error)
    except Exception as error:  # noqa: BLE001 - a raw error is what is hunted for
        return "raw", repr(error)


def hunt(seed: int, urls: dict[str, str]) -> str:
    """Do the round of *seed* on all of *urls*; return what differs, '' if nothing does."""
    made = Round(seed)
    first = [made.row() for _ in range(ROWS)]
    with ExitStack() as opened:
        repositories = {}
        for name, url in urls.items():
            store = opened.enter_context(open_store(url, made.entities))
            store.drop_schema()
            store.create_schema()
            opened.callback(store.drop_schema)
            repositories[name] = store.repository(made.entity)
            repositories[name].links = store.links
        steps = [lambda rep: [told(each) for each in rep.add_many(first, atomic=False).results]]
        steps += [made.step() for _ in range(STEPS)]
        for number, step in enumerate(steps):
            found = {name: outcome(step, rep) for name, rep in repositories.items()}
            left = {name: outcome(lambda rep: list(map(told, rep.find())), rep)
                    for name, rep in repositories.items()}  # fmt: skip
            for name in urls:
                for what, answers in (("answers", found), ("then holds", left)):
                    if answers[name] != answers["memory"]:
                        return (
                            f"step {number} on {name}, {what}:\n  {answers[name]!r:.2000}\n"
                            f"and memory:\n  {answers['memory']!r:.2000}\nof {made.kinds}, "
                            f"nullable {made.nullable}, unique {made.unique}, key {made.key_kind}"
                        )
        for repository in repositories.values():
            outcome(lambda rep: rep.delete_where(everything()), repository)
    return ""


def in_order(value: object) -> object:
    """Return *value* with the names of its documents sorted, as their order means nothing."""
    if isinstance(value, dict):
        return {name: in_order(value[name]) for name in sorted(value)}
    return [in_order(each) for each in value] if isinstance(value, list) else value


def main() -> int:
    """Hunt for as long as it was asked for; 1 when something was found."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--minutes", type=float, default=10.0)
    asked.add_argument("--seed", type=int, help="one round alone")
    words = asked.parse_args()
    with ExitStack() as made:
        urls = {"memory": "memory://"}
        folder = made.enter_context(tempfile.TemporaryDirectory())
        urls["sqlite"] = f"sqlite:///{folder}/hunt.db?synchronous=normal"
        for name in ("postgresql", "mariadb", "mysql"):
            if name in endpoints():
                urls[name] = made.enter_context(database_on(name))
        if "dynoxide" in endpoints():
            urls["dynamodb"] = store_url("dynoxide", f"hunt-{uuid4().hex}")
        sys.stdout.write(f"on {', '.join(urls)}\n")
        start = random.SystemRandom().randrange(10**9) if words.seed is None else words.seed
        end, rounds, found = time.monotonic() + words.minutes * 60, 0, 0
        while rounds == 0 or (words.seed is None and time.monotonic() < end):
            seed = start + rounds
            asked_now = {
                name: url
                for name, url in urls.items()
                if name != "dynamodb" or seed % DYNAMODB_AT == 0
            }
            differs = hunt(seed, asked_now)
            rounds += 1
            if differs:
                found += 1
                sys.stdout.write(f"--seed {seed}: {differs}\n\n")
                sys.stdout.flush()
        sys.stdout.write(f"{rounds} rounds from --seed {start}, {found} differ\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
