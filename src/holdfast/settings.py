"""Settings of the platform, from the environment, `.env` and `holdfast.toml`."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from holdfast.errors import ConfigurationError

FILE = "holdfast.toml"


class Settings(BaseSettings):
    """Where everything lies and how work is done.

    Each setting is read from `HOLDFAST_<NAME>`, else from `.env`, else from `holdfast.toml`, in
    that order. Without any, all of it lies in one folder: a SQLite file and the objects.
    """

    model_config = SettingsConfigDict(
        env_prefix="HOLDFAST_", env_file=".env", toml_file=FILE, extra="ignore", frozen=True
    )

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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not read
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put `holdfast.toml` behind the environment and `.env`."""
        toml = TomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, dotenv_settings, toml

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
    _check_file(Path(FILE))
    try:
        return Settings() if data is None else Settings(data=data)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"the setting {name}: {first['msg']}; got {first['input']!r}"
        ) from None
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f".env can't be read: {error}") from None


def _check_file(path: Path) -> None:
    """Raise ConfigurationError when the file *path* is not TOML or names unknown settings."""
    if not path.is_file():
        return
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from None
    unknown = sorted(content.keys() - Settings.model_fields.keys())
    if unknown:
        raise ConfigurationError(
            f"{path}: unknown settings: {', '.join(unknown)}; "
            f"known are: {', '.join(sorted(Settings.model_fields))}"
        )
