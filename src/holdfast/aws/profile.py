"""What a profile in AWS's shared files sets, beside its keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from configparser import RawConfigParser


def read_file(name: str) -> RawConfigParser | None:
    """Return what the file *name* says, None where there is none. Raises ConfigurationError."""
    import configparser  # noqa: PLC0415 - few programs keep their keys in files

    path = Path(name).expanduser()
    parser = configparser.RawConfigParser(default_section="\0")
    try:
        parser.read_string(path.read_text("utf-8"), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from None
    return parser


def profile_settings(environment: Mapping[str, str], service: str) -> dict[str, str]:
    """Return what the profile of *environment* sets for *service*, over what it sets in general.

    It is ``AWS_PROFILE``, else ``default``, in ``AWS_CONFIG_FILE``, else ``~/.aws/config``. What
    is set in a section ``[services name]``, or indented below the service's name, wins.
    """
    parser = read_file(environment.get("AWS_CONFIG_FILE") or "~/.aws/config")
    profile = environment.get("AWS_PROFILE") or "default"
    section = profile if profile == "default" else f"profile {profile}"
    if parser is None or not parser.has_section(section):
        return {}
    settings = dict(parser[section])
    named = f"services {settings.get('services', '')}"
    for nested in (
        settings.get(service, ""),
        parser[named].get(service, "") if parser.has_section(named) else "",
    ):
        for line in nested.splitlines():
            name, equals, value = line.partition("=")
            if equals:
                settings[name.strip().lower()] = value.strip()
    return settings
