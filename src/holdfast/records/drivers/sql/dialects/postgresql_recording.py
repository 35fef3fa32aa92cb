"""A write that records itself: one statement that locks, changes, and inserts what changed.

The row is locked and read by one part, changed by the next, and a third inserts the record from
what these two saw. So a recorded write costs one message, and its before is what the lock found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from holdfast.records.drivers.sql.statements.statement import parameter, typed
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.records.driver import ChangeRecord
    from holdfast.records.drivers.sql.dialects.postgresql import PostgreSQLDialect
    from holdfast.records.drivers.sql.statements.dialect import Expression
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec

_BEFORE = "holdfast_before_"
_LARGE = (Kind.STR, Kind.BYTES, Kind.JSON)


@dataclass(frozen=True, slots=True)
class RecordTarget:
    """Where a record goes: its table is among *tables*, its first value the parameter *first*."""

    tables: Mapping[str, sa.Table]
    dialect: PostgreSQLDialect
    first: int


def recorded_update(
    target: RecordTarget,
    assignments: Mapping[str, Expression],
    condition: Expression,
    record: ChangeRecord,
) -> sa.ClauseElement:
    """Return the update of *record*'s model that inserts the record, and returns the changed row.

    The values of the record's row are parameters, in the order of its fields.
    """
    model, entry = record.model, record.entry
    tables, dialect, first = target.tables, target.dialect, target.first
    table, entries = tables[model.table], tables[entry.table]
    old = sa.select(*table.c).where(condition).with_for_update().cte("holdfast_old")
    before = [
        old.c[spec.name].label(f"{_BEFORE}{spec.position}")
        for spec in model.fields
        if spec.declaration.audit != "skip"
    ]
    new = (
        sa.update(table)
        .values(dict(assignments))
        .where(*(table.c[name] == old.c[name] for name in model.key_names))
        .returning(*table.c, *before)
        .cte("holdfast_new")
    )
    given = [spec for spec in entry.fields if spec.role != "generated"]
    values: list[Expression] = [
        sa.literal_column(f"('{{' || {_changed(model, record.largest)} || '}}')::json")
        if spec.name == record.changes
        else typed(parameter(first + spec.position), dialect.type_name(spec))
        for spec in given
    ]
    chosen = sa.select(*values).select_from(new)
    if model.version is None or any(spec.declaration.unversioned for spec in model.fields):
        # Elsewhere each write changes something.
        chosen = chosen.where(sa.literal_column(f"{_changed(model, record.largest)} <> ''"))
    made = postgresql.insert(entries).from_select([spec.name for spec in given], chosen)
    return sa.select(*(new.c[spec.name] for spec in model.fields)).add_cte(
        made.cte("holdfast_made")
    )


def _changed(model: Model[object], largest: int) -> str:
    """Return the members of the document, those of fields that differ."""
    members = [
        f"CASE WHEN {_plain(spec, old)} IS DISTINCT FROM {_plain(spec, new)} "
        f"THEN '\"{spec.name}\":[' || {_kept(spec, old, largest)} || ',' "
        f"|| {_kept(spec, new, largest)} || ']' END"
        for spec in model.fields
        if spec.declaration.audit != "skip"
        for old, new in [(f"holdfast_new.{_BEFORE}{spec.position}", f'holdfast_new."{spec.name}"')]
    ]
    return f"concat_ws(',', {', '.join(members)})"


def _plain(spec: FieldSpec, column: str) -> str:
    """Return what can be compared: documents have no equality, their texts have."""
    return f"{column}::text" if spec.type.kind is Kind.JSON else column


def _kept(spec: FieldSpec, column: str, largest: int) -> str:
    """Return the JSON of a field's value as text, with `null` for none."""
    policy = spec.declaration.audit
    if policy == "redact":
        return f"CASE WHEN {column} IS NULL THEN 'null' ELSE '{{\"redacted\":true}}' END"
    kind, shown = spec.type.kind, _json(spec, column)
    content = _content(spec, column)
    hashed = (
        f"'{{\"sha256\":\"' || encode(sha256({content}), 'hex') || '\",\"bytes\":' "
        f"|| octet_length({content}) || '}}'"
    )
    if policy == "hash":
        return f"coalesce({hashed}, 'null')"
    if kind in _LARGE:
        shown = f"CASE WHEN octet_length({content}) > {largest} THEN {hashed} ELSE {shown} END"
    return f"coalesce({shown}, 'null')"


def _content(spec: FieldSpec, column: str) -> str:
    """Return the bytes that are hashed."""
    match spec.type.kind:
        case Kind.BYTES:
            return column
        case Kind.STR:
            return f"convert_to({column}, 'UTF8')"
        case Kind.JSON:
            return f"convert_to({column}::text, 'UTF8')"
        case _:
            return f"convert_to({_json(spec, column)}, 'UTF8')"


def _json(spec: FieldSpec, column: str) -> str:
    kind = spec.type.kind
    match kind:
        case Kind.BOOL | Kind.INT | Kind.FLOAT | Kind.STR:
            return f"to_json({column})::text"
        case Kind.TIMEDELTA:
            return f"{column}::text"  # microseconds
        case Kind.DECIMAL | Kind.UUID:
            return f"'\"' || {column}::text || '\"'"
        case Kind.DATETIME:
            form = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
            return f"'\"' || to_char({column} AT TIME ZONE 'UTC', '{form}') || '\"'"
        case Kind.DATE:
            return f"'\"' || to_char({column}, 'YYYY-MM-DD') || '\"'"
        case Kind.TIME:
            return f"'\"' || to_char({column}, 'HH24:MI:SS.US') || '\"'"
        case Kind.BYTES:
            return f"'\"' || translate(encode({column}, 'base64'), E'\\n', '') || '\"'"
        case Kind.JSON:
            return f"'{{\"json\":' || {column}::text || '}}'"
        case _:
            assert_never(kind)
