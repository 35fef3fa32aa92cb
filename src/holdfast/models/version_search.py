"""Search over versions by metrics, configuration, tags and words, by indexes alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson

from holdfast.errors import InvalidQueryError
from holdfast.models.metric_gate import COMPARISONS
from holdfast.models.model_entities import ModelVersion, VersionFigure, VersionTerm
from holdfast.models.version_details import config_term, tag_term, word_term, words_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
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

    def fits(self, value: float | None) -> bool:
        """Whether a version with *value* under the name fits; with none it does not."""
        return value is not None and COMPARISONS[self.operator](value, self.value)


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


class VersionFinder:
    """Finds versions in a store, whose figures and terms have rows of their own."""

    def __init__(self, store: Store) -> None:
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
        found: list[tuple[float, ModelVersion]] = []
        if few is not None:
            for start in range(0, len(few), _BATCH):
                found += await self._fitting(few[start : start + _BATCH], conditions, order)
        else:
            async for ids in self._walk(model, order, descending=descending):
                found += await self._fitting(ids, conditions, order)
                if len(found) >= search.limit:
                    break
        found.sort(key=lambda each: each[1].id, reverse=True)
        if order is not None:
            found.sort(key=lambda each: each[0], reverse=descending)
        return [version for _, version in found[: search.limit]]

    async def _few(
        self, conditions: Sequence[SearchCondition], model: UUID | None, order: str | None
    ) -> list[UUID] | None:
        """Return the versions of the first condition that few fit; None when each fits many."""
        rows: list[tuple[UUID]]
        if model is not None:
            rows = await self._versions.select(
                ModelVersion.id, where=ModelVersion.model_id == model, limit=_FEW + 1
            )
            if len(rows) <= _FEW:
                return [identity for (identity,) in rows]
        for condition in conditions:
            if isinstance(condition, TermCondition):
                rows = await self._terms.select(
                    VersionTerm.version_id,
                    where=_term(condition, model),
                    limit=_FEW + 1,
                )
            else:
                rows = await self._figures.select(
                    VersionFigure.version_id,
                    where=_figure(condition, model),
                    limit=_FEW + 1,
                )
            if len(rows) <= _FEW:
                return [identity for (identity,) in rows]
        if order is None:
            return None
        named = VersionFigure.name == order
        rows = await self._figures.select(
            VersionFigure.version_id, where=_of(model, named), limit=_FEW + 1
        )
        return [identity for (identity,) in rows] if len(rows) <= _FEW else None

    async def _walk(
        self, model: UUID | None, order: str | None, *, descending: bool
    ) -> AsyncIterator[list[UUID]]:
        batch: list[UUID] = []
        if order is None:
            where = () if model is None else (ModelVersion.model_id == model,)
            versions = self._versions.stream(*where, order_by=ModelVersion.id.desc(), batch=_BATCH)
            async for version in versions:
                batch.append(version.id)
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
        else:
            by = VersionFigure.value.desc() if descending else VersionFigure.value.asc()
            figures = self._figures.stream(
                _of(model, VersionFigure.name == order), order_by=by, batch=_BATCH
            )
            async for figure in figures:
                batch.append(figure.version_id)
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
        yield batch

    async def _fitting(
        self, ids: Sequence[UUID], conditions: Sequence[SearchCondition], order: str | None
    ) -> list[tuple[float, ModelVersion]]:
        """Return those of *ids* that fit all *conditions*, with the number of the order."""
        if not ids:
            return []
        figures = [each for each in conditions if isinstance(each, FigureCondition)]
        names = {each.name for each in figures} | ({order} if order is not None else set())
        values: dict[UUID, dict[str, float]] = {identity: {} for identity in ids}
        if names:
            rows: list[tuple[UUID, str, float]] = await self._figures.select(
                VersionFigure.version_id,
                VersionFigure.name,
                VersionFigure.value,
                where=VersionFigure.version_id.in_(ids) & VersionFigure.name.in_(sorted(names)),
            )
            for identity, name, value in rows:
                values[identity][name] = value
        terms = {each.term for each in conditions if isinstance(each, TermCondition)}
        had: dict[UUID, set[str]] = {identity: set() for identity in ids}
        if terms:
            found: list[tuple[UUID, str]] = await self._terms.select(
                VersionTerm.version_id,
                VersionTerm.term,
                where=VersionTerm.version_id.in_(ids) & VersionTerm.term.in_(sorted(terms)),
            )
            for identity, term in found:
                had[identity].add(term)
        fitting = [
            identity
            for identity in ids
            if had[identity] >= terms
            and all(each.fits(values[identity].get(each.name)) for each in figures)
            and (order is None or order in values[identity])
        ]
        versions = await self._versions.get_many(fitting)
        return [
            (0.0 if order is None else values[version.id][order], version)
            for version in versions
            if version is not None
        ]


def _figure(condition: FigureCondition, model: UUID | None) -> Predicate:
    field, value = VersionFigure.value, condition.value
    compared: dict[str, Predicate] = {
        ">=": field >= value,
        "<=": field <= value,
        ">": field > value,
        "<": field < value,
        "==": field == value,
    }
    return _of(model, VersionFigure.name == condition.name) & compared[condition.operator]


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
