"""From a class that SQLAlchemy mapped to a model: columns, key, constraints and relations."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.exc import InvalidRequestError

from holdfast.errors import ConfigurationError
from holdfast.integrations.sqlalchemy.argument_translator import MappedArguments
from holdfast.integrations.sqlalchemy.column_defaults import defaults_of, left_to_database
from holdfast.integrations.sqlalchemy.instance_adapter import MappedInstances
from holdfast.integrations.sqlalchemy.mapped_column_types import column_type
from holdfast.integrations.sqlalchemy.relationships import relations_of
from holdfast.records.entities.class_adapter import ClassAdapter
from holdfast.records.entities.identifiers import check_mapped
from holdfast.records.entities.model import Model, model_of
from holdfast.records.values.field_spec import Declaration, FieldSpec, Reference
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.records.values.field_spec import OnDelete, Role

E = TypeVar("E")

_ON_DELETE: dict[str | None, OnDelete] = {
    None: "restrict",
    "RESTRICT": "restrict",
    "NO ACTION": "restrict",
    "CASCADE": "cascade",
    "SET NULL": "set null",
}
_KEYS = (Kind.UUID, Kind.STR, Kind.INT)


def adapt(entity: type[E]) -> Model[E] | None:
    """Return the model of *entity*, a class that SQLAlchemy or SQLModel mapped; None for another.

    A store does this by itself for the entities that it is opened with. Raises ConfigurationError
    for a class that Holdfast's rules can't be kept for, with the reason and the way to mend it.
    """
    mapper = sa.inspect(entity, raiseerr=False) if isinstance(entity, type) else None
    if not isinstance(mapper, orm.Mapper):
        if hasattr(entity, "__sqlmodel_relationships__"):
            raise ConfigurationError(
                f"{entity.__name__} has no table: declare it as class "
                f"{entity.__name__}(SQLModel, table=True)"
            )
        return None
    known = vars(entity).get("__holdfast__")
    if isinstance(known, Model):
        return cast("Model[E]", known)
    try:
        orm.configure_mappers()
    except InvalidRequestError as error:
        raise ConfigurationError(f"{entity.__name__}: {error}") from error
    model = _model(entity, mapper)
    type.__setattr__(entity, "__holdfast__", model)
    return model


def _entity(mapped: type) -> type:
    """Return *mapped*, with its model made."""
    return (adapt(mapped) or model_of(mapped)).entity


def _model(entity: type[E], mapper: orm.Mapper[Any]) -> Model[E]:
    name = entity.__name__
    table = _table(mapper, name)
    names = _names(mapper, table, name)
    _check_key(table, name)
    specs: list[FieldSpec] = []
    hints = _hints(entity)
    for column, attribute in names.items():
        spec = _field(mapper, column, attribute, len(specs), hints)
        left = left_to_database(spec, column)
        declaration = dataclasses.replace(spec.declaration, server_default=left)
        specs.append(dataclasses.replace(spec, declaration=declaration))
        _check_role(specs[-1], name)
    uniques, indexes = _constraints(table, names)
    defaults = defaults_of(list(zip(specs, names, strict=True)))
    adapter = ClassAdapter(
        MappedInstances(entity, mapper, specs, defaults), MappedArguments(mapper, specs, defaults)
    )
    model: Model[E] = Model(
        entity=entity,
        name=name,
        table=table.fullname,
        fields=tuple(specs),
        indexes=indexes,
        uniques=uniques,
        relations={},
        adapter=adapter,
    )
    model.relations.update(relations_of(mapper, names, _entity))
    return model


def _hints(entity: type) -> dict[str, object]:
    """Return what the annotations say that attributes hold; nothing where they can't be read."""
    try:
        hints = typing.get_type_hints(entity)
    except (NameError, TypeError):
        return {}
    return {
        name: typing.get_args(hint)[0] if typing.get_origin(hint) is orm.Mapped else hint
        for name, hint in hints.items()
    }


def _table(mapper: orm.Mapper[Any], name: str) -> sa.Table:
    if mapper.inherits is not None or mapper.polymorphic_on is not None:
        raise ConfigurationError(
            f"{name} is mapped with inheritance, whose rows are of several classes; "
            "map each class to a table of its own, or use it in orm_session()"
        )
    table = mapper.local_table
    if not isinstance(table, sa.Table):
        raise ConfigurationError(f"{name} is mapped to {type(table).__name__}, expected a Table")
    return table


def _names(mapper: orm.Mapper[Any], table: sa.Table, name: str) -> dict[sa.Column[Any], str]:
    """Return the attribute of each mapped column, in the order of the table."""
    names: dict[sa.Column[Any], str] = {}
    check_mapped(name, table.name, "table")
    for column in table.columns:
        check_mapped(name, column.name, "column")
        if column in mapper.columns.values():
            attribute = mapper.get_property_by_column(column).key
            if column.computed is not None:
                raise ConfigurationError(
                    f"{name}.{attribute} is computed by the database, and Holdfast writes whole "
                    "rows; compute it in the class"
                )
            names[column] = attribute
        elif not column.nullable and column.server_default is None:
            raise ConfigurationError(
                f"{name}: the column {column.name!r} is not mapped, and no row can be added "
                "without it; map it, or give it a server_default"
            )
    return names


def _check_key(table: sa.Table, name: str) -> None:
    declared = [column.name for column in table.primary_key.columns]
    if not declared:
        raise ConfigurationError(f"{name} has no key: expected a primary key")
    if declared != [column.name for column in table.columns if column.primary_key]:
        raise ConfigurationError(
            f"{name} has the key ({', '.join(declared)}), and its table has these columns in "
            "another order, in which get() takes them; let both have one order"
        )
    if len(declared) > 1 and table.autoincrement_column is not None:
        raise ConfigurationError(
            f"{name}.{table.autoincrement_column.name}: a composite key has no part that the "
            "store numbers; say autoincrement=False"
        )


def _field(
    mapper: orm.Mapper[Any],
    column: sa.Column[Any],
    attribute: str,
    position: int,
    hints: Mapping[str, object],
) -> FieldSpec:
    of = f"{mapper.class_.__name__}.{attribute}"
    try:
        found = column_type(column, hints.get(attribute))
    except ConfigurationError as error:
        raise ConfigurationError(f"{of}: {error}") from error
    if isinstance(column.type, sa.JSON) and column.nullable and not column.type.none_as_null:
        raise ConfigurationError(
            f"{of}: a None in it may be JSON's null or SQL's, which are not alike to a filter; "
            "say JSON(none_as_null=True)"
        )
    reference = _reference(mapper, column, of)
    declaration = Declaration(
        role=_role(mapper, column, of),
        unique=bool(column.unique),
        bounds=found.bounds,
        unversioned=column.info.get("holdfast") == "unversioned",
    )
    return FieldSpec(attribute, position, found, declaration, reference, column)


def _role(mapper: orm.Mapper[Any], column: sa.Column[Any], of: str) -> Role:
    if column.primary_key:
        table = column.table
        identity = column.identity
        if identity is not None and identity.always:
            raise ConfigurationError(f"{of}: Identity(always=True) takes no key that is given")
        numbered = table.autoincrement_column is column and column.default is None
        return "generated" if numbered else "key"
    if column is mapper.version_id_col:
        generator = mapper.version_id_generator
        if generator is False or (callable(generator) and generator(41) != 42):
            raise ConfigurationError(
                f"{of}: its version_id_generator is not the one that counts up by one, "
                "as update() does"
            )
        return "version"
    told = column.info.get("holdfast", "unversioned")
    if told not in ("unversioned", "created_at", "updated_at"):
        raise ConfigurationError(
            f'{of}: info={{"holdfast": {told!r}}}: expected "created_at", "updated_at" or '
            '"unversioned"'
        )
    return "plain" if told == "unversioned" else cast("Role", told)


def _check_role(spec: FieldSpec, name: str) -> None:
    role, kind = spec.role, spec.type.kind
    if role in ("key", "generated") and (kind not in _KEYS or spec.type.load is not None):
        raise ConfigurationError(f"{name}.{spec.name}: a key is a Uuid, String or Integer")
    if role in ("created_at", "updated_at") and (
        kind is not Kind.DATETIME or spec.type.nullable or spec.type.load is not None
    ):
        raise ConfigurationError(
            f"{name}.{spec.name}: a {role} is a DateTime(timezone=True) that is not null"
        )
    if role == "version" and (kind is not Kind.INT or spec.type.nullable):
        raise ConfigurationError(f"{name}.{spec.name}: a version is an Integer that is not null")
    if spec.reference is not None and kind not in _KEYS:
        raise ConfigurationError(f"{name}.{spec.name}: a {kind.value} can't be a reference")


def _reference(mapper: orm.Mapper[Any], column: sa.Column[Any], of: str) -> Reference | None:
    """Return what the column refers to, if that is the key of a mapped class."""
    if len(column.foreign_keys) != 1:
        return None
    (foreign,) = column.foreign_keys
    if len(foreign.constraint.columns if foreign.constraint is not None else ()) > 1:
        return None  # a part of a reference to a composite key, which the database checks
    target = foreign.column
    found = [
        each.class_
        for each in mapper.registry.mappers
        if each.local_table is target.table
        and target.primary_key
        and len(target.table.primary_key.columns) == 1
    ]
    if len(found) != 1:
        return None
    if foreign.ondelete not in _ON_DELETE:
        raise ConfigurationError(
            f"{of}: ondelete={foreign.ondelete!r}: expected RESTRICT, CASCADE or SET NULL"
        )

    def resolve() -> type:
        return _entity(found[0])

    return Reference(resolve, _ON_DELETE[foreign.ondelete])


def _constraints(
    table: sa.Table, names: dict[sa.Column[Any], str]
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """Return the uniques and the indexes, by attribute; those over expressions are not ours."""
    uniques: list[tuple[str, ...]] = []
    indexes: list[tuple[str, ...]] = []
    uniques += [
        tuple(names.get(column, "") for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    ]
    for index in table.indexes:
        columns = [each for each in index.expressions if isinstance(each, sa.Column)]
        partial = any(index.dialect_options[each].get("where") is not None
                      for each in ("postgresql", "sqlite"))  # fmt: skip
        if len(columns) == len(index.expressions) and not partial:
            listed = uniques if index.unique else indexes
            listed.append(tuple(names.get(column, "") for column in columns))
    key = tuple(names[column] for column in names if column.primary_key)
    ordered = sorted({unique for unique in uniques if "" not in unique})
    return (
        tuple(unique for unique in ordered if unique != key),
        tuple(sorted({index for index in indexes if "" not in index})),
    )
