"""Output of the commands of models, and what their options say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import typer

from holdfast.cli.output import fields_of, moment, note, print_json, print_table
from holdfast.formatting import volume

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.models import AliasMove, ModelRegistry, ModelVersion
    from holdfast.platform import Platform

_HIDDEN = ("request_key", "request_digest", "precedence")


def registry_of(platform: Platform) -> ModelRegistry:
    """Return the platform's registry."""
    from holdfast.models import ModelRegistry

    return platform.service(ModelRegistry)


def version_json(version: ModelVersion) -> dict[str, object]:
    """Return what `--json` says of *version*."""
    return {name: value for name, value in fields_of(version).items() if name not in _HIDDEN}


async def print_versions(registry: ModelRegistry, found: Sequence[ModelVersion]) -> None:
    """Print *found* as a table."""
    print_table(
        ("version", "semantic", "size", "files", "registered", "metrics"),
        [
            (
                label,
                version.semantic,
                volume(version.size),
                version.files,
                moment(version.created_at),
                ", ".join(f"{name} {value:g}" for name, value in _numbers(version)),
            )
            for version, label in zip(found, await registry.labels(found), strict=True)
        ],
        right=("size", "files"),
        folded=("metrics",),
    )


def _numbers(version: ModelVersion) -> list[tuple[str, float]]:
    return [
        (name, value)
        for name, value in sorted(version.metrics.items())
        if isinstance(value, (int, float))
    ]


def print_move(alias: str, move: AliasMove, *, as_json: bool) -> None:
    """Print where *alias* points after *move*."""
    if as_json:
        print_json(fields_of(move))
        return
    came = "nothing" if move.from_number is None else f"version {move.from_number}"
    note(f"{alias} points at version {move.to_number}, before at {came}.")


def pairs_of(option: str, given: Sequence[str] | None) -> list[tuple[str, str]]:
    """Return the names and values of an *option* that takes NAME=VALUE."""
    found = []
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{option} {text!r}: expected NAME=VALUE")
        found.append((name, value))
    return found


def number_of(name: str, text: str) -> float:
    """Return the value of the metric *name*."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"--metric {name}={text}: expected a number") from None


def json_file(path: Path) -> dict[str, object]:
    """Return the object of JSON in the file at *path*."""
    try:
        content = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise typer.BadParameter(f"--config {str(path)!r}: {error}") from None
    if not isinstance(content, dict):
        raise typer.BadParameter(f"--config {str(path)!r}: expected an object of JSON")
    return content
