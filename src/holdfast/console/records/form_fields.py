"""The fields of a form for a record: how each is typed in, what it takes, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.console.records.record_list import choices_of
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records.values.field_spec import FieldSpec

FIELD = "f."  # before the name of a field in a form: what it shall be
BASE = "b."  # what it was when the form was shown
_LONG = 200  # characters from which text has several lines to stand in


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a form: its text now and at first (*base*), and what is wrong with it."""

    name: str
    label: str
    text: str
    base: str
    kind: str
    hint: str
    needed: bool
    choices: tuple[tuple[str, str], ...] = ()
    fault: str = ""


def form_fields(
    specs: list[FieldSpec],
    texts: Mapping[str, str],
    base: Mapping[str, str],
    faults: Mapping[str, str],
) -> list[FormField]:
    """Return the fields of a form for *specs*, with what stands in them and what is wrong."""
    return [
        FormField(
            name=f"{FIELD}{spec.name}",
            label=spec.name.replace("_", " "),
            text=texts.get(spec.name, ""),
            base=base.get(spec.name, ""),
            kind=_input_kind(spec),
            hint=hint_of(spec),
            needed=not spec.type.nullable
            and not spec.declaration.has_default
            and spec.type.kind is not Kind.STR,
            choices=(("", "none"),) * spec.type.nullable + choices_of(spec),
            fault=faults.get(spec.name, ""),
        )
        for spec in specs
    ]


def _input_kind(spec: FieldSpec) -> str:
    if choices_of(spec):
        return "choice"
    if spec.type.kind is Kind.JSON:
        return "lines"
    most = spec.type.bounds.max_length
    return "lines" if spec.type.kind is Kind.STR and (most is None or most > _LONG) else "line"


_HINTS = {
    Kind.BYTES: "bytes in base64",
    Kind.DATETIME: "a time such as 2026-01-31T12:00:00Z",
    Kind.DATE: "a date such as 2026-01-31",
    Kind.TIME: "a time of day such as 12:00:00",
    Kind.TIMEDELTA: "a duration such as PT1M30S",
    Kind.JSON: "JSON",
}


def hint_of(spec: FieldSpec) -> str:
    """Return what a field takes, '' where that needs no words."""
    parts: list[str] = []
    if spec.reference is not None:
        parts.append(f"the key of a {spec.reference.target().__name__}")
    elif spec.type.kind in _HINTS:
        parts.append(_HINTS[spec.type.kind])
    bounds = spec.type.bounds
    if spec.type.kind is Kind.UUID:
        if spec.declaration.default_factory is not None:
            parts.append("empty for a new one")
    elif bounds.max_length is not None:
        parts.append(f"at most {bounds.max_length} characters")
    if bounds.least is not None:
        parts.append(f"{bounds.least} or more")
    if bounds.most is not None:
        parts.append(f"{bounds.most} or less")
    if spec.type.nullable:
        parts.append("empty for none")
    return ", ".join(parts)
