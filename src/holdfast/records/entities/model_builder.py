"""From a class body to a model: annotations resolved, declarations checked."""

from __future__ import annotations

import dataclasses
import keyword
import typing
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from holdfast.errors import ConfigurationError
from holdfast.records.entities.annotation_scope import Scope, target_of
from holdfast.records.entities.constraint import Check, Constraint, Unique, columns_read
from holdfast.records.entities.field import Field
from holdfast.records.entities.identifiers import check_fields, check_schema, check_table
from holdfast.records.entities.link_resolution import link_ends
from holdfast.records.entities.model import Model
from holdfast.records.entities.relation import Many, Relation
from holdfast.records.entities.server_default import (
    ConstantDefault,
    SequenceDefault,
    ServerDefault,
    TextDefault,
    TimeDefault,
)
from holdfast.records.entities.table_names import in_schema
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import Compare, IsNull, Operator, all_of
from holdfast.records.values.field_spec import (
    INDEXED_TEXT_LENGTH,
    MISSING,
    Declaration,
    FieldSpec,
    Reference,
    within,
)
from holdfast.records.values.text import ValueRejected
from holdfast.records.values.value import Kind, ValueType, value_type

if TYPE_CHECKING:
    from collections.abc import Sequence

E = typing.TypeVar("E")

_KEY_KINDS = (Kind.UUID, Kind.STR, Kind.INT)
_BOUNDED = (Kind.STR, Kind.BYTES)
_ORDERED = (
    Kind.INT, Kind.FLOAT, Kind.DECIMAL, Kind.DATETIME, Kind.DATE, Kind.TIME, Kind.TIMEDELTA
)  # fmt: skip
_ROLE_KINDS = {
    "generated": Kind.INT,
    "version": Kind.INT,
    "created_at": Kind.DATETIME,
    "updated_at": Kind.DATETIME,
    "deleted_at": Kind.DATETIME,
}
_SPECIFIERS = {"generated": "generated_key"}  # those that are not called as their role is

Members: TypeAlias = "dict[str, tuple[Field[object] | Relation, object, Scope]]"
"""By name: what stands right of the annotation, the annotation, and where its names are known."""


def spells_field(hint: object) -> bool:
    """Return whether the annotation *hint* is that of a field."""
    if isinstance(hint, str):
        return hint.partition("[")[0].rpartition(".")[2] == "Field"
    return typing.get_origin(hint) is Field


def table_in(entity: str, schema: str | None, table: str) -> str:
    """Return the name of *table* in *schema*. Raises ConfigurationError for names of odd form."""
    check_table(entity, table)
    if schema is not None:
        check_schema(entity, schema)
    return in_schema(schema, table)


def build_model(
    cls: type,
    members: Members,
    *,
    table: str,
    indexes: Sequence[tuple[str, ...]],
    uniques: Sequence[tuple[str, ...]],
    audited: bool = False,
) -> Model[Any]:
    """Return the model of *cls*. Raises ConfigurationError for a declaration that can't be kept."""
    check_fields(cls.__name__, members)
    specs: list[FieldSpec] = []
    relations: dict[str, Relation] = {}
    indexed = {name for names in _several(cls.__name__, indexes, uniques) for name in names}
    for name, (member, hint, scope) in members.items():
        of = f"{cls.__name__}.{name}"
        if name.startswith("_") or not name.isidentifier() or keyword.iskeyword(name):
            raise ConfigurationError(
                f"{cls.__name__}.{name!r}: a field's name is an identifier, its start a letter"
            )
        if isinstance(member, Relation):
            bound = member.bind(cls, name, target_of(scope, hint, of))
            if isinstance(bound, Many) and bound.path is not None:
                link = target_of(scope, bound.path.through, of)
                bound = bound.linked(partial(link_ends, bound, bound.path, link))
            relations[name] = bound
        else:
            specs.append(
                _field_spec(cls, len(specs), name, (member.declaration, hint, scope), indexed)
            )
    model: Model[Any] = Model(
        entity=cls,
        name=cls.__name__,
        table=table,
        fields=tuple(specs),
        indexes=tuple(tuple(index) for index in indexes),
        uniques=(
            *((spec.name,) for spec in specs if spec.unique),
            *(tuple(unique) for unique in uniques),
        ),
        relations=relations,
        audited=audited,
        constraints=tuple(_bounds_check(cls.__name__, spec) for spec in specs if spec.outside),
    )
    _check_model(model, indexed)
    return model


def _several(
    entity: str, indexes: Sequence[tuple[str, ...]], uniques: Sequence[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Return all that are declared. Raises ConfigurationError for a name where a tuple belongs."""
    for word, declared in (("indexes", indexes), ("uniques", uniques)):
        if isinstance(declared, str):
            raise ConfigurationError(f"{entity}: {word}={declared!r}: expected a list of tuples")
        for names in declared:
            if isinstance(names, str):
                raise ConfigurationError(
                    f"{entity}: {word}=[{names!r}]: expected tuples of field names, as in "
                    f"{word}=[({names!r},)]"
                )
    return [*indexes, *uniques]


def _bounds_check(entity: str, spec: FieldSpec) -> Check:
    column, bounds = Column(entity, spec), spec.type.bounds
    ends = ((Operator.GE, bounds.least), (Operator.LE, bounds.most))
    held = all_of(tuple(Compare(column, how, end) for how, end in ends if end is not None))
    return Check(spec.name, held | IsNull(column) if column.nullable else held, spec)


def constrained(model: Model[E], declared: typing.Iterable[object]) -> Model[E]:
    """Return *model* with the constraints that its class *declared*. Raises ConfigurationError."""
    uniques, others = list(model.uniques), list(model.constraints)
    if model.living is not None:  # a deleted row keeps no value from the others
        plain = model.all_uniques
        others += [dataclasses.replace(each, where=model.living) for each in plain]
        uniques.clear()
    for each in declared:
        if not isinstance(each, Unique | Check):
            raise ConfigurationError(
                f"{model.name}.__constraints__ gives what unique() and check() make, got {each!r}"
            )
        _check_constraint(model, each)
        if isinstance(each, Unique) and each.plain:
            uniques.append(each.fields)
        else:
            others.append(each)
    made = dataclasses.replace(model, uniques=tuple(uniques), constraints=tuple(others))
    for kind in (made.all_uniques, made.checks):
        counted = Counter(known.name for known in kind)
        for name in (name for name, count in counted.items() if count > 1):
            raise ConfigurationError(
                f"{model.name} has two constraints named {name!r}: give one a name of its own"
            )
    return made


def viewed(model: Model[E]) -> Model[E]:
    """Return *model* as one of a view. Raises ConfigurationError for what only a table can keep."""
    kept = [spec.name for spec in model.fields if spec.role not in ("plain", "key")]
    kept += [spec.name for spec, _ in model.sequences]
    if kept or model.uniques or model.indexes or model.constraints or model.audited:
        what = f"{kept[0]!r}" if kept else "uniques, indexes, checks, bounds and audited"
        raise ConfigurationError(
            f"{model.name} is a view, which keeps nothing: {what} can't be declared; its fields "
            "are field(), key() and ref()"
        )
    return dataclasses.replace(model, view=True)


def _check_constraint(model: Model[Any], constraint: Constraint) -> None:
    for column in columns_read(constraint):
        if model.by_name.get(column.name) is not column.spec:
            raise ConfigurationError(f"{model.name}: a constraint reads {column!r} of another")
    if not constraint.name.isidentifier():
        raise ConfigurationError(
            f"{model.name}: a constraint is called by an identifier, not {constraint.name!r}"
        )
    if isinstance(constraint, Check):
        return
    for column in constraint.columns:
        if column.type.kind is Kind.JSON:
            raise ConfigurationError(f"{column!r} is JSON, which can't be unique")
        if column.type.kind in _BOUNDED and column.type.bounds.max_length is None:
            raise ConfigurationError(f"{column!r} is to be unique: say its max_length, as 255")


def vocabulary(model: Model[Any]) -> dict[str, object]:
    """Return what the entity's class answers with: its fields' expressions and its relations."""
    words: dict[str, object] = dict(model.relations)
    for spec in model.fields:
        expression: Field[object] = Field(spec.declaration)
        expression.owner, expression.entity, expression.spec = model.name, model.entity, spec
        words[spec.name] = expression
    return words


def _field_spec(
    cls: type,
    position: int,
    name: str,
    member: tuple[Declaration, object, Scope],
    indexed: set[str],
) -> FieldSpec:
    declaration, hint, scope = member
    of = f"{cls.__name__}.{name}"
    try:
        resolved = scope.resolve(hint)
    except (NameError, AttributeError) as error:
        raise ConfigurationError(
            f"{of}: {error}; the types of fields are needed at run time, "
            "so import them outside `if TYPE_CHECKING`"
        ) from None
    if typing.get_origin(resolved) is not Field:
        raise ConfigurationError(f"{of}: annotated as {resolved!r}, expected Field[...]")
    bounds = declaration.bounds
    reference: Reference | None = None
    if declaration.target is not None:
        reference = Reference(target_of(scope, declaration.target, of), declaration.on_delete)
    text_is_indexed = (
        declaration.role == "key" or declaration.unique or reference is not None or name in indexed
    )
    if bounds.max_length is None and text_is_indexed:
        bounds = dataclasses.replace(bounds, max_length=INDEXED_TEXT_LENGTH)
    try:
        found = _within_bounds(value_type(typing.get_args(resolved)[0], bounds))
        _check_declared(declaration, found)
    except ConfigurationError as error:
        raise ConfigurationError(f"{of}: {error}") from None
    if reference is not None and declaration.on_delete == "set null" and not found.nullable:
        raise ConfigurationError(f'{of}: on_delete="set null" needs a field that may be None')
    return FieldSpec(name, position, found, declaration, reference)


def _check_declared(declaration: Declaration, found: ValueType) -> None:
    bounds, default = declaration.bounds, declaration.default
    if bounds.max_length is not None and found.kind not in _BOUNDED:
        raise ConfigurationError("max_length bounds str and bytes")
    length = bounds.max_length
    if length is not None and not (isinstance(length, int) and length >= 1):
        raise ConfigurationError(f"max_length={length!r}: expected 1 or more")
    if bounds.precision is not None and found.kind is not Kind.DECIMAL:
        raise ConfigurationError("digits are for a Decimal")
    if isinstance(default, ServerDefault):  # of a ref()
        raise ConfigurationError("a reference is given, and has no default of the database's")
    if declaration.server_default is not None:
        source = declaration.server_default.source
        if declaration.role == "key" and not isinstance(source, SequenceDefault):
            raise ConfigurationError(
                "a key takes no default of the database's but server_sequence()"
            )
        match source:
            case SequenceDefault():
                if found.kind is not Kind.INT or found.load is not None:
                    raise ConfigurationError("server_sequence() is for an int")
            case ConstantDefault(constant):
                default = constant
            case TimeDefault():
                if found.kind is not Kind.DATETIME or found.load is not None:
                    raise ConfigurationError("server_now() is for a datetime")
            case TextDefault():
                pass
    if default is MISSING or (default is None and found.nullable):
        return
    try:
        value = found.check(default)
    except ValueRejected as unfit:
        raise ConfigurationError(f"default={default!r}: {unfit}") from None
    if not within(value, found.bounds):
        raise ConfigurationError(f"default={default!r} is out of the field's bounds")


def _within_bounds(found: ValueType) -> ValueType:
    """Return *found* with its bounds as row values. Raises ConfigurationError for odd ones."""
    bounds = found.bounds
    if bounds.least is None and bounds.most is None:
        return found
    if found.kind not in _ORDERED or found.load is not None:
        raise ConfigurationError("ge= and le= bound numbers, times and spans of time")
    made: dict[str, object] = {}
    for word, name in (("ge", "least"), ("le", "most")):
        value = getattr(bounds, name)
        try:
            made[name] = None if value is None else found.check(value)
        except ValueRejected as unfit:
            raise ConfigurationError(f"{word}={value!r}: {unfit}") from None
    kept = dataclasses.replace(bounds, **made)  # type: ignore[arg-type]
    if not within(kept.least if kept.most is None else kept.most, kept):
        raise ConfigurationError(f"ge={bounds.least!r}, le={bounds.most!r}: nothing is between")
    return dataclasses.replace(found, bounds=kept)


def _check_keys(model: Model[Any]) -> None:
    if not model.keys:
        raise ConfigurationError(f"{model.name}: expected a key() field, got none")
    for spec in model.keys:
        of = f"{model.name}.{spec.name}"
        if spec.type.kind not in _KEY_KINDS or spec.type.nullable:
            raise ConfigurationError(f"{of}: a key is a UUID, str or int")
        if spec.role == "generated" and len(model.keys) > 1:
            raise ConfigurationError(f"{of}: a composite key has no part that the store numbers")


def _check_model(model: Model[Any], indexed: set[str]) -> None:
    _check_keys(model)
    for role, kind in _ROLE_KINDS.items():
        found = [spec for spec in model.fields if spec.role == role]
        if len(found) > 1:
            raise ConfigurationError(f"{model.name}: more than one {role}() field")
        nullable = role == "deleted_at"
        if found and (found[0].type.kind is not kind or found[0].type.nullable is not nullable):
            what, name = f"{kind.value}{' | None' if nullable else ''}", _SPECIFIERS.get(role, role)
            raise ConfigurationError(f"{model.name}.{found[0].name}: {name}() is for Field[{what}]")
    unversioned = [spec.name for spec in model.fields if spec.declaration.unversioned]
    if unversioned and not any(spec.role == "version" for spec in model.fields):
        raise ConfigurationError(
            f"{model.name}.{unversioned[0]}: unversioned needs a version() field in the entity"
        )
    for name in indexed - {spec.name for spec in model.fields}:
        raise ConfigurationError(
            f"{model.name}: an index or unique names {name!r}, which is not a field"
        )
    for spec in model.fields:
        uses_json = spec.type.kind is Kind.JSON and (spec.unique or spec.name in indexed)
        if uses_json or (spec.reference is not None and spec.type.kind not in _KEY_KINDS):
            raise ConfigurationError(
                f"{model.name}.{spec.name}: a {spec.type.kind.value} field can't be "
                "unique, indexed or a reference"
            )
