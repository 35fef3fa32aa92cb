"""The commands on objects in a bucket: objects ls, cat, cp, sync, rm, presign."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import (
    ReaderLeftError,
    console,
    moment,
    note,
    plain,
    print_json,
)
from holdfast.cli.progress import upload_bar
from holdfast.cli.runner import data_folder_for, run_with, settings_of
from holdfast.errors import ConfigurationError, InvalidValueError, ObjectNotFoundError
from holdfast.formatting import volume

if TYPE_CHECKING:
    from holdfast.objects import Bucket, ObjectInfo, SyncReport

T = TypeVar("T")

objects = typer.Typer(
    name="objects",
    help="Look at the objects of a bucket, and move them in and out.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

SCHEME = "holdfast://"
_WINDOW = 1 << 18
_PRESIGNED = 900  # seconds

Url = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        help="The bucket. [default: the setting bucket]",
        show_default=False,
    ),
]
Key = Annotated[str, typer.Argument(metavar="KEY", help="An object's key, or holdfast://KEY.")]


@objects.command("ls")
def list_objects(
    prefix: Annotated[
        str, typer.Argument(metavar="[PREFIX]", help="What keys start with.", show_default=False)
    ] = "",
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Go into what looks like folders.")
    ] = False,
    url: Url = "",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List objects, in the order of their keys; what ends in a slash stands for those below it."""

    async def work(bucket: Bucket) -> None:
        listed: list[dict[str, object]] = []
        delimiter = None if recursive else "/"
        async for entry in _listing(bucket, _key(prefix), delimiter):
            if as_json:
                listed.append(_json(entry) if not isinstance(entry, str) else {"prefix": entry})
            elif isinstance(entry, str):
                console().print(f"{'':>10}  {'':19}  {plain(entry)}")
            else:
                size, when = volume(entry.size), moment(entry.modified)
                console().print(f"{size:>10}  {when:19}  {plain(entry.key)}")
        if as_json:
            print_json(listed)

    _run(data, url, work, only_looks=True)


@objects.command("cat")
def print_object(key: Key, url: Url = "", data: Data = None, traceback: Traceback = False) -> None:
    """Write an object's bytes to standard output, checked against their checksum at the end."""

    async def work(bucket: Bucket) -> None:
        async with bucket.open(_key(key)) as reader:
            async for window in reader:
                await asyncio.to_thread(_write_out, window)
        await asyncio.to_thread(_write_out, b"")

    _run(data, url, work, only_looks=True)


@objects.command("cp")
def copy(  # noqa: PLR0913, PLR0917 - options of a command
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="A file, - for standard input, holdfast://KEY.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="A file, - for standard output, holdfast://KEY.")
    ],
    content_type: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="What is stored is said to be. [default: by its name]"),
    ] = None,
    url: Url = "",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Copy one file into the bucket, one object out of it, or one object within it.

    A key that ends in a slash, or a folder, takes the name of what is copied.
    """
    into, out_of = target.startswith(SCHEME), source.startswith(SCHEME)
    if not into and not out_of:
        raise ConfigurationError(
            f"cp {source!r} {target!r}: expected {SCHEME}KEY on one side, or on both"
        )

    async def work(bucket: Bucket) -> None:
        if into and out_of:
            key = _named(_key(target), _key(source))
            info = await bucket.copy(_key(source), key)
        elif into:
            info = await _put(bucket, source, _named(_key(target), source), content_type)
        else:
            info = await _fetch(bucket, _key(source), target)
        if as_json:
            print_json(_json(info))
        elif target != "-":
            note(f"{plain(info.key)} ({volume(info.size)})")

    _run(data, url, work, only_looks=not into)


@objects.command("sync")
def synchronise(  # noqa: PLR0913, PLR0917 - options of a command
    source: Annotated[str, typer.Argument(metavar="FROM", help="A folder, or holdfast://PREFIX.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A folder, or holdfast://PREFIX.")],
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove what FROM does not have.")
    ] = False,
    url: Url = "",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Make TO the same as FROM, one of them a folder here, the other in the bucket."""
    into, out_of = target.startswith(SCHEME), source.startswith(SCHEME)
    if into == out_of:
        raise ConfigurationError(
            f"sync {source!r} {target!r}: expected {SCHEME}PREFIX on one side, and a folder on the "
            "other"
        )

    async def work(bucket: Bucket) -> None:
        if into:
            report = await bucket.sync_up(source, _folder(target), delete=delete)
        else:
            report = await bucket.sync_down(_folder(source), target, delete=delete)
        _say_report(report, as_json=as_json)

    _run(data, url, work, only_looks=not into)


@objects.command("rm")
def remove(
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Keys, or prefixes with -r.")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Remove all that starts with each KEY.")
    ] = False,
    url: Url = "",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Remove objects. Where the bucket keeps versions, these stay."""
    wanted = [_key(key) for key in keys]
    if recursive and "" in wanted:
        raise InvalidValueError("rm", "KEY", "an empty prefix is the whole bucket; name a prefix")

    async def work(bucket: Bucket) -> None:
        found = wanted
        if recursive:
            found = [info.key for each in wanted async for info in bucket.list(each)]
        else:
            for key in wanted:
                if not await bucket.exists(key):
                    raise ObjectNotFoundError(key)
        count = await bucket.delete_many(found)
        if as_json:
            print_json({"removed": count})
        else:
            note(f"{count} removed")

    _run(data, url, work, only_looks=True)


@objects.command("presign")
def presign(  # noqa: PLR0913, PLR0917 - options of a command
    key: Key,
    method: Annotated[
        str, typer.Option(metavar="METHOD", help="GET, HEAD, PUT or DELETE.")
    ] = "GET",
    expires: Annotated[int, typer.Option(metavar="SECONDS", help="For how long.")] = _PRESIGNED,
    url: Url = "",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Print a URL with which anybody may fetch an object, or send it, until it expires."""
    from holdfast.objects import PresignOptions

    options = PresignOptions(
        method=method.upper(),  # type: ignore[arg-type]  # it is checked there
        expires=timedelta(seconds=expires),
    )

    async def work(bucket: Bucket) -> None:
        signed = await bucket.presign(_key(key), options)
        if as_json:
            print_json(
                {
                    "method": signed.method,
                    "url": signed.url,
                    "headers": dict(signed.headers),
                    "expires": signed.expires,
                }
            )
            return
        console().print(signed.url)
        for name, value in signed.headers.items():
            note(f"send the header {plain(name)}: {plain(value)}")

    _run(data, url, work, only_looks=True)


def _run(
    data: Path | None, url: str, work: Callable[[Bucket], Awaitable[T]], *, only_looks: bool
) -> T:
    from holdfast.platform.pillars import ready_bucket

    settings = settings_of(data)
    if not url and not settings.bucket:
        data_folder_for(settings, only_looks=only_looks)
    return run_with(ready_bucket(settings, url or settings.bucket_url), work)


async def _listing(
    bucket: Bucket, prefix: str, delimiter: str | None
) -> AsyncIterator[ObjectInfo | str]:
    from holdfast.objects import CommonPrefix

    if delimiter is None:
        async for info in bucket.list(prefix):
            yield info
        return
    async for entry in bucket.list(prefix, delimiter=delimiter):
        yield entry.prefix if isinstance(entry, CommonPrefix) else entry


async def _put(bucket: Bucket, source: str, key: str, content_type: str | None) -> ObjectInfo:
    if source == "-":
        return await bucket.put(key, _standard_input(), content_type=content_type)
    path = Path(source)
    with upload_bar(path.name, quiet=False) as progress:
        return await bucket.upload(path, key, content_type=content_type, progress=progress)


async def _fetch(bucket: Bucket, key: str, target: str) -> ObjectInfo:
    if target == "-":
        async with bucket.open(key) as reader:
            async for window in reader:
                await asyncio.to_thread(_write_out, window)
            return reader.info
    path = _local_path(target, key)
    with upload_bar(key, quiet=False) as progress:
        return await bucket.download(key, path, progress=progress)


def _local_path(target: str, key: str) -> Path:
    path = Path(target)
    return path / key.rpartition("/")[2] if path.is_dir() else path


async def _standard_input() -> AsyncIterator[bytes]:
    while window := await asyncio.to_thread(sys.stdin.buffer.read, _WINDOW):
        yield window


def _write_out(window: bytes) -> None:
    try:
        sys.stdout.buffer.write(window)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise ReaderLeftError from None


def _key(given: str) -> str:
    return given.removeprefix(SCHEME)


def _folder(given: str) -> str:
    key = _key(given)
    return key if not key or key.endswith("/") else f"{key}/"


def _named(key: str, source: str) -> str:
    """Return *key*, with the name of *source* at its end where it stands for a folder."""
    if key and not key.endswith("/"):
        return key
    if source == "-":
        raise ConfigurationError("what comes from standard input has no name: say the whole key")
    return key + source.rstrip("/").rpartition("/")[2]


def _json(info: ObjectInfo) -> dict[str, object]:
    return {
        "key": info.key,
        "size": info.size,
        "modified": info.modified,
        "content_type": info.content_type,
        "etag": info.etag,
    }


def _say_report(report: SyncReport, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "transferred": report.transferred,
                "deleted": report.deleted,
                "unchanged": report.unchanged,
                "skipped": report.skipped,
            }
        )
        return
    note(
        f"{len(report.transferred)} transferred, {len(report.deleted)} deleted, "
        f"{report.unchanged} unchanged, {len(report.skipped)} left out"
    )
