"""Random work on a backend and on the naive model; where they differ, Hypothesis shows the least.

`HOLDFAST_CONFORMANCE_EXAMPLES` says how many random sessions are tried, and else the harness.
"""

from __future__ import annotations

import asyncio
import copy
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from holdfast.blocking import run
from holdfast.errors import (
    DuplicateError,
    HoldfastError,
    InvalidValueError,
    NotFoundError,
    PreconditionFailedError,
    StaleVersionError,
)
from holdfast.records.conformance import naive_relations
from holdfast.records.conformance.lab import Clock
from holdfast.records.conformance.naive_model import (
    Condition,
    Direction,
    Row,
    edit_of,
    edited,
    holds,
    ordered,
    orders_of,
    predicate_of,
)
from holdfast.records.conformance.sample_entities import Member, Sample, entities_for
from holdfast.records.driver import StoreCapability
from holdfast.records.expressions.predicates import everything

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holdfast.records.conformance.harness import StoreHarness
    from holdfast.records.expressions.field_changes import Change
    from holdfast.records.store import Store

T = TypeVar("T")
KEYS = st.sampled_from(["a", "A", "b", "b ", "\u00e9", "\U0001f3a5"])
NUMBERS = st.sampled_from([-1, 0, 1, 2, 2**53 + 1])
TEXTS = st.text(st.sampled_from("aA%_\\*b \u00e4\u00df\uffff\U0001f3a5"), max_size=3)
RATIOS = st.sampled_from([-1.5, 0.0, 0.1, 2.0])
RANKED_JSON = st.one_of(NUMBERS, RATIOS, TEXTS)
JSON: st.SearchStrategy[object] = st.one_of(st.none(), st.booleans(), RANKED_JSON, st.just([]))
ITEMS: st.SearchStrategy[object] = st.sampled_from([1, 1.0, True, "1", None])
EDITS = st.tuples(st.sampled_from(["append", "append if absent", "remove_item"]), ITEMS)
ROWS = st.fixed_dictionaries(
    {
        "id": KEYS,
        "name": st.none() | st.sampled_from(["n", "N", "m"]),
        "number": st.none() | NUMBERS,
        "text": TEXTS,
        "ratio": RATIOS,
        "flag": st.booleans(),
        "document": st.one_of(st.just({}), st.fixed_dictionaries({"k": JSON})),
    }
)
_VALUES: dict[str, st.SearchStrategy[object]] = {
    "id": cast("st.SearchStrategy[object]", KEYS),
    "name": st.sampled_from(["n", "N", "m"]),
    "number": cast("st.SearchStrategy[object]", NUMBERS),
    "text": cast("st.SearchStrategy[object]", TEXTS),
    "ratio": cast("st.SearchStrategy[object]", RATIOS),
    "flag": st.booleans(),
    "document": st.one_of(st.booleans(), RANKED_JSON),
}


def _leaves(name: str) -> st.SearchStrategy[Condition]:
    value = _VALUES[name]
    kinds = [
        st.tuples(st.sampled_from(["==", "!="]), st.just(name), value),
        st.tuples(st.sampled_from(["in_", "not_in"]), st.just(name), st.lists(value, max_size=3)),
        st.tuples(st.just("null"), st.just(name)),
    ]
    ranked = value if name != "document" else RANKED_JSON
    kinds.append(st.tuples(st.sampled_from(["<", ">="]), st.just(name), ranked))
    if name in ("id", "name", "text", "document"):
        words = st.sampled_from(["contains", "startswith", "endswith", "iequals", "icontains"])
        kinds.append(st.tuples(words, st.just(name), TEXTS))
    return cast("st.SearchStrategy[Condition]", st.one_of(*kinds))


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.one_of(st.just(("all",)), *(_leaves(name) for name in _VALUES)),
    lambda parts: st.one_of(
        st.tuples(st.sampled_from("&|"), parts, parts), st.tuples(st.just("~"), parts)
    ),
    max_leaves=4,
)
DIRECTIONS: st.SearchStrategy[list[Direction]] = st.lists(
    st.tuples(
        st.sampled_from(["name", "number", "text", "ratio", "flag"]), st.booleans(), st.booleans()
    ),
    max_size=3,
    unique_by=lambda each: each[0],
)
CHANGES = st.sampled_from(
    [("name", "n"), ("name", None), ("number", 5), ("number", None), ("text", "%"), ("+number", 1)]
    + [("document append", value) for value in (1, True, "-", None)]
    + [("document append if absent", 1), ("document remove_item", 1), ("document remove", None)]
    + [("document to", [1, 1.0, True, "-"]), ("document to", "-")]
)


class _Undone(Exception):  # noqa: N818 - raised to roll back
    pass


class RandomWork(RuleBasedStateMachine):
    """Does the same to a store and to `rows`, and compares what both answer."""

    harness: ClassVar[StoreHarness]
    store: ClassVar[Store]
    runner: ClassVar[asyncio.Runner | None]

    @initialize()
    def start(self) -> None:
        self.rows: dict[str, Row] = {}
        self.do(self.harness.prepare(self.store))
        self.repository = self.store.repository(Sample)

    def teardown(self) -> None:
        """Leave the store empty."""
        if hasattr(self, "rows"):
            self.do(self.harness.clear(self.store))

    @classmethod
    def do(cls, work: Coroutine[object, None, T]) -> T:
        """Return what *work* returns, awaited or blocking."""
        return run(work) if cls.runner is None else cls.runner.run(work)

    # --- writing ----------------------------------------------------------------------------

    @rule(row=ROWS)
    def add(self, row: Row) -> None:
        self._same_outcome(self.repository.add(_sample(row)), lambda: self._add(row))

    @rule(rows=st.lists(ROWS, min_size=2, max_size=4), atomic=st.booleans())
    def add_many(self, rows: list[Row], atomic: bool) -> None:
        before = copy.deepcopy(self.rows)
        expected: list[object] = []
        for row in rows:
            try:
                expected.append(self._add(row))
            except DuplicateError:
                expected.append(DuplicateError)
        batch = [_sample(row) for row in rows]
        if atomic and DuplicateError in expected:
            self.rows = before
            try:
                self.do(self.repository.add_many(batch))
            except DuplicateError as error:
                assert error.index == expected.index(DuplicateError)
                return
            raise AssertionError("an atomic batch took a duplicate")
        result = self.do(self.repository.add_many(batch, atomic=atomic))
        got = [
            type(each) if isinstance(each, HoldfastError) else vars(each) for each in result.results
        ]
        assert got == expected

    @rule(row=ROWS, stale=st.booleans())
    def update(self, row: Row, stale: bool) -> None:
        key = cast("str", row["id"])
        version = cast("int", self.rows.get(key, {"version": 1})["version"]) + stale
        entity = _sample(row)
        vars(entity)["version"] = version

        def meant() -> Row:
            if key not in self.rows:
                raise NotFoundError("Sample", key)
            if stale:
                raise StaleVersionError("Sample", key, expected=version)
            return self._put({**row, "version": version + 1})

        self._same_outcome(self.repository.update(entity), meant)

    @rule(key=KEYS, change=CHANGES, when=st.none() | CONDITIONS)
    def patch(self, key: str, change: tuple[str, object], when: Condition | None) -> None:
        def meant() -> Row:
            if key not in self.rows:
                raise NotFoundError("Sample", key)
            if when is not None and not holds(when, self.rows[key]):
                raise PreconditionFailedError("Sample", key)
            return self._put(_changed(self.rows[key], change))

        predicate = None if when is None else predicate_of(when)
        self._same_outcome(self.repository.patch(key, _change(change), when=predicate), meant)

    @rule(row=ROWS, by_name=st.booleans())
    def upsert(self, row: Row, by_name: bool) -> None:
        on = "name" if by_name else "id"
        known = next(
            (key for key, old in self.rows.items() if row[on] is not None and old[on] == row[on]),
            None,
        )

        def meant() -> Row:
            if known is None:
                return self._add(row)
            old = self.rows[known]
            return self._put({**row, "id": known, "version": cast("int", old["version"]) + 1})

        if known is not None and row["id"] != known and row["id"] in self.rows:
            return  # two rows clash with it, and which one it means is left open

        async def upserted() -> Sample:
            fields = [Sample.name] if by_name else []
            outcome = await self.repository.upsert(_sample(row), on=fields)
            assert outcome.created is (known is None)
            return outcome.entity

        self._same_outcome(upserted(), meant)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert self.do(self.repository.delete(key)) is (self.rows.pop(key, None) is not None)

    @rule(where=CONDITIONS)
    def delete_where(self, where: Condition) -> None:
        gone = [key for key, row in self.rows.items() if holds(where, row)]
        assert self.do(self.repository.delete_where(predicate_of(where))) == len(gone)
        for key in gone:
            del self.rows[key]

    @rule(where=CONDITIONS, change=CHANGES.filter(lambda each: each != ("name", "n")))
    def update_where(self, where: Condition, change: tuple[str, object]) -> None:
        fitting = [row for row in self.rows.values() if holds(where, row)]
        expected: list[Row] | type[HoldfastError]
        try:
            expected = [_changed(row, change) for row in fitting]
        except InvalidValueError as error:
            expected = type(error)
        work = self.repository.update_where(predicate_of(where), changes=[_change(change)])
        try:
            changed = self.do(work)
        except InvalidValueError as error:
            assert type(error) is expected
            return
        assert isinstance(expected, list)
        assert changed == len(expected)
        for row in expected:
            self._put(row)

    @rule(held=st.lists(ITEMS, max_size=3), edits=st.lists(EDITS, min_size=1, max_size=3))
    def change_lists(self, held: list[object], edits: list[tuple[str, object]]) -> None:
        self.update_where(("all",), ("document", {"k": held}))
        changes = [edit_of(word, item) for word, item in edits]
        changed = self.do(self.repository.update_where(everything(), changes=changes))
        assert changed == len(self.rows)
        for row in list(self.rows.values()):
            left = row
            for word, item in edits:
                left = edited(left, word, item)
            self._put({**left, "version": cast("int", row["version"]) + 1})

    @rule(rows=st.lists(ROWS, min_size=1, max_size=3), where=CONDITIONS, nested=st.booleans())
    def transaction_undone(self, rows: list[Row], where: Condition, nested: bool) -> None:
        if (
            not {StoreCapability.TRANSACTIONS, StoreCapability.SAVEPOINTS}
            <= self.harness.capabilities
        ):
            return

        async def work() -> None:
            async with self.store.transaction() as tx:
                if nested:
                    async with tx.savepoint():
                        await self.repository.delete_where(predicate_of(where))
                for row in rows:
                    await self.repository.upsert(_sample({**row, "name": None}))
                raise _Undone

        try:
            self.do(work())
        except _Undone:
            return
        raise AssertionError("the transaction swallowed an exception")

    # --- reading ----------------------------------------------------------------------------

    @rule(where=CONDITIONS, order=DIRECTIONS, limit=st.none() | st.integers(0, 4),
          offset=st.integers(0, 3))  # fmt: skip
    def find(
        self, where: Condition, order: list[Direction], limit: int | None, offset: int
    ) -> None:
        found = self.do(
            self.repository.find(
                predicate_of(where), order_by=orders_of(order), limit=limit, offset=offset
            )
        )
        end = None if limit is None else offset + limit
        assert [vars(each) for each in found] == self._ordered(where, order)[offset:end]

    @rule(where=CONDITIONS, order=DIRECTIONS, size=st.integers(1, 3))
    def pages(self, where: Condition, order: list[Direction], size: int) -> None:
        expected = self._ordered(where, order)
        along = orders_of(order) or [Sample.id.asc()]  # without one a backend may have its own
        seen: list[Row] = []
        cursor: str | None = None
        previous: str | None = None
        while True:
            page = self.do(
                self.repository.page(
                    predicate_of(where),
                    order_by=along,
                    size=size,
                    cursor=cursor,
                    total=True,
                )
            )
            assert page.total == len(expected)
            if page.previous is not None:
                back = self.do(
                    self.repository.page(
                        predicate_of(where),
                        order_by=along,
                        size=size,
                        cursor=page.previous,
                    )
                )
                assert [vars(each) for each in back] == seen[-size:]
                previous = back.next
                assert previous is not None
            seen += [vars(each) for each in page]
            cursor = page.next
            if cursor is None:
                break
        assert seen == expected

    @rule(where=CONDITIONS)
    def count(self, where: Condition) -> None:
        fitting = len(self._ordered(where, []))
        assert self.do(self.repository.count(predicate_of(where))) == fitting
        assert self.do(self.repository.count(~predicate_of(where))) == len(self.rows) - fitting
        assert self.do(self.repository.exists(predicate_of(where))) is bool(fitting)

    @rule(
        staff=naive_relations.STAFFS,
        where=naive_relations.CONDITIONS,
        direction=st.tuples(st.booleans(), st.booleans()),
        size=st.integers(1, 3),
    )
    def ask_about_relations(
        self,
        staff: list[tuple[str, int | None]],
        where: Condition,
        direction: naive_relations.Direction,
        size: int,
    ) -> None:
        members = self.store.repository(Member)
        everybody = naive_relations.members_of(staff)
        self.do(members.delete_where(everything()))
        self.do(members.add_many(everybody))
        fitting = [each for each in everybody if naive_relations.holds(where, each, everybody)]
        expected = naive_relations.ordered(fitting, direction, everybody)
        predicate, order = naive_relations.predicate_of(where), naive_relations.order_of(direction)
        assert self.do(members.find(predicate, order_by=order)) == expected
        assert self.do(members.count(~predicate)) == len(everybody) - len(fitting)
        seen: list[Member] = []
        cursor: str | None = None
        while True:
            page = self.do(members.page(predicate, order_by=order, size=size, cursor=cursor))
            seen += page.items
            cursor = page.next
            if cursor is None:
                break
        assert seen == expected
        fit = Member.reports.where(predicate)
        below = {
            each.id: naive_relations.ordered(
                [one for one in fitting if one.chief_id == each.id], direction, everybody
            )
            for each in everybody
        }
        counts = self.do(members.select(Member.id, fit.count()))
        assert counts == [(key, len(found)) for key, found in below.items()]
        assert self.do(members.count(fit.count() >= size)) == sum(
            len(found) >= size for found in below.values()
        )
        loaded = self.do(members.find(load=[fit.order_by(order).limit(size)]))
        assert {each.id: each.reports for each in loaded} == {
            key: found[:size] for key, found in below.items()
        }

    @invariant()
    def holds_the_same(self) -> None:
        """Compare all rows of the store with the model's."""
        if hasattr(self, "rows"):
            found = [vars(each) for each in self.do(self.repository.find())]
            assert found == ordered(list(self.rows.values()), [])

    # --- the model --------------------------------------------------------------------------

    def _same_outcome(
        self, work: Coroutine[object, None, Sample], meant: Callable[[], Row]
    ) -> None:
        expected: object
        try:
            expected = dict(meant())
        except HoldfastError as error:
            expected = type(error)
        got: object
        try:
            got = vars(self.do(work))
        except HoldfastError as error:
            got = type(error)
        assert got == expected

    def _add(self, row: Row) -> Row:
        if row["id"] in self.rows:
            raise DuplicateError("Sample", ("id",))
        return self._put({**row, "version": 1})

    def _put(self, row: Row) -> Row:
        for key, other in self.rows.items():
            if key != row["id"] and row["name"] is not None and other["name"] == row["name"]:
                raise DuplicateError("Sample", ("name",))
        self.rows[cast("str", row["id"])] = copy.deepcopy(row)
        return row

    def _ordered(self, where: Condition, order: list[Direction]) -> list[Row]:
        return ordered([row for row in self.rows.values() if holds(where, row)], order)


def _sample(row: Row) -> Sample:
    made = Sample(id=cast("str", row["id"]))
    vars(made).update(copy.deepcopy(row))
    return made


def _change(change: tuple[str, object]) -> Change:
    name, value = change
    if name == "+number":
        return Sample.number.increment(cast("int", value))  # type: ignore[misc]
    if name.startswith("document "):
        return edit_of(name.removeprefix("document "), value)
    made: Change = getattr(Sample, name).to(value)
    return made


def _changed(row: Row, change: tuple[str, object]) -> Row:
    name, value = change
    if name.startswith("document "):
        row = edited(row, name.removeprefix("document "), copy.deepcopy(value))
        name, value = "document", row["document"]
    if name == "+number":
        name = "number"
        value = None if row[name] is None else cast("int", row[name]) + cast("int", value)
    return {**row, name: value, "version": cast("int", row["version"]) + 1}


def compare_with_model(harness: StoreHarness, *, blocking: bool = True) -> None:
    """Do random work on a store of *harness* and on the model; raise where they differ."""

    class Work(RandomWork):
        pass

    Work.harness = harness
    opening = (harness.open_blocking if blocking else harness.open)(
        entities_for(harness.capabilities), Clock()
    )
    with nullcontext() if blocking else asyncio.Runner() as Work.runner:
        Work.store = Work.do(opening.__aenter__())
        try:
            _try_at_random(Work)
        finally:
            Work.do(opening.__aexit__(None, None, None))


def _try_at_random(work: type[RandomWork]) -> None:
    run_state_machine_as_test(
        work,
        settings=settings(
            max_examples=int(
                os.environ.get("HOLDFAST_CONFORMANCE_EXAMPLES", work.harness.examples)
            ),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            database=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
        ),
    )
