"""The command that looks at the installation: doctor."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import platform as machine
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import typer

from holdfast.cli.exit_codes import Exit
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import print_json, print_table
from holdfast.cli.runner import settings_of
from holdfast.errors import HoldfastError
from holdfast.formatting import volume

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.settings import Settings

_LIBRARIES = {
    "sqlalchemy": "",
    "typer": "cli",
    "alembic": "migrations",
    "asyncpg": "postgresql",
    "psycopg": "postgresql",
    "asyncmy": "mariadb",
    "pymysql": "mariadb",
    "cryptography": "mysql",
    "httptools": "s3",
    "hiredis": "redis",
    "fastapi": "fastapi",
    "prometheus-client": "metrics",
    "pyjwt": "oidc",
    "httpx": "oidc",
    "opentelemetry-api": "tracing",
    "av": "media",
    "opencv-python-headless": "media",
    "pyarrow": "media",
}
"""Packages, and the extra that brings each; empty for what every installation has."""

_SCARCE = 1 << 30  # bytes free below which a word is due


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. *advice* says what to do about it."""

    what: str
    state: str
    detail: str
    advice: str = ""


def doctor(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """Say what works here, what is missing, and how to get it."""
    settings = settings_of(data)
    looked_at = asyncio.run(_parts(settings)) + asyncio.run(_login(settings))
    findings = [*_versions(), _space(settings.data), *_job_keys(settings), *looked_at, *_servers()]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_table(
            ("what", "state", "detail", "what to do"),
            [(each.what, each.state, each.detail, each.advice) for each in findings],
        )
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(Exit.UNAVAILABLE)


def _versions() -> list[Finding]:
    found = [
        Finding("Python", "ok", machine.python_version()),
        Finding("holdfast", "ok", version("holdfast")),
    ]
    for name, extra in _LIBRARIES.items():
        try:
            found.append(Finding(name, "ok", version(name)))
        except PackageNotFoundError:
            package = f"holdfast[{extra}]" if extra else "holdfast"
            found.append(Finding(name, "missing", "", f"pip install '{package}'"))
    return found


def _space(folder: Path) -> Finding:
    """Return how much room the disk under *folder*, or under where it will be, has left."""
    rooms = map(_free, (folder, *folder.parents))
    free = next(room for room in rooms if room is not None)
    detail = f"{volume(free)} free for {folder}"
    if free < _SCARCE:
        return Finding("disk", "scarce", detail, "make room, or choose another --data")
    return Finding("disk", "ok", detail)


def _free(place: Path) -> int | None:
    """Return the bytes that are free where *place* is; None where it is not, or nobody may look."""
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None


def _job_keys(settings: Settings) -> list[Finding]:
    """Return how many keys seal jobs; without any there is nothing to say."""
    if not settings.jobs.keys:
        return []
    from holdfast.jobs import JobKeys

    try:
        keys = JobKeys.parse(settings.jobs.keys, current=settings.jobs.current_key)
    except HoldfastError as error:
        return [Finding("job keys", "broken", str(error), "see the setting jobs.keys")]
    return [Finding("job keys", "ok", f"{', '.join(keys.ids)}; {keys.current} seals")]


async def _parts(settings: Settings) -> list[Finding]:
    """Return whether records and objects open; the embedded default is not made for it."""
    from holdfast.platform.pillars import has_data_folder

    try:
        there = has_data_folder(settings)
    except HoldfastError as error:
        found = [Finding("data", "broken", str(error), "see the setting data")]
        found += [await _records(settings, there=True)] if settings.store else []
        found += [await _objects(settings, there=True)] if settings.bucket else []
        return [*found, *await _cache(settings)]
    if not settings.store and not settings.bucket and not there:
        return [Finding("data", "ok", "nothing here yet", "holdfast demo, or holdfast ingest FILE")]
    records, objects = await _records(settings, there=there), await _objects(settings, there=there)
    return [records, objects, *await _cache(settings)]


async def _records(settings: Settings, *, there: bool) -> Finding:
    if not settings.store and settings.storage.type != "memory" and not there:
        return Finding("records", "ok", "nothing here yet")  # and nothing is made for a look
    from holdfast.platform import platform_entities
    from holdfast.platform.pillars import ready_store

    try:
        entities = platform_entities(settings)
        async with ready_store(settings, entities) as store:
            counts = [await store.repository(entity).count() for entity in entities]
    except HoldfastError as error:
        return Finding("records", "broken", str(error), "see the setting store")
    return Finding("records", "ok", f"{sum(counts)} in {len(counts)} tables")


async def _objects(settings: Settings, *, there: bool) -> Finding:
    if not settings.bucket and not there:
        return Finding("objects", "ok", "nothing here yet")
    from holdfast.platform.pillars import ready_bucket

    try:
        async with ready_bucket(settings, settings.bucket_url) as bucket:
            count = 0
            async for _ in bucket.list():
                count += 1
    except HoldfastError as error:
        return Finding("objects", "broken", str(error), "see the setting bucket")
    return Finding("objects", "ok", f"{count} objects")


async def _cache(settings: Settings) -> list[Finding]:
    """Return how a cache on a server answers; one in memory is not worth a word."""
    from holdfast.platform.pillars import ready_cache

    if settings.cache_url.startswith("memory:"):
        return []
    try:
        async with ready_cache(settings) as cache:
            health = await cache.health()
    except HoldfastError as error:
        return [Finding("cache", "broken", str(error), "see the setting cache")]
    if health.state == "down":
        return [Finding("cache", "broken", health.detail, "see the setting cache")]
    return [Finding("cache", "ok", f"{health.latency * 1000:.1f} ms")]


async def _login(settings: Settings) -> list[Finding]:
    """Return what the OpenID provider says of itself; nothing where none is set."""
    from holdfast.settings.backend_options import login_provider

    try:
        provider = login_provider(settings)
        if provider is None:
            return []
        found = await provider.discovery()
    except HoldfastError as error:
        return [Finding("login", "broken", str(error), "see the settings of login")]
    logout = "with logout" if found.end_session else "without logout"
    return [Finding("login", "ok", f"{provider.options.issuer} answers, {logout}")]


def _servers() -> list[Finding]:
    """Return how the test servers of this checkout stand; nothing outside a checkout."""
    if importlib.util.find_spec("tools") is None:
        return []
    if importlib.util.find_spec("tools.services") is None:
        return []
    endpoints = importlib.import_module("tools.services.endpoints")
    return [
        Finding(f"test server {row.name}", row.state, row.url or "", row.how)
        for row in endpoints.rows()
    ]
