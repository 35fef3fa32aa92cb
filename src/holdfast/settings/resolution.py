"""From all places where settings are given to checked `Settings`, with every fault at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from holdfast.errors import ConfigurationError, InvalidSettingsError, SettingFault
from holdfast.mistakes import did_you_mean
from holdfast.settings.backend_options import s3_options
from holdfast.settings.environment import nested
from holdfast.settings.origins import (
    DEFAULT,
    Given,
    Origin,
    find_variable,
    found_variables,
    settings_file,
)
from holdfast.settings.setting_spec import SettingSpec, specs_of
from holdfast.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

SPECS: Mapping[str, SettingSpec] = {spec.path: spec for spec in specs_of(Settings)}
"""Every setting, by its path."""
_PLACES = {also: path for path, spec in SPECS.items() for also in (path, *spec.about.also)}


@dataclass(frozen=True, slots=True)
class ResolvedSettings:
    """Settings, and the origin of each by its path."""

    settings: Settings
    origins: Mapping[str, Origin]


class _GivenSettings(Settings):
    """Settings of what is given alone: the environment was looked at already."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def read_settings(*, data: Path | None = None) -> Settings:
    """Return the settings, with *data* taking precedence; see `resolve_settings`."""
    return resolve_settings(data=data).settings


def resolve_settings(
    *, data: Path | None = None, environment: Mapping[str, str] = os.environ
) -> ResolvedSettings:
    """Return the settings and where each comes from, with *data* taking precedence.

    A setting is taken from the first place that has it: *data*; Holdfast's own variables in
    *environment*, then in `.env`, then among the secret files; the variables of other programs in
    the same places; the settings file; the AWS profile, for region and server. Raises
    InvalidSettingsError, which tells all that is wrong, and ConfigurationError for a file that
    can't be read.
    """
    given, faults = _given(data, environment)
    _prefer_profile(given)
    _ignore_disabled_endpoints(given, environment)
    _add_profile(given, environment)
    values = {path: found.value for path, found in given.items()}
    try:
        settings: Settings = _GivenSettings(**nested(values))  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = {_path_of(each["loc"]): each for each in error.errors(include_url=False)}
        for path, each in wrong.items():
            expected = SPECS[path].about.expected
            reason = f"{expected}: {each['msg']}" if each["type"] in _OWN_REASONS else expected
            faults.append(_fault(SPECS[path], given[path], reason))
            del values[path]
        settings = _GivenSettings(**nested(values))  # type: ignore[arg-type]
    faults += _contradictions(settings, given)
    if faults:
        raise InvalidSettingsError(tuple(faults))
    origins = {path: given[path].origin if path in given else DEFAULT for path in SPECS}
    return ResolvedSettings(settings, origins)


_OWN_REASONS = frozenset({"url", "storage", "keys"})
"""The errors whose message says more than the table can."""


def _given(
    data: Path | None, environment: Mapping[str, str]
) -> tuple[dict[str, Given], list[SettingFault]]:
    places = tuple(found_variables(environment))
    file, content = settings_file(environment)
    written, faults = _flattened(content, file)
    given: dict[str, Given] = {}
    for path, spec in SPECS.items():
        found = find_variable(spec, places) or written.get(path)
        if path == "data" and data is not None:
            found = Given(data, Origin("--data", "the command line"))
        if found is not None:
            given[path] = found
    return given, faults


def _flattened(
    content: Mapping[str, object], file: str, section: str = ""
) -> tuple[dict[str, Given], list[SettingFault]]:
    """Return what the settings file says by path, and what in it is no setting."""
    given: dict[str, Given] = {}
    faults: list[SettingFault] = []
    for name, value in content.items():
        place = f"{section}{name}"
        path = _PLACES.get(place)
        inside = any(each.startswith(f"{place}.") for each in _PLACES)
        if path is not None and not isinstance(value, dict):
            faults += _twice(path, given, {path: Given(value, Origin(place, file))})
            given[path] = Given(value, Origin(place, file))
        elif inside and isinstance(value, dict):
            more, wrong = _flattened(cast("Mapping[str, object]", value), file, f"{place}.")
            faults += [*wrong, *(each for path in more for each in _twice(path, given, more))]
            given |= more
        elif inside:
            faults.append(SettingFault(place, "***", f"a section [{place}]", file))
        else:
            faults.append(SettingFault(place, "...", _known_names(place, path), file))
    return given, faults


def _twice(
    path: str, before: Mapping[str, Given], now: Mapping[str, Given]
) -> Iterator[SettingFault]:
    """Yield a fault where the settings file has the setting at *path* by both of its names."""
    if path in before:
        yield _fault(SPECS[path], now[path], f"it once, not as {before[path].origin.name} too")


def _known_names(place: str, path: str | None) -> str:
    if path is not None:
        return f"{SPECS[path].about.expected}, not a section"
    hint = did_you_mean(place, _PLACES)
    known = ", ".join(sorted({each.partition(".")[0] for each in _PLACES}))
    return f"a known setting{hint} Known are {known}" if hint else f"one of {known}"


def _prefer_profile(given: dict[str, Given]) -> None:
    """Take out the keys of AWS's variables where a profile is named, as AWS's own programs do."""
    if "s3.profile" in given:
        for path in ("s3.access_key", "s3.secret_key", "s3.session_token"):
            if path in given and given[path].origin.name.startswith("AWS_"):
                del given[path]


def _ignore_disabled_endpoints(given: dict[str, Given], environment: Mapping[str, str]) -> None:
    """Take out a server that AWS's variables name where they say to ignore it."""
    found = given.get("s3.endpoint_url")
    if found is not None and found.origin.name.startswith("AWS_") and _ignores(environment):
        del given["s3.endpoint_url"]


def _ignores(values: Mapping[str, str], name: str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") -> bool:
    """Return whether *values* say to ignore the servers that AWS's variables and files name."""
    return values.get(name, "").lower() == "true"


def _add_profile(given: dict[str, Given], environment: Mapping[str, str]) -> None:
    """Add the region and the server that the AWS profile sets, where a bucket on S3 is used."""
    if not any(_on_s3(given.get(path)) for path in _BUCKETS):
        return
    from holdfast.aws.profile import profile_settings  # noqa: PLC0415 - for S3 alone

    named = given.get("s3.profile")
    profile = str(named.value) if named is not None else environment.get("AWS_PROFILE", "")
    settings = profile_settings({**environment, "AWS_PROFILE": profile}, "s3")
    ignored = _ignores(environment) or _ignores(settings, "ignore_configured_endpoint_urls")
    place = f"the AWS profile {profile or 'default'!r}"
    for path, name in (("s3.region", "region"), ("s3.endpoint_url", "endpoint_url")):
        value = settings.get(name, "")
        if path not in given and value and not (ignored and name == "endpoint_url"):
            given[path] = Given(value, Origin(name, place))


_BUCKETS = ("bucket", "objects.video_bucket", "objects.models_bucket", "objects.logs_bucket")


def _on_s3(found: Given | None) -> bool:
    return found is not None and not str(found.value).startswith(("file:", "memory:"))


def _contradictions(settings: Settings, given: Mapping[str, Given]) -> Iterator[SettingFault]:
    """Yield what is wrong between settings that are right one by one."""
    s3 = settings.s3
    for path, other in (("s3.access_key", "s3.secret_key"), ("s3.secret_key", "s3.access_key")):
        if path in given and other not in given:
            names = " or ".join((SPECS[other].variable, *SPECS[other].about.borrowed))
            yield _fault(SPECS[path], given[path], f"{names} beside it")
    access, secret = given.get("s3.access_key"), given.get("s3.secret_key")
    if access and secret and _owner(access) != _owner(secret):
        yield _fault(
            SPECS["s3.secret_key"], secret, f"both halves of one key; {access.origin} is the other"
        )
    endpoint = given.get("s3.endpoint_url")
    if (
        endpoint is not None
        and endpoint.origin.name == "MINIO_ENDPOINT"
        and s3.endpoint_url
        and not any(path in given for path in _BUCKETS)
    ):
        yield _fault(
            SPECS["s3.endpoint_url"], endpoint, "a bucket on it, as MINIO_DEFAULT_BUCKET names one"
        )
    yield from _without_its_key(settings, given)
    if settings.redis.notify and settings.cache_url.startswith("memory:"):
        place = given["redis.notify"]
        yield _fault(SPECS["redis.notify"], place, "false, as the cache is in memory")
    kind = settings.storage.type
    if kind == "sql" and settings.store.startswith(("memory:", "dynamodb:")):
        yield _fault(SPECS["store"], given["store"], "a database's URL, as storage.type is 'sql'")
    if kind == "dynamodb" and settings.store and not settings.store.startswith("dynamodb:"):
        yield _fault(SPECS["store"], given["store"], "dynamodb://, as storage.type is 'dynamodb'")
    if not any(_on_s3(given.get(path)) for path in _BUCKETS):
        return
    try:
        s3_options(settings)
    except ConfigurationError as error:
        yield SettingFault("s3", "...", f"options that S3 takes: {error}", "the section [s3]")


def _without_its_key(settings: Settings, given: Mapping[str, Given]) -> Iterator[SettingFault]:
    """Yield a fault where it is not known which of the keys seals jobs."""
    keys, spec = SPECS["jobs.keys"], SPECS["jobs.current_key"]
    found = given.get("jobs.current_key")
    if not settings.jobs.keys:
        if found is not None and "jobs.keys" not in given:
            yield _fault(spec, found, f"{keys.variable} beside it")
        return
    from holdfast.jobs.sealing_keys import current_id, parse_keys  # noqa: PLC0415 - slow to import

    try:
        current_id(parse_keys(settings.jobs.keys), settings.jobs.current_key)
    except ConfigurationError as error:
        missing = Given("", Origin(spec.variable, given["jobs.keys"].origin.place))
        yield _fault(spec, found or missing, str(error))


def _owner(found: Given) -> str:
    """Return whose name a value was given by: HOLDFAST, MINIO, AWS; the settings file is ours."""
    family = found.origin.name.partition("_")[0]
    return family if family in ("AWS", "MINIO") else "HOLDFAST"


def _path_of(location: tuple[int | str, ...]) -> str:
    """Return the path of the setting in which *location* is."""
    parts = [str(part) for part in location]
    return next(
        path for count in range(len(parts), 0, -1) if (path := ".".join(parts[:count])) in SPECS
    )


def _fault(spec: SettingSpec, found: Given, expected: str) -> SettingFault:
    return SettingFault(found.origin.name, spec.show(found.value), expected, found.origin.place)
