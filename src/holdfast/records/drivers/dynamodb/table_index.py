"""Secondary indexes: the attributes that they go by, each on its own or composed into one text.

A service takes several attributes for the sort key of an index, or one alone: there the fields
behind the first are composed into ``~sort:name``. Each value is a text that sorts as the values do,
in which characters up to ``!`` are written as ``!`` and the character 64 further on; a blank ends
it. So no two rows have one text unless they have the same values, and texts compare as the values
do, one after another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.records.drivers.dynamodb.attribute_codec import (
    AttributeValue,
    Item,
    encoder,
    sortable_text,
)
from holdfast.records.drivers.dynamodb.item_size import value_size
from holdfast.records.expressions.predicates import Operator
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.entities.model import Model, Row
    from holdfast.records.options import IndexForm
    from holdfast.records.values.field_spec import FieldSpec

LONGEST_SORTED = 1024
"""Bytes in the sort key of an index."""
_MOST_RANGE = 4  # attributes of an index's sort key
_END, _BEHIND = " ", "!"  # of a value; and what sorts next
_ESCAPED = {code: f"!{chr(code + 64)}" for code in range(ord("!") + 1)}
_BY_ITSELF = frozenset(
    {Kind.INT, Kind.DECIMAL, Kind.DATETIME, Kind.DATE, Kind.TIME, Kind.TIMEDELTA, Kind.UUID}
)


def key_letter(spec: FieldSpec) -> str:
    """Return the type of the attribute that a key or an index of this field goes by."""
    return "N" if spec.type.kind in (Kind.INT, Kind.DECIMAL, Kind.TIMEDELTA) else "S"


@dataclass(frozen=True, slots=True)
class IndexAttribute:
    """A field that an index goes by: its own attribute, or a *copied* one that sorts."""

    spec: FieldSpec
    copied: bool

    @property
    def name(self) -> str:
        """The attribute's name."""
        return f"~index:{self.spec.name}" if self.copied else self.spec.name

    @property
    def letter(self) -> str:
        """The attribute's type, as tables declare it."""
        return "S" if self.copied else key_letter(self.spec)

    def may_be(self, value: object) -> bool:
        """Return whether a row can have the value here: an index takes no long text."""
        return value_size(self.encode(value)) <= LONGEST_SORTED

    def encode(self, value: object) -> AttributeValue:
        """Return the attribute's value for the field's row value."""
        return {"S": self.text(value)} if self.copied else encoder(self.spec)(value)

    def text(self, value: object) -> str:
        """Return a text of the row value that sorts as the attribute does."""
        if value is None:
            return "~"
        text = sortable_text(self.spec, value)
        return f"={text}" if self.copied else text


@dataclass(frozen=True, slots=True)
class TableIndex:
    """A secondary index: rows with one value of *partition* together, in the order of *sort*.

    *sort* ends with the fields of the key, where it has room for them, and so is a total order.
    *composed* is the name of the one attribute that has all of *sort*, None where each has its own.
    """

    name: str
    partition: IndexAttribute
    sort: tuple[IndexAttribute, ...]
    composed: str | None = None

    @property
    def attributes(self) -> tuple[IndexAttribute, ...]:
        """What it goes by, in its order."""
        return (self.partition, *self.sort)

    @property
    def own_attributes(self) -> tuple[IndexAttribute, ...]:
        """Those of `attributes` that are not composed."""
        return self.attributes if self.composed is None else (self.partition,)

    @property
    def letters(self) -> dict[str, str]:
        """The types of the attributes that the service knows the index by, in its order."""
        letters = {each.name: each.letter for each in self.own_attributes}
        return letters if self.composed is None else letters | {self.composed: "S"}

    def reads(self, names: frozenset[str] | set[str]) -> bool:
        """Return whether one of the fields *names* is composed into its attribute."""
        return self.composed is not None and any(each.spec.name in names for each in self.sort)

    def takes(self, values: Sequence[object]) -> bool:
        """Return whether a row can have *values* in the first fields of *sort*."""
        if self.composed is not None:
            return len(_composed(self.sort, values).encode()) <= LONGEST_SORTED
        return all(each.may_be(value) for each, value in zip(self.sort, values, strict=False))

    def sort_text(self, row: Row) -> str:
        """Return what the *composed* attribute of *row* is."""
        return _composed(self.sort, [row[each.spec.position] for each in self.sort])

    def key_of(self, values: Sequence[object]) -> Item:
        """Return the index's attributes at a row that has *values* in all its fields."""
        own = self.own_attributes
        item = {each.name: each.encode(value) for each, value in zip(own, values, strict=False)}
        if self.composed is not None:
            item[self.composed] = {"S": _composed(self.sort, values[1:])}
        return item

    def span(
        self, fixed: Sequence[object], bound: tuple[Operator, object] | None
    ) -> tuple[str, str | None]:
        """Return the least and the greatest text of rows, None for no greatest.

        They have *fixed* in the first fields of *sort*, and fit *bound* in the next. No row has
        either text itself.
        """
        start = _composed(self.sort, fixed)
        low, high = start, f"{start.removesuffix(_END)}{_BEHIND}" if start else None
        if bound is not None:
            how, value = bound
            text = start + self.sort[len(fixed)].text(value).translate(_ESCAPED)
            match how:
                case Operator.GE:
                    low = text
                case Operator.GT:
                    low = text + _BEHIND
                case Operator.LT:
                    high = text
                case Operator.LE:
                    high = text + _BEHIND
                case _:
                    raise AssertionError(how)
        return low, high


def _composed(attributes: Sequence[IndexAttribute], values: Sequence[object]) -> str:
    texts = [each.text(value) for each, value in zip(attributes, values, strict=False)]
    return "".join([f"{text.translate(_ESCAPED)}{_END}" for text in texts])


def indexes_of(model: Model[object], form: IndexForm) -> tuple[TableIndex, ...]:
    """Return the indexes of *model*'s table. Raises ConfigurationError for what can't be one."""
    wanted = [tuple(model.by_name[name] for name in names) for names in model.indexes]
    starts = {fields[0] for fields in wanted}
    wanted += [(spec,) for spec in model.references if spec not in starts]
    return tuple(_index(model, fields, form) for fields in dict.fromkeys(wanted))


def _index(model: Model[object], fields: tuple[FieldSpec, ...], form: IndexForm) -> TableIndex:
    name = "-".join(spec.name for spec in fields)
    first, *rest = (_attribute(model, spec, name) for spec in fields)
    if len(rest) > _MOST_RANGE:
        raise ConfigurationError(
            f"{model.name}: the index on {name} has {len(fields)} fields; DynamoDB sorts by "
            f"{_MOST_RANGE}, after the first"
        )
    missing = [spec for spec in model.keys if spec not in fields]
    rest += [_attribute(model, spec, name) for spec in missing[: _MOST_RANGE - len(rest)]]
    known = name if len(name) > 2 else f"by-{name}"
    if form == "composed" and len(rest) > 1:
        # A name of its own: where the other form is there already, this one is made beside it.
        return TableIndex(f"{known}.composed", first, tuple(rest), f"~sort:{name}")
    return TableIndex(known, first, tuple(rest))


def _attribute(model: Model[object], spec: FieldSpec, index: str) -> IndexAttribute:
    if spec.type.kind is Kind.JSON:
        raise ConfigurationError(f"{model.name}: the index on {index} goes by a JSON field")
    own = spec in model.keys or (spec.type.kind in _BY_ITSELF and not spec.type.nullable)
    return IndexAttribute(spec, copied=not own)
