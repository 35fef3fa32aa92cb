"""The commands on the cache: cache get, keys, invalidate, stats."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import console, note, plain, print_facts, print_json
from holdfast.cli.runner import run_with, settings_of
from holdfast.errors import ConfigurationError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from holdfast.cache import Cache

T = TypeVar("T")

cache = typer.Typer(
    name="cache",
    help="Look into the cache of the setting cache, and invalidate what is in it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Url = Annotated[
    str,
    typer.Option(
        "--url", metavar="URL", help="The cache. [default: the setting cache]", show_default=False
    ),
]


@cache.command("get")
def get_value(
    key: Annotated[str, typer.Argument(metavar="KEY")],
    url: Url = "",
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Print the value of KEY as JSON."""

    async def work(opened: Cache[object]) -> None:
        await _answering(opened)
        missing = object()
        found = await opened.get(key, missing)
        if found is missing:
            raise NotFoundError("cache", key)
        print_json(found)

    _run(data, url, work)


@cache.command("keys")
def list_keys(
    pattern: Annotated[
        str, typer.Argument(metavar="[PATTERN]", help="Such as user:*.", show_default=False)
    ] = "*",
    url: Url = "",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List the keys that fit PATTERN, sorted."""

    async def work(opened: Cache[object]) -> None:
        await _answering(opened)
        found = await opened.keys(pattern)
        if as_json:
            print_json(found)
        else:
            for key in found:
                console().print(plain(key))

    _run(data, url, work)


@cache.command("invalidate")
def invalidate(  # noqa: PLR0913, PLR0917 - options of a command
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY...]", show_default=False)
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="All that has it; again for more.")
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="All keys that fit, such as user:*.")
    ] = None,
    url: Url = "",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Invalidate keys, tags, or all keys that fit a pattern; after it no process reads them."""
    if not keys and not tag and pattern is None:
        raise ConfigurationError("invalidate: expected KEY, --tag or --pattern")

    async def work(opened: Cache[object]) -> None:
        await _answering(opened)
        outcome = await opened.invalidate(keys=keys or (), tags=tag or (), pattern=pattern)
        if as_json:
            print_json({"outcome": outcome.value})
        else:
            note(outcome.value)

    _run(data, url, work)


@cache.command("stats")
def stats(
    url: Url = "", data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """Say how the cache answers, and how many keys are in it."""

    async def work(opened: Cache[object]) -> None:
        health = await opened.health()
        facts: dict[str, object] = {
            "backend": opened.backend,
            "namespace": opened.namespace,
            "state": health.state.value,
            "latency": health.latency,
            "detail": health.detail,
        }
        if health.state != "down":
            facts["keys"] = len(await opened.keys("*"))
        if as_json:
            print_json(facts)
        else:
            facts["latency"] = f"{health.latency * 1000:.1f} ms"
            print_facts(facts)

    _run(data, url, work)


def _run(data: Path | None, url: str, work: Callable[[Cache[object]], Awaitable[T]]) -> T:
    from holdfast.cache import open_cache

    address = url or settings_of(data).cache_url
    if address.startswith("memory:"):
        raise ConfigurationError(
            "the cache is in the memory of each process, where no command can look; expected the "
            "URL of a Redis server in the setting cache, or --url"
        )
    return run_with(open_cache(address), work)


async def _answering(opened: Cache[object]) -> None:
    """Raise UnavailableError where the cache's server is away: this process is soon gone."""
    health = await opened.health()
    if health.state == "down":
        raise UnavailableError(f"the cache: {health.detail}")
