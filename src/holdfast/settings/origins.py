"""Where the value of each setting comes from: the places that are looked at, in their order."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.settings.trusted_file import SETTINGS_VARIABLE, read_found_file, read_named_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from holdfast.settings.setting_spec import SettingSpec

SETTINGS_FILE = "holdfast.toml"
SECRETS_VARIABLE = "HOLDFAST_SECRETS"
"""The variable that names a folder of secret files, each named as a variable."""
_FILE = "_FILE"


@dataclass(frozen=True, slots=True)
class Origin:
    """By which *name* a value was given, and in which *place*; a default has no name."""

    name: str
    place: str

    def __str__(self) -> str:
        return f"{self.name} in {self.place}" if self.name else self.place


DEFAULT = Origin("", "default")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was found, unchecked, and where."""

    value: object
    origin: Origin


@dataclass(frozen=True, slots=True)
class Variables:
    """Variables of one place by their names in capital letters."""

    place: str
    values: Mapping[str, str]

    def find(self, name: str) -> Given | None:
        """Return what is set as *name*, or by the file that *name*_FILE names; empty is not set.

        Raises ConfigurationError when both are, and for a file that can't be read.
        """
        value = self.values.get(name, "")
        file = self.values.get(f"{name}{_FILE}", "")
        if value and file:
            raise ConfigurationError(
                f"{name} and {name}{_FILE} are both set in {self.place}; expected one of them"
            )
        if file:
            text = read_named_file(file, named_by=f"{name}{_FILE}").rstrip("\r\n")
            return Given(text, Origin(f"{name}{_FILE}", self.place)) if text else None
        return Given(value, Origin(name, self.place)) if value else None


def environment_variables(environment: Mapping[str, str]) -> Variables:
    """Return the variables of *environment*."""
    folded = {name.upper(): value for name, value in environment.items()}
    return Variables("the environment", {**folded, **environment})


def found_variables(environment: Mapping[str, str]) -> Iterator[Variables]:
    """Yield where variables stand: the environment, `.env`, and the folder of secrets.

    Raises ConfigurationError for what can't be read or is not trusted.
    """
    yield environment_variables(environment)
    if not environment.get(SETTINGS_VARIABLE):
        from dotenv import dotenv_values  # noqa: PLC0415 - slow to import

        text = read_found_file(".env")
        values = dotenv_values(stream=StringIO(text), interpolate=False)
        yield Variables(".env", {name.upper(): value or "" for name, value in values.items()})
    folder = environment.get(SECRETS_VARIABLE, "")
    if folder:
        yield Variables(f"the secrets in {folder}", _secrets(Path(folder)))


def _secrets(folder: Path) -> dict[str, str]:
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigurationError(
            f"{SECRETS_VARIABLE}={str(folder)!r} can't be read: {error.strerror}"
        ) from None
    return {
        path.name.upper(): read_named_file(str(path), named_by=SECRETS_VARIABLE).rstrip("\r\n")
        for path in files
        if path.is_file()
    }


def find_variable(spec: SettingSpec, places: tuple[Variables, ...]) -> Given | None:
    """Return what variables say of *spec*: Holdfast's own names first, then the borrowed ones."""
    for names in (spec.own_variables, spec.about.borrowed):
        for place in places:
            for name in names:
                if (found := place.find(name)) is not None:
                    return found
    return None


def settings_file(environment: Mapping[str, str]) -> tuple[str, dict[str, object]]:
    """Return the name of the settings file and what it says, {} when there is none.

    Raises ConfigurationError when it can't be read, is not trusted, or is not TOML.
    """
    named = environment.get(SETTINGS_VARIABLE, "")
    path = named or SETTINGS_FILE
    text = read_named_file(path, named_by=SETTINGS_VARIABLE) if named else read_found_file(path)
    try:
        return path, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from None
