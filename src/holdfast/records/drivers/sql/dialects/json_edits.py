"""Changes inside JSON, for MariaDB and MySQL: their own functions, behind what they don't ask.

These add what is missing, and take what is no list for a list of one. So the way to a place is
looked at first, from the top, and what can't be changed leads to where the server fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from holdfast.records.drivers.sql.dialects.json_paths import path_text
from holdfast.records.drivers.sql.statements.dialect import Place, bracketed, number
from holdfast.records.drivers.sql.statements.statement import literal
from holdfast.records.values.json_edit import EditAction

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.drivers.sql.dialects.json_search import JSONSearch
    from holdfast.records.drivers.sql.statements.dialect import Expression, Shape
    from holdfast.records.drivers.sql.statements.statement import Parameters
    from holdfast.records.values.json_edit import JsonEdit

_COMPARED = (EditAction.APPEND_ABSENT, EditAction.REMOVE_ITEM)
_NULL, _LIST, _OBJECT = literal("NULL"), literal("ARRAY"), literal("OBJECT")


def edit_values(
    search: JSONSearch, edit: JsonEdit, encode: Callable[[object], object]
) -> tuple[Shape, list[object]]:
    """Return the shape of what `edited` makes of *edit*, and its parameters' values.

    *encode* makes the field's documents text.
    """
    steps, places = edit.steps, range(len(edit.steps) + 1)
    texts = [path_text(steps[:at]) for at in places if at]
    made = [edit.made(at) for at in places if edit.makes(at)]
    texts += [cast("str", encode(each)) for each in (*made, edit.value)]
    values: list[object] = [search.escaped(steps, text) for text in texts]
    values += [step for step in steps if isinstance(step, int)]
    shape: Shape = ()
    if edit.action in _COMPARED:
        shape, compared = search.item_values((), edit.value)
        values += compared
    return (search.is_escaped(steps), shape), values


def edited(
    search: JSONSearch, document: Expression, edit: JsonEdit, given: Parameters
) -> Expression:
    """Return *document*, a column or what this returned before, with *edit* made."""
    if isinstance(document, sa.Column):
        return _edited(search, document, edit, given)
    rows, value = search.one_row(document)
    whole = _edited(search, value, edit, given)
    return sa.select(whole).correlate_except(rows).scalar_subquery()


def _edited(
    search: JSONSearch, document: Expression, edit: JsonEdit, given: Parameters
) -> Expression:
    steps = edit.steps
    works = search.escaped_json(steps, document)
    paths = [literal("$"), *(given.next() for _ in steps)]
    made = {at: given.next() for at in range(len(paths)) if edit.makes(at)}
    value = search.json_of(given.next())
    positions = [given.next() for step in steps if isinstance(step, int)]
    found = [works, *(sa.func.json_extract(works, path) for path in paths[1:])]
    kinds = [sa.func.coalesce(search.kind_of(each), _NULL) for each in found]

    def put(at: int, new: Expression) -> Expression:
        return sa.func.json_set(works, paths[at], new) if at else new

    failing = search.json_of(_failing(works))
    cases: list[tuple[Expression, Expression]] = []
    for at, step in enumerate(steps):
        if edit.removes:
            cases.append((kinds[at] != (_OBJECT if isinstance(step, str) else _LIST), works))
        elif isinstance(step, str):
            missing = put(at, search.json_of(made[at])) if at in made else failing
            cases += [(kinds[at] == _NULL, missing), (kinds[at] != _OBJECT, failing)]
        else:
            beyond = sa.func.json_length(found[at]) <= positions.pop(0)
            cases += [(kinds[at] != _LIST, failing), (beyond, failing)]
    last = len(steps)
    match edit.action:
        case EditAction.SET:
            new = put(last, value)
        case EditAction.REMOVE:
            new = sa.func.json_remove(works, paths[last])
        case EditAction.REMOVE_ITEM:
            cases.append((kinds[last] != _LIST, works))
            listed = search.unescaped_json(steps, found[last])
            left = search.without_item(listed, edit.value, given)
            new = put(last, search.json_of(search.escaped_json(steps, left)))
        case EditAction.APPEND | EditAction.APPEND_ABSENT:
            cases.append((kinds[last] == _NULL, put(last, search.json_of(made[last]))))
            cases.append((kinds[last] != _LIST, failing))
            if edit.action is EditAction.APPEND_ABSENT:
                there = Place(search.unescaped_json(steps, found[last]), is_json=True)
                cases.append((search.has_item(there, edit.value, given), works))
            new = sa.func.json_array_append(works, paths[last], value)
    whole = sa.case(*cases, else_=new) if cases else new
    return search.unescaped_json(steps, whole)


def _failing(document: Expression) -> Expression:
    """Return what is out of the range of integers, whatever stands in *document*."""
    depth = sa.func.coalesce(sa.func.json_depth(document), number(1))
    return bracketed(depth, "+", number(2**64 - 1))
