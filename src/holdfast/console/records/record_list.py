"""What a list of records shows and can be asked for: columns, cells, filters by the fields' types.

An address has filters in the grammar of the API and the command line, `duration__gte=60`; what the
page itself asks for begins with an underline, which no field's name does.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import orjson

from holdfast.access import Role
from holdfast.errors import NotFoundError
from holdfast.jobs import Jobs
from holdfast.records.entities.model import model_of
from holdfast.records.entities.relation import Many
from holdfast.records.record_values import json_value, text_value
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.access import Caller
    from holdfast.console.console_site import ConsoleSite
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

COLUMNS = 7  # of a list, the key among them
_FEW_CONTROLS = 9  # which all stand in front
_MOST_TEXT = 20_000  # characters of a value on a record's own page
_RANGES = frozenset(
    {Kind.INT, Kind.FLOAT, Kind.DECIMAL, Kind.DATETIME, Kind.DATE, Kind.TIME, Kind.TIMEDELTA}
)
_UNLISTED = frozenset({Kind.JSON, Kind.BYTES})
_DIGEST = re.compile("[0-9a-f]{64}")  # a SHA-256, which a list shows the beginning of


@dataclass(frozen=True, slots=True)
class RecordKind:
    """An entity as the console shows it: whether by hand its rows may be written, and who sees."""

    model: Model[object]
    domain: str
    editable: bool
    private: bool

    @property
    def path(self) -> str:
        """Its name in addresses."""
        return self.model.table


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as a page shows it: *text*, the *time* that it is, the *url* that it leads to."""

    text: str
    kind: str = "text"
    time: datetime | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class FilterControl:
    """A field of the form of filters: its parameters, each with its label and value.

    *choices* are there where the value is one of a few. Of many fields those that the list shows,
    and those that are filled in, stand in *front*.
    """

    label: str
    inputs: tuple[tuple[str, str, str], ...]
    choices: tuple[tuple[str, str], ...] = ()
    front: bool = True


def record_kinds(site: ConsoleSite, caller: Caller) -> list[RecordKind]:
    """Return the entities of the platform that *caller* may see, by the order of the domains."""
    found: list[RecordKind] = []
    for domain in site.platform.domains:
        for entity in domain.entities:
            kind = RecordKind(
                model_of(entity), domain.name, entity in domain.editable, entity in domain.private
            )
            if not kind.private or caller.role.includes(Role.ADMIN):
                found.append(kind)
    return found


def record_kind(site: ConsoleSite, caller: Caller, path: str) -> RecordKind:
    """Return the entity whose table is *path*. Raises NotFoundError, also where it is private."""
    for kind in record_kinds(site, caller):
        if kind.path == path:
            return kind
    raise NotFoundError("an entity", path)


def is_hidden(spec: FieldSpec) -> bool:
    """Return whether the values of *spec* are for nobody to see."""
    return spec.declaration.audit == "redact"


def listed_fields(model: Model[E]) -> list[FieldSpec]:
    """Return the fields that a list has columns for: the key's, then what tells rows apart."""
    rest = [
        spec
        for spec in model.fields
        if spec not in model.keys
        and spec.type.kind not in _UNLISTED
        and spec.role not in ("version", "updated_at", "created_at")
        and not is_hidden(spec)
    ]
    room = COLUMNS - len(model.keys) - (model.created_at is not None)
    found = [*model.keys, *rest[: max(room, 1)]]
    return [*found, model.created_at] if model.created_at is not None else found


def key_query(model: Model[E], entity: object) -> dict[str, object]:
    """Return the query of an address that names *entity*: `_key`, for each field of the key."""
    values = vars(entity)
    return {"_key": [text_value(spec, values[spec.name]) for spec in model.keys]}


def cell(site: ConsoleSite, spec: FieldSpec, value: object, *, most: int = 120) -> Cell:
    """Return *value* of the field *spec* as a page shows it, in at most *most* characters."""
    if is_hidden(spec):
        return Cell("hidden", "null")
    if value is None:
        return Cell("none", "null")
    if isinstance(value, datetime):
        return Cell(text_value(spec, value), "time", time=value)
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if spec.type.kind is Kind.BYTES:
        assert isinstance(value, bytes)
        return Cell(f"{len(value)} bytes: {value[:16].hex(' ')}", "code")
    if spec.type.kind is Kind.JSON:
        options = orjson.OPT_INDENT_2 if most > 1000 else None
        text = orjson.dumps(json_value(spec, value), option=options).decode()
        return Cell(_cut(text, most), "code")
    text = text_value(spec, value)
    if not text:
        return Cell("empty", "null")
    if spec.reference is not None:
        target: Model[object] = model_of(spec.reference.target())
        url = site.url(f"records/{target.table}/row", {"_key": text})
        return Cell(_cut(text, most), "id" if isinstance(value, UUID) else "text", url=url)
    if isinstance(value, UUID):
        job = spec.name == "job_id" and site.has_service(Jobs)
        return Cell(text, "id", url=site.url(f"jobs/{text}") if job else "")
    if _DIGEST.fullmatch(text):
        return Cell(text, "digest")
    return Cell(_cut(text, most), "number" if is_number(spec) else "text")


def full_cell(site: ConsoleSite, spec: FieldSpec, value: object) -> Cell:
    """Return *value* as the page of its record shows it."""
    return cell(site, spec, value, most=_MOST_TEXT)


def filter_controls(model: Model[E], given: Mapping[str, str]) -> list[FilterControl]:
    """Return the form of filters for *model*, filled in as *given*."""
    found: list[FilterControl] = []
    listed = listed_fields(model)
    for spec in model.fields:
        if spec.type.kind in _UNLISTED or is_hidden(spec):
            continue
        name, label = spec.name, spec.name.replace("_", " ")
        choices = choices_of(spec)
        if choices:
            inputs = ((name, "is", given.get(name, "")),)
            found.append(FilterControl(label, inputs, (("", "any"), *choices)))
        elif spec.type.kind in _RANGES:
            pair = tuple(
                (f"{name}__{operator}", said, given.get(f"{name}__{operator}", ""))
                for operator, said in (("gte", "from"), ("lte", "to"))
            )
            found.append(FilterControl(label, pair))
        else:
            is_text = spec.type.kind is Kind.STR and spec.reference is None
            asked = f"{name}__icontains" if is_text else name
            said = "contains" if is_text else "is"
            found.append(FilterControl(label, ((asked, said, given.get(asked, "")),)))
        filled = any(value for _, _, value in found[-1].inputs)
        found[-1] = replace(found[-1], front=filled or spec in listed)
    return found if len(found) > _FEW_CONTROLS else [replace(each, front=True) for each in found]


def choices_of(spec: FieldSpec) -> tuple[tuple[str, str], ...]:
    """Return the values of a field that has few, each as text and as shown; none for others."""
    declared = spec.type.python
    if isinstance(declared, type) and issubclass(declared, enum.Enum):
        return tuple((str(member.value), str(member.value)) for member in declared)
    if spec.type.kind is Kind.BOOL:
        return (("true", "yes"), ("false", "no"))
    return ()


def relations_to_many(model: Model[E]) -> Sequence[Many[object]]:
    """Return the relations of *model* whose rows stand in another table, with a reference here."""
    return [
        relation
        for relation in model.relations.values()
        if isinstance(relation, Many) and relation.path is None
    ]


def is_number(spec: FieldSpec) -> bool:
    """Return whether the values of *spec* are numbers, which stand right-aligned."""
    return spec.type.kind in (Kind.INT, Kind.FLOAT, Kind.DECIMAL)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
