"""Settings of the platform, from the environment, `.env` and `holdfast.toml`."""

from __future__ import annotations

import os
import stat
import tomllib
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from holdfast.errors import ConfigurationError

FILE = "holdfast.toml"
NAMED_BY = "HOLDFAST_SETTINGS"
"""The variable that names the settings file; those of the working folder are then not read."""
_LONGEST = 1 << 20  # characters of a settings file


class Settings(BaseSettings):
    """Where everything lies and how work is done.

    What is not given is read from the environment, `HOLDFAST_<NAME>`. Without any, all of it lies
    in one folder: a SQLite file and the objects. `read_settings` reads the files as well.
    """

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", extra="ignore", frozen=True)

    data: Path = Path("holdfast-data")
    """The folder of the embedded default."""
    store: str = ""
    """The URL of the records; `holdfast.db` in the data folder when empty."""
    bucket: str = ""
    """The URL of the objects; the folder `objects` in the data folder when empty."""
    lease: float = Field(default=15.0, gt=0, le=86_400)
    """Seconds after which a worker that gives no sign of life loses its job."""

    @field_validator("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.absolute()

    @property
    def store_url(self) -> str:
        """The URL of the records, also where none was set."""
        return self.store or f"sqlite:///{quote(str(self.data / 'holdfast.db'))}"

    @property
    def bucket_url(self) -> str:
        """The URL of the objects, also where none was set."""
        return self.bucket or f"file://{quote(str(self.data / 'objects'))}"

    @property
    def work_folder(self) -> Path:
        """Where workers keep what they work on."""
        return self.data / "work"

    @property
    def lease_time(self) -> timedelta:
        """The setting *lease* as a time."""
        return timedelta(seconds=self.lease)


def read_settings(*, data: Path | None = None) -> Settings:
    """Return the settings, with *data* taking precedence. Raises ConfigurationError."""
    named = os.environ.get(NAMED_BY)
    given = _of_toml(named, named=True) if named else _of_toml(FILE) | _of_dotenv(".env")
    set_outside = {name.lower() for name in os.environ}
    given = {name: value for name, value in given.items() if f"holdfast_{name}" not in set_outside}
    if data is not None:
        given["data"] = data
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"the setting {name}: {first['msg']}; got {first['input']!r}"
        ) from None


def _of_dotenv(path: str) -> dict[str, Any]:
    values = dotenv_values(stream=StringIO(_read(path, named=False)), interpolate=False)
    names = {f"holdfast_{name}": name for name in Settings.model_fields}
    return {names[key.lower()]: value for key, value in values.items() if key.lower() in names}


def _of_toml(path: str, *, named: bool = False) -> dict[str, Any]:
    """Return what a file says. Raises ConfigurationError when it is no TOML or says too much."""
    try:
        content = tomllib.loads(_read(path, named=named))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from None
    unknown = sorted(content.keys() - Settings.model_fields.keys())
    if unknown:
        raise ConfigurationError(
            f"{path}: unknown settings: {', '.join(unknown)}; "
            f"known are: {', '.join(sorted(Settings.model_fields))}"
        )
    return content


def _read(path: str, *, named: bool) -> str:
    """Return the text of a file, '' for one of the working folder that is not there.

    A file that was not *named* is read only when it is one's own. Raises ConfigurationError.
    """
    try:
        with open(path, encoding="utf-8", opener=_opened_at_once) as file:
            _check_trusted(path, os.fstat(file.fileno()), named=named)
            return file.read(_LONGEST)
    except FileNotFoundError:
        if not named:
            return ""
        raise ConfigurationError(f"{NAMED_BY}={path!r}: there is no such file") from None
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from None


def _opened_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe without a writer would hold us up


def _check_trusted(path: str, found: os.stat_result, *, named: bool) -> None:
    """Raise ConfigurationError for a file in which somebody else may have put a server's name.

    Keys and passwords go to the servers that settings name.
    """
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{path} is no regular file")
    if named:
        return
    if found.st_uid not in (os.geteuid(), 0):
        reason = f"it belongs to another user (uid {found.st_uid})"
    elif found.st_mode & stat.S_IWOTH:
        reason = "every user may write to it"
    else:
        return
    raise ConfigurationError(
        f"{path} of the working folder is not trusted, for {reason}. Should it be meant, name it: "
        f"{NAMED_BY}={path}"
    )
