"""The way to the rows of a query: by key, by a unique value, along an index, or by a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from holdfast.records.drivers.dynamodb.filter_expression import ExpressionNames, is_compiled
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicate_reach import columns_of
from holdfast.records.expressions.predicates import (
    After,
    Compare,
    Everything,
    In,
    InRows,
    IsNull,
    Not,
    Operator,
    Order,
    Predicate,
    all_of,
    parts_of,
)
from holdfast.records.rows.evaluate import compares

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.records.drivers.dynamodb.attribute_codec import Item
    from holdfast.records.drivers.dynamodb.table_index import IndexAttribute, TableIndex
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.entities.constraint import Unique
    from holdfast.records.entities.model import Model
    from holdfast.records.query_plan import Access
    from holdfast.records.values.field_spec import FieldSpec

_SIGNS = {Operator.LT: "<", Operator.LE: "<=", Operator.GT: ">", Operator.GE: ">="}


@dataclass(frozen=True, slots=True)
class IndexRange:
    """A part of an index: rows with *fixed* values of its first attributes, and bounds.

    *bound* is a comparison of the next attribute. *start* is where the walk goes on from: the
    values of all its attributes at the row before, and that row's key.
    """

    index: TableIndex
    fixed: tuple[object, ...]
    bound: tuple[Operator, object] | None = None
    start: tuple[tuple[object, ...], object] | None = None
    forward: bool = True

    def condition(self, names: ExpressionNames) -> str:
        """Return the condition on the index's attributes, as the service reads it."""
        if self.index.composed is not None:
            return self._composed_condition(self.index.composed, names)
        attributes = self.index.attributes
        said = [
            f"{names.name(each.name)} = {names.value(each.encode(value))}"
            for each, value in zip(attributes, self.fixed, strict=False)
        ]
        if self.bound is not None:
            how, value = self.bound
            each = attributes[len(self.fixed)]
            said.append(f"{names.name(each.name)} {_SIGNS[how]} {names.value(each.encode(value))}")
        return " AND ".join(said)

    def _composed_condition(self, sort: str, names: ExpressionNames) -> str:
        first = self.index.partition
        value = names.value(first.encode(self.fixed[0]))
        said = f"{names.name(first.name)} = {value}"
        low, high = self.index.span(self.fixed[1:], self.bound)
        if low and high is not None:
            between = f"{names.value({'S': low})} AND {names.value({'S': high})}"
            return f"{said} AND {names.name(sort)} BETWEEN {between}"
        if low:
            return f"{said} AND {names.name(sort)} >= {names.value({'S': low})}"
        if high is not None:
            return f"{said} AND {names.name(sort)} <= {names.value({'S': high})}"
        return said

    def start_key(self, layout: TableLayout[object]) -> Item | None:
        """Return the key behind which the walk begins, None for its beginning."""
        if self.start is None:
            return None
        values, key = self.start
        return self.index.key_of(values) | layout.key_of(key)


@dataclass(frozen=True, slots=True)
class AccessPath:
    """How to come to rows among which are all that fit.

    *keys* are those of rows, or the values of *unique*; *ranges* are the parts of an index, one
    after another. *server* are conditions that the service decides, *client* those that are left.
    *ordered*: rows come in the order that was asked for.
    """

    access: Access
    keys: tuple[object, ...] = ()
    unique: Unique | None = None
    ranges: tuple[IndexRange, ...] = ()
    server: tuple[Predicate, ...] = ()
    client: tuple[Predicate, ...] = ()
    ordered: bool = False

    @property
    def left(self) -> Predicate:
        """What is still to be decided of a row that came."""
        return all_of(self.client)


def access_path(
    layout: TableLayout[object], where: Predicate, order: tuple[Order, ...] = ()
) -> AccessPath:
    """Return the best path: a key, then a unique value, the index that is entered deepest, a scan.

    *order* is empty where it does not matter.
    """
    parts = tuple(part for part in parts_of(where) if not isinstance(part, Everything))
    fixed = dict(_fixed(parts))
    model = layout.model
    by_key = _by_key(model, parts, fixed)
    if by_key is not None:
        return by_key
    for unique in filter(_is_plain, model.all_uniques):
        specs = tuple(column.spec for column in unique.columns)
        if all(spec in fixed and fixed[spec][1] is not None for spec in specs):
            values = tuple(fixed[spec][1] for spec in specs)
            return AccessPath("unique", keys=values, unique=unique, client=parts)
    best: AccessPath | None = None
    depth = (0, False)
    for index in layout.indexes:
        made = _along(layout, index, parts, order)
        if made is None:
            continue
        reached = _depth(made)
        if best is None or reached > depth:
            best, depth = made, reached
    if best is not None:
        return best
    server, client = _divided(parts, set())
    return AccessPath("scan", server=server, client=client)


def _is_plain(unique: Unique) -> bool:
    return unique.plain


def _by_key(
    model: Model[object],
    parts: tuple[Predicate, ...],
    fixed: dict[FieldSpec, tuple[Predicate, object]],
) -> AccessPath | None:
    """Return the path by the keys that *parts* name, None where they don't name all of a key."""
    if len(model.keys) == 1:
        for part, keys in _lists(parts, model.key):
            return AccessPath("key", keys=keys, client=_without(parts, (part,)))
        return None
    if all(spec in fixed and fixed[spec][1] is not None for spec in model.keys):
        key = tuple(fixed[spec][1] for spec in model.keys)
        said = tuple(fixed[spec][0] for spec in model.keys)
        return AccessPath("key", keys=(key,), client=_without(parts, said))
    for part in parts:
        match part:
            case InRows(columns, rows) if columns == model.key_columns:
                keys = tuple(dict.fromkeys(rows))
                return AccessPath("key", keys=keys, client=_without(parts, (part,)))
            case _:
                continue
    return None


def _divided(
    parts: Iterable[Predicate], keys: set[str]
) -> tuple[tuple[Predicate, ...], tuple[Predicate, ...]]:
    """Return what the service decides, and what is left. A filter can't go by an index's *keys*."""
    server: list[Predicate] = []
    client: list[Predicate] = []
    for part in parts:
        if keys & _names(part) or not is_compiled(all_of((*server, part))):
            client.append(part)
        else:
            server.append(part)
    return tuple(server), tuple(client)


def _depth(path: AccessPath) -> tuple[int, bool]:
    if not path.ranges:
        return 100, True  # one of no values: nothing fits
    first = path.ranges[0]
    return 2 * len(first.fixed) + (first.bound is not None), path.ordered


def _without(parts: tuple[Predicate, ...], said: tuple[Predicate, ...]) -> tuple[Predicate, ...]:
    return tuple(each for each in parts if not any(each is part for part in said))


def _fixed(parts: tuple[Predicate, ...]) -> Iterator[tuple[FieldSpec, tuple[Predicate, object]]]:
    """Yield the fields that have one value in all rows that fit, and the part that says so."""
    for part in parts:
        match part:
            case Compare(Column(_, spec), Operator.EQ, value):
                yield spec, (part, value)
            case In(Column(_, spec), (value,)):
                yield spec, (part, value)
            case IsNull(Column(_, spec)):
                yield spec, (part, None)
            case _:
                continue


def _lists(
    parts: tuple[Predicate, ...], spec: FieldSpec
) -> Iterator[tuple[Predicate, tuple[object, ...]]]:
    """Yield the parts that say which values *spec* may have, and these values."""
    for part in parts:
        match part:
            case Compare(Column(_, found), Operator.EQ, value) if found is spec:
                yield part, (value,)
            case In(Column(_, found), values) if found is spec:
                yield part, tuple(dict.fromkeys(values))
            case _:
                continue


def _along(
    layout: TableLayout[object],
    index: TableIndex,
    parts: tuple[Predicate, ...],
    order: tuple[Order, ...],
) -> AccessPath | None:
    """Return the path along *index*; None when no value of its partition is known."""
    fixed = dict(_fixed(parts))
    used: list[Predicate] = []
    spec = index.partition.spec
    starts: tuple[object, ...]
    if spec in fixed and (fixed[spec][1] is not None or index.partition.copied):
        if not index.partition.may_be(fixed[spec][1]):
            return None
        used.append(fixed[spec][0])
        starts = (fixed[spec][1],)
    else:
        found = next(_lists(parts, spec), None)
        if found is None or not all(map(index.partition.may_be, found[1])):
            return None
        used.append(found[0])
        starts = found[1]
    further: list[object] = []
    rest = list(index.sort)
    while rest and rest[0].spec in fixed:
        part, value = fixed[rest[0].spec]
        if (value is None and not rest[0].copied) or not index.takes((*further, value)):
            break
        further.append(value)
        used.append(part)
        rest.pop(0)
    bounding = _bounding(parts, index, further) if rest else None
    if bounding is not None:
        used.append(bounding)
    bound = None if bounding is None else (bounding.operator, bounding.value)
    ordered, forward = _order(rest, fixed, order)
    ordered = ordered and len(starts) == 1
    start = None
    if ordered:
        for part in parts:
            if isinstance(part, After) and part.order == order:
                start = _start(layout, index, fixed, part)
                if start is not None and _within(index, start[0], len(further) + 1, bound):
                    used.append(part)
                    break
                start = None
    ranges = tuple(IndexRange(index, (each, *further), bound, start, forward) for each in starts)
    own = {each.spec.name for each in index.own_attributes if not each.copied}
    left = [part for part in parts if not any(part is each for each in used)]
    server, client = _divided(left, own)
    return AccessPath("index", ranges=ranges, server=server, client=client, ordered=ordered)


def _bounding(
    parts: tuple[Predicate, ...], index: TableIndex, fixed: list[object]
) -> Compare | None:
    """Return the last part that bounds from one side what the index sorts by behind *fixed*."""
    attribute = index.sort[len(fixed)]
    found: Compare | None = None
    for part in parts:
        match part:
            case Compare(Column(_, spec), how, value) if (
                spec is attribute.spec
                and how in _SIGNS
                and not _upward(attribute, how)
                and index.takes((*fixed, value))
            ):
                found = part
            case _:
                continue
    return found


def _upward(attribute: IndexAttribute, how: Operator) -> bool:
    """Return whether the bound would let nulls in, which stand behind all values of a copy."""
    nullable = attribute.copied and attribute.spec.type.nullable
    return nullable and how in (Operator.GT, Operator.GE)


def _names(part: Predicate) -> set[str]:
    return {found.name for found, _ in columns_of(part) if isinstance(found, Column)}


def _order(
    rest: list[IndexAttribute],
    fixed: dict[FieldSpec, tuple[Predicate, object]],
    order: tuple[Order, ...],
) -> tuple[bool, bool]:
    """Return whether the index goes along *order* from where it is entered, and whether forward."""
    if not order:
        return False, True
    wanted = [by for by in order if not _is_fixed(by, fixed)]
    if len(wanted) > len(rest):
        return False, True
    if wanted and len({by.descending for by in wanted}) > 1:
        return False, True
    forward = not (wanted and wanted[0].descending)
    for by, attribute in zip(wanted, rest, strict=False):
        if not isinstance(by.operand, Column) or by.operand.spec is not attribute.spec:
            return False, True
        if attribute.spec.type.nullable and by.first == forward:
            return False, True
    return True, forward


def _is_fixed(by: Order, fixed: dict[FieldSpec, tuple[Predicate, object]]) -> bool:
    return isinstance(by.operand, Column) and by.operand.spec in fixed


def _start(
    layout: TableLayout[object],
    index: TableIndex,
    fixed: dict[FieldSpec, tuple[Predicate, object]],
    after: After,
) -> tuple[tuple[object, ...], object] | None:
    """Return the index's values at the place of *after*, and the key.

    None if one lacks, or can't be in the index: anybody can make a cursor.
    """
    known: dict[FieldSpec, object] = {spec: value for spec, (_, value) in fixed.items()}
    for by, value in zip(after.order, after.values, strict=True):
        column = cast("Column", by.operand)
        if column.spec in known and known[column.spec] != value:
            return None
        known[column.spec] = value
    keys = layout.model.keys
    if any(spec not in known for spec in (*(each.spec for each in index.attributes), *keys)):
        return None
    first, *further = (known[spec] for spec in keys)
    key = (first, *further) if further else first
    values = tuple(known[each.spec] for each in index.attributes)
    there = index.partition.may_be(values[0]) and index.takes(values[1:])
    if not there or not layout.may_be_key(key):
        return None
    return values, key


def _within(
    index: TableIndex,
    start: tuple[object, ...],
    at: int,
    bound: tuple[Operator, object] | None,
) -> bool:
    """Return whether the walk's *start* is within its *bound*, as the service demands."""
    if bound is None:
        return True
    how, value = bound
    column = Column("", index.attributes[at].spec)
    return start[at] is not None and compares(column, how, start[at], value)


def told(predicates: tuple[Predicate, ...]) -> str:
    """Return *predicates* as people read them."""
    return " and ".join(_said(each) for each in predicates)


def _said(predicate: Predicate) -> str:
    match predicate:
        case Compare(operand, how, value):
            return f"{operand!r} {how.value} {value!r}"
        case In(operand, values):
            return f"{operand!r} in {list(values)!r:.100}"
        case IsNull(operand):
            return f"{operand!r} is null"
        case Not(part):
            return f"not ({_said(part)})"
        case After():
            return "after the cursor"
        case _:
            return f"{predicate!r:.200}"
