"""What the suite says with its own entities, said with the attributes of their twins."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.orm import RelationshipProperty, selectinload
from sqlalchemy.sql import operators

from holdfast.integrations.sqlalchemy import field_of, relation_of
from holdfast.records.entities.field import Field
from holdfast.records.entities.model import model_of
from holdfast.records.entities.relation import ALL_ROWS, Relation
from holdfast.records.expressions.expression import Expression
from holdfast.records.expressions.field_changes import EditJson, Increment, SetBy, SetTo
from holdfast.records.expressions.group_aggregate import GroupAggregate
from holdfast.records.expressions.operands import (
    Aggregate,
    Column,
    Path,
    RelatedAggregate,
    RelatedColumn,
    Truncated,
)
from holdfast.records.expressions.predicates import (
    And,
    Compare,
    CompareOperands,
    Everything,
    HasItem,
    In,
    InSubquery,
    IsNull,
    Match,
    Not,
    Operator,
    Or,
    Order,
    Part,
    Predicate,
    Related,
    Subquery,
)
from holdfast.records.expressions.related_field import RelatedField
from integrations.sqlalchemy.twins import THROUGH, TWINS

BY_NAME = {twin.__name__: twin for twin in TWINS.values()}
OPERATORS = {
    Operator.EQ: lambda left, right: left == right,
    Operator.LT: lambda left, right: left < right,
    Operator.LE: lambda left, right: left <= right,
    Operator.GT: lambda left, right: left > right,
    Operator.GE: lambda left, right: left >= right,
}
COMPUTED = (Aggregate, RelatedAggregate, Truncated)
WORDS = (Expression, GroupAggregate)
VERBS = {Part.ANYWHERE: "contains", Part.START: "startswith", Part.END: "endswith"}


def attribute(column):
    return getattr(BY_NAME[column.entity], column.name)


def value_of(operand, value):
    load = operand.spec.type.load if isinstance(operand, Column) else None
    return value if load is None or value is None else load(value)


def place(operand):
    if isinstance(operand, Column):
        return attribute(operand)
    found = attribute(operand.column)
    for step in operand.steps:
        found = found[step]
    return found


def field_place(operand):
    if isinstance(operand, Column):
        return field_of(attribute(operand))
    found = field_of(attribute(operand.column))
    for step in operand.steps:
        found = found[step]
    return found


def flips(made):
    """Tell whether SQLAlchemy's ~ makes another comparison of it, which nulls don't fit."""
    return getattr(made, "operator", None) in (
        operators.lt, operators.le, operators.gt, operators.ge,
    )  # fmt: skip


def said(predicate):
    """Return *predicate* as SQLAlchemy's expression; None for what only field_of() can say."""
    match predicate:
        case And(parts) | Or(parts):
            made = [said(part) for part in parts]
            if any(each is None for each in made):
                return None
            return (sa.and_ if isinstance(predicate, And) else sa.or_)(*made)
        case Not(part):
            made = said(part)
            return None if made is None or flips(made) else sa.not_(made)
        case Compare(operand) | In(operand) | IsNull(operand) if isinstance(operand, COMPUTED):
            return None
        case CompareOperands() | HasItem() | InSubquery():
            return None
        case Compare(_, how, bool()) if how is not Operator.EQ:
            return None
        case Compare(operand, how, value):
            return OPERATORS[how](place(operand), value_of(operand, value))
        case In(operand, values):
            return place(operand).in_([value_of(operand, value) for value in values])
        case IsNull(operand):
            return place(operand).is_(None)
        case Match(operand, Part.WHOLE):
            return None
        case Match(operand, part, text, ignore_case):
            if ignore_case and part is not Part.ANYWHERE:
                return None
            verb = "icontains" if ignore_case else VERBS[part]
            found = place(operand)
            found = found.as_string() if isinstance(operand, Path) else found
            return getattr(found, verb)(text, autoescape=True)
        case Related(join, where):
            beyond = said(where)
            if (
                beyond is None or join.source is join.target or join.source not in TWINS
            ):  # which SQLAlchemy says by an alias
                return None
            step = getattr(TWINS[join.source], join.name)
            if not isinstance(step.property, RelationshipProperty) or step.info == THROUGH:
                return None  # a step to or from a link entity, by its columns
            return step.any(beyond) if join.many else step.has(beyond)
        case Everything():
            return sa.true()
    return predicate


def twin_operand(operand):
    match operand:
        case Column():
            return field_of(attribute(operand)).column
        case RelatedColumn():
            return related(operand)
        case Aggregate(operand=None):
            return operand
        case Aggregate(operand=of) | Truncated(operand=of):
            return replace(operand, operand=twin_operand(of))
        case RelatedAggregate(join, where, aggregate):
            return RelatedAggregate(twin_join(join), by_fields(where), twin_operand(aggregate))


def twin_join(join):
    if join.source not in TWINS:  # an entity that lives beside them
        return join
    return replace(join, source=TWINS[join.source], target=TWINS[join.target])


def related(operand):
    column = field_of(attribute(operand.column)).column
    return RelatedColumn(tuple(map(twin_join, operand.joins)), column)


def understood(predicate):
    """Return *predicate* in SQLAlchemy's words, or, where there are none, by fields."""
    if not isinstance(predicate, Predicate):
        return predicate
    whole = said(predicate)
    return by_fields(predicate) if whole is None else whole


def by_fields(predicate):
    match predicate:
        case And(parts):
            joined = by_fields(parts[0])
            for part in parts[1:]:
                joined &= by_fields(part)
            return joined
        case Or(parts):
            joined = by_fields(parts[0])
            for part in parts[1:]:
                joined |= by_fields(part)
            return joined
        case Not(part):
            return ~by_fields(part)
        case Related(join, where):
            return Related(twin_join(join), by_fields(where))
        case Compare(operand) | In(operand) | IsNull(operand) if isinstance(operand, COMPUTED):
            return replace(predicate, operand=twin_operand(operand))
        case CompareOperands(left, how, right):
            return OPERATORS[how](field_place(left), field_place(right))
        case HasItem(operand, value):
            return field_place(operand).has_item(value)
        case Compare(operand, how, value):
            return OPERATORS[how](field_place(operand), value_of(operand, value))
        case In(operand, values):
            return field_place(operand).in_([value_of(operand, value) for value in values])
        case InSubquery(operand, query):
            column = field_of(attribute(query.column)).column
            chosen = Subquery(TWINS[query.target], column, by_fields(query.where))
            return field_place(operand).in_(chosen)
        case IsNull(operand):
            return field_place(operand).is_null()
        case Match(operand, Part.WHOLE, text):
            return field_place(operand).iequals(text)
        case Match(operand, part, text, ignore_case):
            verb = "icontains" if ignore_case else VERBS[part]
            return getattr(field_place(operand), verb)(text)
    return predicate


def ordered(order_by):
    if not isinstance(order_by, (list, tuple)):
        return one_order(order_by)
    return [one_order(each) for each in order_by]


def one_order(by):
    if isinstance(by, (Field, RelatedField, *WORDS)):
        return fields(by)
    if not isinstance(by, Order):
        return by
    if isinstance(by.operand, (RelatedColumn, *COMPUTED)):
        return replace(by, operand=twin_operand(by.operand))
    made = attribute(by.operand)
    made = made.desc() if by.descending else made.asc()
    return made.nulls_first() if by.first else made.nulls_last()


def fields(words):
    if isinstance(words, Field):
        return attribute(words.column)
    if isinstance(words, RelatedField):
        return RelatedField(related(words.operand))
    if isinstance(words, WORDS):
        return type(words)(twin_operand(words.operand))
    several = (list, tuple)
    return [fields(word) for word in words] if isinstance(words, several) else words


def aggregates(wanted):
    return [
        one_aggregate(each.operand) if isinstance(each, GroupAggregate) else each for each in wanted
    ]


def one_aggregate(wanted):
    if wanted.function == "percentile":  # which field_of() says
        return GroupAggregate(twin_operand(wanted))
    if wanted.operand is None:
        return sa.func.count()
    if wanted.function == "count_distinct":
        return sa.func.count(attribute(wanted.operand).distinct())
    return getattr(sa.func, wanted.function)(attribute(wanted.operand))


def changes(wanted):
    return [one_change(each) for each in wanted]


def one_change(change):
    match change:
        case SetTo(column, value):
            return {attribute(column): value_of(column, value)}
        case Increment(column, amount):
            return {attribute(column): attribute(column) + amount}
        case EditJson(column, edits):
            return EditJson(field_of(attribute(column)).column, edits)
        case SetBy(column, by, values):
            given = {value_of(by, each): value_of(column, values[each]) for each in values}
            return field_of(attribute(column)).to_by(field_of(attribute(by)), given)
    return change


def loads(wanted):
    return [option for each in wanted for option in one_load(each)]


def one_load(relation):
    if not isinstance(relation, Relation):
        return [attribute(relation.column) if isinstance(relation, Field) else relation]
    twin = TWINS[relation.owner]
    if has_part(relation):
        return [part(relation)]
    if all(isinstance(each, Relation) for each in relation.nested):
        return [path(relation, None)]
    return [model_of(twin).relations[relation.name].deeper(relation.nested)]


def has_part(relation):
    nested = [each for each in relation.nested if isinstance(each, Relation)]
    return relation.rows != ALL_ROWS or any(map(has_part, nested))


def part(relation):
    """Return a part of a relation, which no loader option says."""
    made = relation_of(getattr(TWINS[relation.owner], relation.name))
    if relation.rows != ALL_ROWS:
        rows = relation.rows
        made = made.where(*map(understood, rows.where)).order_by(*ordered(rows.order))
        made = made if rows.limit is None else made.limit(rows.limit)
    return made.then(*map(part, relation.nested))


def path(relation, before):
    step = getattr(TWINS[relation.owner], relation.name)
    option = selectinload(step) if before is None else before.selectinload(step)
    for each in relation.nested:
        option = path(each, option)
    return option
