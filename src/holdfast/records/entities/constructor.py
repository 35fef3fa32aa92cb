"""What is made of a model: the constructor of its entity, and a dataclass with its fields."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any

from holdfast.records.values.field_spec import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.entities.model import Model

E = typing.TypeVar("E")


def dataclass_of(model: Model[E]) -> type:
    """Return a dataclass with the fields of *model*, by which others know what the entity is.

    Libraries that look for dataclasses, such as FastAPI for what is a request's body, find its
    fields there.
    """
    fields: list[tuple[str, Any, Any]] = []
    for spec in model.fields:
        hint: Any = spec.type.python
        words: dict[str, Any] = {"init": spec.in_constructor, "kw_only": True}
        if spec.declaration.default_factory is not None:
            words["default_factory"] = spec.declaration.default_factory
        elif spec.declaration.default is not MISSING:
            words["default"] = spec.declaration.default
        elif spec.server_default is not None:
            words["default"] = spec.server_default
        hint = hint | None if spec.type.nullable else hint
        fields.append((spec.name, hint, dataclasses.field(**words)))
    return dataclasses.make_dataclass(model.name, fields, init=False, repr=False, eq=False)


def constructor(model: Model[Any]) -> Callable[..., None]:
    """Return an `__init__` with one keyword parameter for each field that a caller may set."""
    scope: dict[str, object] = {"_missing": MISSING}
    parameters: list[str] = []
    lines: list[str] = []
    for spec in model.fields:
        declaration, name = spec.declaration, spec.name
        if not spec.in_constructor:
            continue
        if declaration.default_factory is not None:
            scope[f"_make_{name}"] = declaration.default_factory
            parameters.append(f"{name}=_missing")
            lines.append(f"_entity.{name} = _make_{name}() if {name} is _missing else {name}")
        elif spec.server_default is not None:
            parameters.append(f"{name}=_missing")
            lines.append(f"if {name} is not _missing: _entity.{name} = {name}")
        else:
            if declaration.default is not MISSING:
                scope[f"_default_{name}"] = declaration.default
                parameters.append(f"{name}=_default_{name}")
            else:
                parameters.append(name)
            lines.append(f"_entity.{name} = {name}")
    header = f"def __init__(_entity, /{', *, ' if parameters else ''}{', '.join(parameters)}):"
    exec("\n    ".join([header, *lines, "return None"]), scope)  # noqa: S102 - as dataclasses do
    made = typing.cast("Callable[..., None]", scope["__init__"])
    made.__qualname__ = f"{model.entity.__qualname__}.__init__"
    made.__module__ = model.entity.__module__
    return made
