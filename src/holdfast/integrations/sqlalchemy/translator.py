"""SQLAlchemy's expressions made Holdfast's queries; what has no counterpart is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, cast

import sqlalchemy as sa
from sqlalchemy.sql import elements, functions, operators

from holdfast.errors import InvalidQueryError, UntranslatableError
from holdfast.integrations.sqlalchemy.like_patterns import literal_of
from holdfast.records.entities.field import Field, count
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.field_changes import CHANGES, Change, Increment, SetTo
from holdfast.records.expressions.group_aggregate import aggregate_over
from holdfast.records.expressions.json_path import JsonPath
from holdfast.records.expressions.operands import Aggregate
from holdfast.records.expressions.predicates import (
    Everything,
    Not,
    Order,
    Predicate,
    Related,
    all_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from holdfast.integrations.sqlalchemy.relationships import ByColumns
    from holdfast.records.entities.relation import Relation
    from holdfast.records.expressions.operands import Column
    from holdfast.records.values.aggregate_values import AggregateFunction
    from holdfast.records.values.field_spec import FieldSpec

Operand = Field[Any] | JsonPath

_COMPARISONS: dict[object, Callable[[Any, Any], Any]] = {
    operators.eq: lambda operand, value: operand == value,
    operators.ne: lambda operand, value: operand != value,
    operators.lt: lambda operand, value: operand < value,
    operators.le: lambda operand, value: operand <= value,
    operators.gt: lambda operand, value: operand > value,
    operators.ge: lambda operand, value: operand >= value,
    operators.is_distinct_from: lambda operand, value: operand != value,
    operators.is_not_distinct_from: lambda operand, value: operand == value,
}
_MIRRORED = {
    operators.lt: operators.gt,
    operators.le: operators.ge,
    operators.gt: operators.lt,
    operators.ge: operators.le,
}
_TEXT_MATCHES: dict[object, tuple[str, bool, bool]] = {  # the verb, ignoring case, negated
    operators.startswith_op: ("startswith", False, False),
    operators.not_startswith_op: ("startswith", False, True),
    operators.endswith_op: ("endswith", False, False),
    operators.not_endswith_op: ("endswith", False, True),
    operators.contains_op: ("contains", False, False),
    operators.not_contains_op: ("contains", False, True),
    operators.icontains_op: ("icontains", True, False),
    operators.not_icontains_op: ("icontains", True, True),
}
_LIKE = "startswith(), endswith() or contains(), whose text is taken to the letter"
_FOLDED = "field_of(...).iequals() or .icontains(), which fold case alike on every backend"
_ALTERNATIVES: dict[object, tuple[str, str]] = {
    operators.like_op: ("LIKE", f"use {_LIKE}"),
    operators.not_like_op: ("NOT LIKE", f"use ~ with {_LIKE}"),
    operators.ilike_op: ("ILIKE", f"use {_FOLDED}"),
    operators.not_ilike_op: ("NOT ILIKE", f"use ~ with {_FOLDED}"),
    operators.istartswith_op: ("istartswith()", f"use {_FOLDED}"),
    operators.iendswith_op: ("iendswith()", f"use {_FOLDED}"),
    operators.regexp_match_op: ("a regular expression", f"use {_LIKE}"),
    operators.match_op: ("MATCH", "use execute() for full-text search"),
}
_TX = "use execute() or orm_session() for it"
_AGGREGATES = ("count", "sum", "avg", "min", "max")


class ExpressionTranslator:
    """Translates expressions over the columns of one mapped class."""

    def __init__(
        self, entity: str, specs: Sequence[FieldSpec], relations: Callable[[], ByColumns]
    ) -> None:
        self._entity = entity
        self._relations = relations
        self._fields: dict[str, Field[Any]] = {}
        # A column with notes on it, as an attribute gives it, has the hash of the column itself.
        self._by_column: dict[int, Field[Any]] = {}
        self._tables = {hash(getattr(spec.native_column, "table", None)) for spec in specs}
        for spec in specs:
            field: Field[Any] = Field(spec.declaration)
            field.owner, field.spec = entity, spec
            self._fields[spec.name] = field
            self._by_column[hash(spec.native_column)] = field

    def predicate(self, expression: object) -> Predicate:
        """Return the predicate that *expression*, a condition, is.

        Raises UntranslatableError for what has no counterpart, and InvalidQueryError.
        """
        element = _element(expression)
        if not isinstance(element, sa.ClauseElement):
            return cast("Predicate", expression)  # refused, if it is none, with the others
        return self._condition(element)

    def order(self, expression: object) -> Order:
        """Return the order that *expression* is; an attribute alone is its ascending order."""
        if isinstance(expression, Order):
            return expression
        element = _element(expression)
        down: bool | None = None
        first = False
        while isinstance(element, elements.UnaryExpression):
            match element.modifier:
                case operators.desc_op:
                    down = True
                case operators.asc_op:
                    down = False
                case operators.nulls_first_op:
                    first = True
                case operators.nulls_last_op:
                    first = False
                case _:
                    self._refuse(element)
            element = element.element
        operand = self._operand(element)
        if not isinstance(operand, Field):
            self._reject("an order by a place in JSON", "give that value a column of its own")
        ordered = operand.desc() if down else operand.asc()
        return ordered.nulls_first() if first else ordered

    def column(self, expression: object) -> Column:
        """Return the column of the field that *expression* is."""
        if isinstance(expression, Field):
            return expression.column
        return self.field(expression).column

    def field(self, expression: object) -> Field[Any]:
        """Return the field that *expression*, a mapped attribute or column, is."""
        if isinstance(expression, str) and expression in self._fields:
            return self._fields[expression]
        operand = self._operand(_element(expression))
        if not isinstance(operand, Field):
            self._reject("a place in JSON as a column", "take the whole column")
        return operand

    def aggregate(self, expression: object) -> Aggregate:
        """Return the aggregate that *expression*, such as `func.sum(User.age)`, is."""
        if isinstance(expression, Aggregate):
            return expression
        element = _element(expression)
        while isinstance(element, elements.Label):
            element = element.element
        name = getattr(element, "name", "").lower()
        if not isinstance(element, functions.FunctionElement) or name not in _AGGREGATES:
            self._refuse(element)
        given = list(element.clauses)
        if name == "count" and (not given or _is_star(given[0])):
            return count().operand
        if len(given) != 1:
            self._refuse(element)
        of = given[0]
        if name == "count" and getattr(of, "operator", None) is operators.distinct_op:
            name, of = "count_distinct", cast("elements.UnaryExpression[Any]", of).element
        field = self._operand(of)
        if not isinstance(field, Field):
            self._reject("an aggregate over a place in JSON", "give that value a column of its own")
        return aggregate_over(field.operand, cast("AggregateFunction", name))

    def changes(self, expression: object) -> list[Change]:
        """Return the changes that *expression* is: one, or a mapping from attributes to values."""
        if isinstance(expression, CHANGES):
            return [expression]
        if not isinstance(expression, Mapping):
            raise InvalidQueryError(
                f"expected changes such as {{{self._entity}.name: 'x'}}, got {expression!r}"
            )
        return [self._change(self.field(key), value) for key, value in expression.items()]

    def _change(self, field: Field[Any], value: object) -> Change:
        if not isinstance(value, sa.ClauseElement) and not hasattr(value, "__clause_element__"):
            return field.to(value)
        element = _element(value)
        if isinstance(element, elements.Null):
            return SetTo(field.column, field.spec.to_row(self._entity, None))
        if isinstance(element, elements.BindParameter):
            return field.to(element.effective_value)
        if isinstance(element, elements.BinaryExpression):
            left, right = element.left, element.right
            if element.operator is operators.add and isinstance(left, elements.BindParameter):
                left, right = right, left
            known = isinstance(right, elements.BindParameter) and self._is(left, field)
            if known and element.operator in (operators.add, operators.sub):
                amount: Any = cast("elements.BindParameter[Any]", right).effective_value
                made: Increment = cast("Any", field).increment(
                    amount if element.operator is operators.add else -amount
                )
                return made
        self._reject(
            f"{field!r} set to {type(element).__name__} `{element}`",
            "set it to a value, or to itself plus or minus one",
        )
        return None

    def _is(self, element: object, field: Field[Any]) -> bool:
        return self._by_column.get(hash(element)) is field

    # --- conditions -------------------------------------------------------------------------

    def _condition(self, element: Any) -> Predicate:
        match element:
            case elements.Grouping():
                return self._condition(element.element)
            case elements.BooleanClauseList():
                parts = [self._condition(part) for part in element.clauses]
                if element.operator is operators.and_:
                    return all_of(tuple(parts))
                joined = parts[0]
                for part in parts[1:]:
                    joined |= part
                return joined
            case elements.AsBoolean():
                holds = self._condition(element.element)
                return holds if element.operator is operators.is_true else ~holds
            case elements.UnaryExpression() if element.operator is operators.inv:
                return ~self._condition(element.element)
            case sa.Exists():
                return self._related(element)
            case elements.True_():
                return Everything()
            case elements.False_():
                return Not(Everything())
            case elements.BinaryExpression():
                if _is_path(element):
                    return self._is_true(element)
                return self._binary(element)
            case sa.ColumnElement() if hash(element) in self._by_column:
                return self._is_true(element)
            case _:
                self._refuse(element)
        return None

    def _related(self, element: sa.Exists) -> Predicate:
        """Return the condition on related rows that `has` or `any` of a relationship is."""
        found: Any = element
        while not isinstance(found, sa.Select):
            found = found.element
        where: Any = found.whereclause
        # Correlated as relationships do it, and cut in no way; the rest is a subquery of one's own.
        if found._correlate_except is None or found._has_row_limiting_clause:  # noqa: SLF001
            self._refuse(element)
        if self._tables & set(map(hash, found._correlate_except)):  # noqa: SLF001
            raise InvalidQueryError(f"`{element}` is not about a relationship of {self._entity}")
        joined = isinstance(where, elements.BooleanClauseList) and where.operator is operators.and_
        parts = list(where.clauses) if joined else [where]
        for at, part in enumerate(parts):
            relation = self._relation_by(part, found._correlate_except)  # noqa: SLF001
            if relation is not None:
                adapter = model_of(relation.target).adapter
                assert adapter is not None, "a relationship leads to a mapped class"
                beyond = (*parts[:at], *parts[at + 1 :])
                holds = all_of(tuple(map(adapter.arguments.predicate, beyond)))
                (join,) = relation.joins
                return Related(join, holds)
        self._reject(
            "a condition on a relationship that is more than a reference, or leads to the class "
            "itself",
            f"ask for the keys first, or {_TX}",
        )
        return None

    def _relation_by(self, part: Any, tables: Collection[object]) -> Relation | None:
        """Return the relation whose join *part* is, if it leads to the only one of *tables*."""
        if not isinstance(part, elements.BinaryExpression) or part.operator is not operators.eq:
            return None
        if len(tables) != 1:
            return None
        left, right, there = hash(part.left), hash(part.right), hash(next(iter(tables)))
        known = self._relations()
        return known.get((left, right, there)) or known.get((right, left, there))

    def _is_true(self, element: Any) -> Predicate:
        return cast("Predicate", cast("Any", self._operand(element)) == True)  # noqa: E712 - an expression

    def _binary(self, element: elements.BinaryExpression[Any]) -> Predicate:
        operator, left, right = element.operator, element.left, element.right
        if operator in _ALTERNATIVES:
            self._reject(*_ALTERNATIVES[operator])
        if isinstance(left, elements.BindParameter) and not isinstance(
            right, elements.BindParameter
        ):
            left, right, operator = right, left, _MIRRORED.get(operator, operator)
        operand: Any = self._operand(left)
        if operator in _TEXT_MATCHES:
            verb, _, negated = _TEXT_MATCHES[operator]
            text = self._text(element)
            found: Predicate = getattr(operand, verb)(text)
            return ~found if negated else found
        match operator:
            case operators.in_op | operators.not_in_op:
                listed = self._values(right)
                found = operand.in_(listed)
                return ~found if operator is operators.not_in_op else found
            case operators.between_op | operators.not_between_op:
                if element.modifiers.get("symmetric"):
                    self._reject("BETWEEN SYMMETRIC", "put the lower bound first")
                low, high = (self._value(bound) for bound in right.get_children())
                found = (operand >= low) & (operand <= high)
                return ~found if operator is operators.not_between_op else found
            case operators.is_:
                return self._equal(operand, self._value(right))
            case operators.is_not:
                return ~self._equal(operand, self._value(right))
        compare = _COMPARISONS.get(operator)
        if compare is None:
            self._refuse(element)
        value = self._value(right)
        if operator in (operators.eq, operators.is_not_distinct_from):
            return self._equal(operand, value)
        if operator in (operators.ne, operators.is_distinct_from):
            return ~self._equal(operand, value)
        return cast("Predicate", compare(operand, value))

    def _equal(self, operand: Any, value: object) -> Predicate:
        return cast("Predicate", operand.is_null() if value is None else operand == value)

    def _text(self, element: elements.BinaryExpression[Any]) -> str:
        text = self._value(element.right)
        if not isinstance(text, str):
            raise InvalidQueryError(f"`{element}`: expected text to look for, got {text!r}")
        found = literal_of(text, element.modifiers.get("escape"))
        if found is None:
            self._reject(f"a wildcard in {text!r}", "write autoescape=True instead of escape=")
        return found

    def _values(self, element: Any) -> list[object]:
        if isinstance(element, elements.BindParameter):
            return list(cast("Iterable[object]", element.effective_value))
        if isinstance(element, elements.ClauseList):
            return [self._value(each) for each in element.clauses]
        if isinstance(element, elements.Grouping):
            return self._values(element.element)
        self._refuse(element)
        return None

    def _value(self, element: Any) -> object:
        match element:
            case elements.BindParameter():
                return element.effective_value
            case elements.Null():
                return None
            case elements.True_():
                return True
            case elements.False_():
                return False
            case elements.Grouping():
                return self._value(element.element)
            case elements.UnaryExpression() if element.operator is operators.neg:
                return -cast("Any", self._value(element.element))
        if hash(element) in self._by_column or isinstance(element, sa.Column):
            self._reject(
                f"a comparison with another column, `{element}`", f"compare with a value, or {_TX}"
            )
        self._refuse(element)
        return None

    # --- operands ---------------------------------------------------------------------------

    def _operand(self, element: Any) -> Operand:
        if isinstance(element, elements.Grouping):
            return self._operand(element.element)
        field = self._by_column.get(hash(element))
        if field is not None:
            return field
        if isinstance(element, elements.BinaryExpression) and _is_path(element):
            operand: Any = self._operand(element.left)
            steps = self._value(element.right)
            for step in steps if isinstance(steps, (tuple, list)) else (steps,):
                operand = operand[step]
            return cast("JsonPath", operand)
        if isinstance(element, sa.Column):
            raise InvalidQueryError(f"{element} is not a field of {self._entity}")
        self._refuse(element)
        return None

    # --- refusals ---------------------------------------------------------------------------

    def _reject(self, construct: str, alternative: str) -> NoReturn:
        raise UntranslatableError(self._entity, construct, alternative)

    def _refuse(self, element: Any) -> NoReturn:
        name = type(element).__name__.removeprefix("Annotated")
        match element:
            case functions.FunctionElement():
                what = f"the function {getattr(element, 'name', name)}()"
                ways = {
                    "lower": f"for text but for case {_FOLDED}",
                    "upper": f"use {_FOLDED}",
                }
                self._reject(what, ways.get(getattr(element, "name", ""), _TX))
            case elements.TextClause():
                self._reject(f"SQL text, {str(element)!r},", _TX)
            case sa.Exists() | sa.ScalarSelect() | sa.Select():
                self._reject(f"a subquery ({name})", f"ask for the keys first, or {_TX}")
            case elements.BinaryExpression():
                self._reject(
                    f"the operation `{element}`", f"compare a column with a value, or {_TX}"
                )
            case sa.ClauseElement():
                self._reject(f"{name} `{element}`", _TX)
            case _:
                raise InvalidQueryError(f"{self._entity}: expected an expression, got {element!r}")


def _element(expression: Any) -> Any:
    if isinstance(expression, sa.ClauseElement) or not hasattr(expression, "__clause_element__"):
        return expression
    return expression.__clause_element__()


def _is_path(element: elements.BinaryExpression[Any]) -> bool:
    return element.operator in (operators.json_getitem_op, operators.json_path_getitem_op)


def _is_star(element: object) -> bool:
    return isinstance(element, elements.ColumnClause) and element.name == "*"
