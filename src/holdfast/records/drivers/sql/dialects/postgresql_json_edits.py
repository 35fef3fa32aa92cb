"""Changes inside JSON in PostgreSQL's SQL.

The type json keeps numbers as they were written, which jsonb does not, and has no functions that
change it. So what holds the changed place is put together again of the texts of its parts, level by
level, and the rest keeps its text. A place that can't be changed leads to where the server fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from holdfast.records.drivers.sql.statements.dialect import bracketed, number
from holdfast.records.drivers.sql.statements.statement import literal, typed
from holdfast.records.values.json_edit import EditAction

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.elements import KeyedColumnElement

    from holdfast.records.drivers.sql.statements.dialect import Codec, Expression, Shape
    from holdfast.records.drivers.sql.statements.statement import Parameters
    from holdfast.records.values.json_edit import JsonEdit

    Columns: TypeAlias = ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]

_BLANKS: Expression = sa.literal_column(r"E' \n\r\t'")
_COMMA, _COLON, _NOTHING = literal(","), literal(":"), literal("")


def edit_values(edit: JsonEdit, encode: Codec) -> tuple[Shape, list[object]]:
    """See `Dialect`. *encode* makes the field's documents text."""
    assert encode is not None
    made = [edit.made(at) for at in range(len(edit.steps) + 1) if edit.makes(at)]
    return (), [*edit.steps, *map(encode, (*made, edit.value))]


def edited(document: Expression, edit: JsonEdit, given: Parameters) -> Expression:
    """See `Dialect`."""
    editor = _Editor(edit, given)
    if isinstance(document, sa.Column):
        return editor.at(_json(document), 0)
    # A function's row is made once, however often its value is looked at. NULL becomes null there,
    # which no whole document is.
    row = sa.func.json_array_elements(sa.func.json_build_array(document))
    values = row.table_valued("value", name="holdfast edited").render_derived()
    found = sa.case((_is(values.c.value, "null"), sa.null()), else_=values.c.value)
    return sa.select(editor.at(found, 0)).correlate_except(values).scalar_subquery()


class _Editor:
    """The statement's parameters, and what is made of a place and of those that hold it."""

    def __init__(self, edit: JsonEdit, given: Parameters) -> None:
        self._edit = edit
        self._steps = [
            typed(given.next(), "text" if isinstance(step, str) else "integer")
            for step in edit.steps
        ]
        places = range(len(edit.steps) + 1)
        self._made = {at: typed(given.next(), "text") for at in places if edit.makes(at)}
        self._value = typed(given.next(), "text")

    def at(self, found: Expression, level: int) -> Expression:
        """Return what becomes of *found*, NULL for nothing, to which *level* steps lead."""
        if level == len(self._steps):
            return self._at_its_place(found)
        step = self._edit.steps[level]
        there = sa.Grouping(found.op("->")(self._steps[level])).is_not(None)
        make = self._object if isinstance(step, str) else self._list
        cases: list[tuple[Expression, Expression]] = [(there, make(found, level))]
        if self._edit.removes:
            return sa.case(*cases, else_=found)
        if isinstance(step, str):
            made = self._made.get(level)
            member = _failing(found) if made is None else self._with_member(found, made)
            whole = _failing(found) if made is None else _json(made)
            cases += [(_is(found, "object"), member), (_missing(found), whole)]
        return sa.case(*cases, else_=_failing(found))

    def _at_its_place(self, found: Expression) -> Expression:
        action, is_list = self._edit.action, _is(found, "array")
        if action is EditAction.SET:
            return _json(self._value)
        if action is EditAction.REMOVE_ITEM:
            return sa.case((is_list, self._without_item(found)), else_=found)
        cases = [(_missing(found), _json(self._made[len(self._steps)]))]
        if action is EditAction.APPEND_ABSENT:
            cases.append((sa.and_(is_list, self._has_item(found)), found))
        empty = sa.func.json_array_length(found) == number(0)
        comma = sa.case((empty, _NOTHING), else_=_COMMA)
        cases.append((is_list, _json(_text(_opened(found), comma, self._value, literal("]")))))
        return sa.case(*cases, else_=_failing(found))

    def _object(self, found: Expression, level: int) -> Expression:
        """Return the object *found* with its member at the step changed, or without it."""
        columns = sa.func.json_each(found).table_valued(
            "key", "value", with_ordinality="place", name=f"holdfast members {level}"
        )
        members = columns.render_derived().c
        same = members.key == self._steps[level]
        if self._takes(level):
            value: Expression = members.value
            wanted: Expression = sa.not_(same)
        else:
            new = self.at(members.value, level + 1)
            value, wanted = sa.case((same, new), else_=members.value), sa.true()
        text = _text(_as_text(sa.func.to_json(members.key)), _COLON, _as_text(value))
        return _joined("{", text, members, wanted)

    def _list(self, found: Expression, level: int) -> Expression:
        """Return the list *found* with its item at the step changed, or without it."""
        items = _items(found, f"holdfast items {level}")
        same = items.place == bracketed(self._steps[level], "+", number(1))
        if self._takes(level):
            return _joined("[", _as_text(items.value), items, sa.not_(same))
        new = sa.case((same, self.at(items.value, level + 1)), else_=items.value)
        return _joined("[", _as_text(new), items, sa.true())

    def _takes(self, level: int) -> bool:
        return self._edit.action is EditAction.REMOVE and level == len(self._steps) - 1

    def _with_member(self, found: Expression, made: Expression) -> Expression:
        """Return the object *found* with the one member of *made*, which it does not have."""
        names = sa.func.json_object_keys(found).table_valued("name", name="holdfast names")
        some = sa.select(number(1)).select_from(names).correlate_except(names).exists()
        rest = sa.func.substr(made, number(2))
        return sa.case((some, _json(_text(_opened(found), _COMMA, rest))), else_=_json(made))

    def _without_item(self, found: Expression) -> Expression:
        items = _items(found, "holdfast left")
        return _joined("[", _as_text(items.value), items, sa.not_(self._is_value(items.value)))

    def _has_item(self, found: Expression) -> Expression:
        listed = sa.case((_is(found, "array"), found), else_=sa.null())
        items = _items(listed, "holdfast known")
        met = sa.select(number(1)).where(self._is_value(items.value))
        return met.correlate_except(items.value.table).exists()

    def _is_value(self, item: Expression) -> Expression:
        return typed(item, "jsonb") == typed(self._value, "jsonb")


def _items(listed: Expression, name: str) -> Columns:
    function = sa.func.json_array_elements(listed)
    rows = function.table_valued("value", with_ordinality="place", name=name)
    return rows.render_derived().c


def _joined(
    opening: str,
    text: Expression,
    rows: Columns,
    wanted: Expression,
) -> Expression:
    """Return the list or object of the *text* of each of the *wanted* of *rows*, in their order."""
    parts = sa.func.string_agg(text, postgresql.aggregate_order_by(_COMMA, rows.place.asc()))
    closing = literal("}" if opening == "{" else "]")
    whole = _text(literal(opening), sa.func.coalesce(parts, _NOTHING), closing)
    chosen = sa.select(_json(whole)).where(wanted)
    return chosen.correlate_except(rows.place.table).scalar_subquery()


def _opened(found: Expression) -> Expression:
    """Return the text of a list or object without the sign that closes it."""
    return sa.func.left(sa.func.rtrim(_as_text(found), _BLANKS), number(-1))


def _is(found: Expression, kind: str) -> Expression:
    return sa.func.coalesce(sa.func.json_typeof(found), _NOTHING) == literal(kind)


def _missing(found: Expression) -> Expression:
    return sa.func.coalesce(sa.func.json_typeof(found), literal("null")) == literal("null")


def _failing(found: Expression) -> Expression:
    """Return what is out of the range of integers, whatever is *found*."""
    length = sa.func.coalesce(sa.func.char_length(sa.func.json_typeof(found)), number(1))
    return _json(_as_text(bracketed(number(2**63 - 1), "+", length)))


def _text(*parts: Expression) -> Expression:
    concat: Callable[..., Expression] = sa.func.concat
    return concat(*parts)


def _as_text(value: Expression) -> Expression:
    return typed(value, "text")


def _json(text: Expression) -> Expression:
    return typed(text, "json")
