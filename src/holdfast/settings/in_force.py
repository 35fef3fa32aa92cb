"""The settings in force, for people: each with its value as it may be shown, and its origin."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from holdfast.settings.origins import SECRETS_VARIABLE, Origin
from holdfast.settings.resolution import SPECS
from holdfast.settings.setting_spec import PREFIX
from holdfast.settings.trusted_file import SETTINGS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.settings.resolution import ResolvedSettings

_ALIKE = 0.8


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """A setting as it is now: *value* as it may be shown, '' when it is not set.

    *unset* says in words what then holds.
    """

    name: str
    variable: str
    value: str
    unset: str
    origin: Origin


def settings_in_force(resolved: ResolvedSettings) -> list[SettingInForce]:
    """Return every setting of *resolved*, in the order of the table in the documentation."""
    return [
        SettingInForce(
            path,
            spec.variable,
            spec.show(attrgetter(path)(resolved.settings)),
            spec.about.unset.replace("`", "").replace("*", ""),
            resolved.origins[path],
        )
        for path, spec in SPECS.items()
    ]


def misspelt_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return variables that look like a setting of Holdfast's and are none, with what is meant."""
    known = [name for spec in SPECS.values() for name in spec.own_variables]
    taken = {*known, *(f"{name}_FILE" for name in known), SETTINGS_VARIABLE, SECRETS_VARIABLE}
    found: dict[str, str] = {}
    for name in environment:
        folded = name.upper()
        if folded.startswith(PREFIX) and folded not in taken:
            close = difflib.get_close_matches(folded, taken, n=1, cutoff=_ALIKE)
            if close:
                found[name] = close[0]
    return found


def settings_table() -> str:
    """Return the table of all settings, in Markdown, as the documentation has it."""
    lines = [
        "| `holdfast.toml` | environment | also read from | what | expected | default |",
        "|---|---|---|---|---|---|",
    ]
    for path, spec in SPECS.items():
        names = ", ".join(f"`{name}`" for name in (path, *spec.about.also))
        borrowed = ", ".join(f"`{name}`" for name in spec.about.borrowed)
        shown = spec.show(spec.default)
        default = f"`{shown}`" if shown else spec.about.unset
        about = spec.about
        lines.append(
            f"| {names} | `{spec.variable}` | {borrowed} | {about.what} | {about.expected} "
            f"| {default} |"
        )
    return "\n".join(lines) + "\n"
