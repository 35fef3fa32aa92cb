"""What is known of each setting besides its type: its names, its purpose, how it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from holdfast.backend_url import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

Shown = Literal["plain", "url", "place", "secret"]
_PLACE = re.compile(r"[A-Za-z0-9.:_\[\]-]+")
PREFIX = "HOLDFAST_"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a setting is, in words for people.

    *borrowed* are the variables of other programs that it is read from too, the first of them
    first. *also* are further places in the settings file. *shown* says what of its value may be
    shown: a "url" without who logs in, a "place" too, which may be a name alone, and a "secret"
    not at all. *unset* says what holds while it is not set.
    """

    what: str
    expected: str
    borrowed: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    shown: Shown = "plain"
    unset: str = ""


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One setting: its place in `Settings` and in the settings file, `a.b`, and what it is."""

    path: str
    about: About
    default: object

    @property
    def variable(self) -> str:
        """The variable of the environment that sets it."""
        return variable_of(self.path)

    @property
    def own_variables(self) -> tuple[str, ...]:
        """Every variable of Holdfast's own that sets it."""
        return (self.variable, *map(variable_of, self.about.also))

    def show(self, value: object) -> str:
        """Return *value* as people may see it."""
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        if value is None or value == "":
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        text = str(value)
        match self.about.shown:
            case "plain":
                return f"{value:g}" if isinstance(value, float) else text
            case "place" if _PLACE.fullmatch(text):
                return text
            case "url" | "place":
                return redacted(text) if "://" in text else "***"
            case "secret":
                return "***"


def variable_of(path: str) -> str:
    """Return the variable of the environment for the setting at *path*."""
    return PREFIX + path.replace(".", "_").upper()


def specs_of(model: type[BaseModel], place: str = "") -> Iterator[SettingSpec]:
    """Yield the settings of *model* and of its sections, in the order in which they stand."""
    for name, found in model.model_fields.items():
        path = f"{place}{name}"
        about = next((each for each in found.metadata if isinstance(each, About)), None)
        if about is not None:
            yield SettingSpec(path, about, found.get_default(call_default_factory=True))
        else:
            section = found.annotation
            assert isinstance(section, type)
            yield from specs_of(section, f"{path}.")
