"""The environment as a source of pydantic-settings, by Holdfast's names and the borrowed ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from pydantic_settings import PydanticBaseSettingsSource

from holdfast.settings.origins import environment_variables, find_variable
from holdfast.settings.setting_spec import specs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo


class EnvironmentSource(PydanticBaseSettingsSource):
    """What the environment sets, as nested values."""

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 - the base class names it
        field_name: str,
    ) -> tuple[None, str, bool]:
        """Return nothing: what the base class would ask field by field is found at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        places = (environment_variables(os.environ),)
        found = {
            spec.path: given.value
            for spec in specs_of(self.settings_cls)
            if (given := find_variable(spec, places)) is not None
        }
        return nested(found)


def nested(values: Mapping[str, object]) -> dict[str, object]:
    """Return *values*, which are by `a.b`, as sections within sections."""
    result: dict[str, object] = {}
    for path, value in values.items():
        *sections, name = path.split(".")
        place = result
        for section in sections:
            place = cast("dict[str, object]", place.setdefault(section, {}))
        place[name] = value
    return result
