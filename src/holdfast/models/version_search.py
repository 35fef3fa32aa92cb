"""Search over versions by metrics, configuration, tags and words, by indexes alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

import orjson

from holdfast.errors import InvalidQueryError
from holdfast.models.model_entities import ModelVersion, VersionFigure, VersionTerm
from holdfast.models.version_details import config_term, tag_term, word_term, words_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence
    from uuid import UUID

    from holdfast.records import Predicate, Store

MOST_CONDITIONS = 20
_FEW = 512  # rows of a condition that are read as they are; one with more is walked along
_BATCH = 256
_FORM = re.compile(
    r"\s*(?P<kind>metrics|config|tags)\.(?P<name>[\w./@ -]*?[\w./@-])\s*"
    r"(?P<operator>>=|<=|==|=|>|<)\s*(?P<value>\"(?:[^\"\\]|\\.)*\"|[^\s\"]+)\s*"
)
_NUMBER = re.compile(r"[+-]?(?:\d{1,300}\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?")


@dataclass(frozen=True, slots=True)
class FigureCondition:
    """A number of the version, as `metrics.mAP`, stands so to *value*."""

    name: str
    operator: str
    value: float


@dataclass(frozen=True, slots=True)
class TermCondition:
    """The version has *term*: a tag, a text in its configuration, a word."""

    term: str


SearchCondition = FigureCondition | TermCondition


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSearch:
    """What is searched for: versions for which all *where* holds and that have all words of *text*.

    A condition is `metrics.mAP >= 0.9`, `config.optimizer.lr == 0.01`, `config.optimizer.name =
    adam` or `tags.team = vision`. *order_by* is a metric, `metrics.mAP`, with `-` before it from
    the greatest down; without one the newest comes first. Versions without that metric don't come.
    """

    where: tuple[str, ...] = ()
    text: str = ""
    order_by: str | None = None
    limit: int = 50

    def conditions(self) -> tuple[SearchCondition, ...]:
        """Return the conditions as data. Raises InvalidQueryError."""
        found: list[SearchCondition] = [parse_condition(each) for each in self.where]
        found += [TermCondition(word_term(word)) for word in words_of(self.text)]
        if len(found) > MOST_CONDITIONS:
            raise InvalidQueryError(f"{len(found)} conditions: expected {MOST_CONDITIONS} at most")
        if not 1 <= self.limit <= 1_000:
            raise InvalidQueryError(f"limit={self.limit}: expected 1 to 1000")
        return tuple(found)


def parse_condition(text: str) -> SearchCondition:
    """Return the condition that *text* says. Raises InvalidQueryError."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise _unclear(text)
    kind, name, value = found["kind"], found["name"], found["value"]
    sign = "==" if found["operator"] == "=" else found["operator"]
    if kind == "tags":
        if sign != "==":
            raise InvalidQueryError(f"{text!r:.120}: tags are texts, and compare by = alone")
        return TermCondition(tag_term(name, _text(value)))
    number = _number(value)
    if number is not None:
        return FigureCondition(f"{kind}.{name}", sign, number)
    if kind == "metrics" or sign != "==":
        raise _unclear(text)
    return TermCondition(config_term(name, {"true": True, "false": False}.get(value, _text(value))))


class _Reading(Protocol):
    """Reads ids of versions, some of them."""

    def __call__(self, *, limit: int, offset: int = 0) -> Awaitable[list[tuple[UUID]]]: ...


class VersionFinder:
    """Finds versions in a store, whose figures and terms have rows of their own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._versions = store.repository(ModelVersion)
        self._figures = store.repository(VersionFigure)
        self._terms = store.repository(VersionTerm)

    async def find(self, search: VersionSearch, model: UUID | None) -> list[ModelVersion]:
        """Return the versions that fit *search*, of *model* alone unless it is None.

        The condition that few versions fit is read first, and the others are looked up for these.
        When each fits many, the order is walked until enough are found. Raises InvalidQueryError.
        """
        conditions = search.conditions()
        order, descending = _order(search.order_by)
        few = await self._few(conditions, model, order)
        if few is not None:
            found = await self._ordered(await self._fitting(few, conditions), order)
            if not descending:
                found.reverse()
        else:
            found = []
            others = [each for each in conditions if not _is_about(each, order)]
            async with self._store.transaction(read_only=True):
                async for ids in self._walk(conditions, model, order, descending=descending):
                    found += await self._fitting(ids, others)
                    if len(found) >= search.limit:
                        break
        versions = await self._versions.get_many(found[: search.limit])
        return [version for version in versions if version is not None]

    async def _few(
        self, conditions: Sequence[SearchCondition], model: UUID | None, order: str | None
    ) -> list[UUID] | None:
        """Return the versions of the first condition that few fit; None when each fits many."""
        if model is not None:
            of_model = partial(
                self._versions.select, ModelVersion.id, where=ModelVersion.model_id == model
            )
            if (few := await _all_of_few(of_model)) is not None:
                return few
        for condition in conditions:
            if (few := await _all_of_few(self._having(condition, model))) is not None:
                return few
        if order is None or any(_is_about(each, order) for each in conditions):
            return None  # more versions have the number than one that compares as asked
        return await _all_of_few(self._along(_of(model, VersionFigure.name == order)))

    def _having(self, condition: SearchCondition, model: UUID | None) -> _Reading:
        """Return what reads the versions that fit *condition*."""
        if isinstance(condition, TermCondition):
            where = _term(condition, model)
            return partial(self._terms.select, VersionTerm.version_id, where=where)
        return self._along(_figure(condition, model))

    def _along(self, where: Predicate) -> _Reading:
        """Return what reads versions by a figure, as its index lies: nothing is sorted."""
        return partial(
            self._figures.select,
            VersionFigure.version_id,
            where=where,
            order_by=VersionFigure.value.asc(),
        )

    async def _walk(
        self,
        conditions: Sequence[SearchCondition],
        model: UUID | None,
        order: str | None,
        *,
        descending: bool,
    ) -> AsyncIterator[list[UUID]]:
        """Yield the versions in the order that is asked for, some at a time, all of one moment.

        Conditions on the number by which is ordered hold for them.
        """
        rows: list[tuple[UUID]] = []
        place = 0
        while place == 0 or len(rows) == _BATCH:
            if order is None:
                rows = await self._versions.select(
                    ModelVersion.id,
                    where=() if model is None else ModelVersion.model_id == model,
                    order_by=ModelVersion.id.desc(),
                    limit=_BATCH,
                    offset=place,
                )
            else:
                rows = await self._figures.select(
                    VersionFigure.version_id,
                    where=(
                        _of(model, VersionFigure.name == order),
                        *(
                            _compared(each)
                            for each in conditions
                            if isinstance(each, FigureCondition) and _is_about(each, order)
                        ),
                    ),
                    order_by=VersionFigure.value.desc()
                    if descending
                    else VersionFigure.value.asc(),
                    limit=_BATCH,
                    offset=place,
                )
            place += _BATCH
            yield [identity for (identity,) in rows]

    async def _fitting(
        self, ids: Sequence[UUID], conditions: Sequence[SearchCondition]
    ) -> list[UUID]:
        """Return those of *ids*, in their order, that fit all *conditions*, one after another."""
        left = list(ids)
        for condition in conditions:
            fitting: set[UUID] = set()
            for start in range(0, len(left), _BATCH):
                some = left[start : start + _BATCH]
                rows: list[tuple[UUID]]
                if isinstance(condition, TermCondition):
                    rows = await self._terms.select(
                        VersionTerm.version_id,
                        # A list of one: or SQLite begins with all that have the term.
                        where=VersionTerm.version_id.in_(some)
                        & VersionTerm.term.in_([condition.term]),
                    )
                else:
                    rows = await self._figures.select(
                        VersionFigure.version_id,
                        where=VersionFigure.version_id.in_(some)
                        & VersionFigure.name.in_([condition.name])
                        & _compared(condition),
                    )
                fitting.update(identity for (identity,) in rows)
            left = [identity for identity in left if identity in fitting]
        return left

    async def _ordered(self, ids: Sequence[UUID], order: str | None) -> list[UUID]:
        """Return *ids* by the number *order*, the greatest first, without those that have none.

        Versions with the same number, and all of them without an order, come newest first.
        """
        newest = sorted(ids, reverse=True)
        if order is None or not newest:
            return newest
        rows: list[tuple[UUID, float]] = await self._figures.select(
            VersionFigure.version_id,
            VersionFigure.value,
            where=VersionFigure.version_id.in_(newest) & (VersionFigure.name == order),
        )
        values = dict(rows)
        return sorted(
            (each for each in newest if each in values), key=lambda each: values[each], reverse=True
        )


async def _all_of_few(read: _Reading) -> list[UUID] | None:
    """Return all that *read* reads, None where that is more than a few: then none is fetched."""
    if await read(limit=1, offset=_FEW):
        return None
    return [identity for (identity,) in await read(limit=_FEW)]


def _is_about(condition: SearchCondition, order: str | None) -> bool:
    """Whether *condition* is on the number by which is ordered: the walk along it sees to that."""
    return isinstance(condition, FigureCondition) and condition.name == order


def _figure(condition: FigureCondition, model: UUID | None) -> Predicate:
    return _of(model, VersionFigure.name == condition.name) & _compared(condition)


def _compared(condition: FigureCondition) -> Predicate:
    field, value = VersionFigure.value, condition.value
    compared: dict[str, Predicate] = {
        ">=": field >= value,
        "<=": field <= value,
        ">": field > value,
        "<": field < value,
        "==": field == value,
    }
    return compared[condition.operator]


def _term(condition: TermCondition, model: UUID | None) -> Predicate:
    named = VersionTerm.term == condition.term
    return named if model is None else (VersionTerm.model_id == model) & named


def _of(model: UUID | None, named: Predicate) -> Predicate:
    return named if model is None else (VersionFigure.model_id == model) & named


def _order(order_by: str | None) -> tuple[str | None, bool]:
    if order_by is None:
        return None, True
    name = order_by.removeprefix("-")
    kind: Literal["metrics", "config"]
    for kind in ("metrics", "config"):
        if name.startswith(f"{kind}.") and len(name) > len(kind) + 1:
            return name, order_by.startswith("-")
    raise InvalidQueryError(
        f"order_by={order_by!r:.120}: expected a number of the versions, as metrics.mAP, with - "
        "before it from the greatest down"
    )


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _text(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(orjson.loads(value))
    except orjson.JSONDecodeError:
        raise _unclear(value) from None


def _unclear(text: str) -> InvalidQueryError:
    return InvalidQueryError(
        f"a condition {text!r:.120}: expected metrics.NAME, config.PATH or tags.NAME, one of = == "
        "> >= < <=, and a number or a text, as in `metrics.mAP >= 0.9` or `tags.team = vision`"
    )
