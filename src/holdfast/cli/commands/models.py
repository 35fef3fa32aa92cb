"""The commands of models: register, list, show, resolve, promote, download, compare and more."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from holdfast.cli.commands.model_care import (
    delete,
    deprecate,
    export,
    gc,
    import_,
    import_mlflow_,
    verify,
)
from holdfast.cli.commands.model_signatures import add_bundle, bundles, sign, sign_bundle
from holdfast.cli.model_arguments import Alias, Name, Pair, Reason, Reference
from holdfast.cli.model_output import (
    json_file,
    number_of,
    pairs_of,
    print_move,
    print_versions,
    registry_of,
    version_json,
)
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import (
    fields_of,
    moment,
    note,
    plain,
    print_facts,
    print_json,
    print_table,
)
from holdfast.cli.progress import upload_bar
from holdfast.cli.runner import look, run
from holdfast.formatting import volume

if TYPE_CHECKING:
    from holdfast.platform import Platform

models = typer.Typer(name="models", help="Models: register them, find them, promote them.")


@models.command()
def register(  # noqa: PLR0913, PLR0917 - options of a command
    name: Name,
    path: Annotated[Path, typer.Argument(help="A file, or a folder with all below it.")],
    semantic_version: Annotated[str | None, typer.Option("--version", help="As 2.1.0.")] = None,
    metric: Pair = None,
    tag: Pair = None,
    config: Annotated[
        Path | None, typer.Option(help="The training configuration, a file of JSON.")
    ] = None,
    parent: Annotated[list[str] | None, typer.Option(help="A version it was made from.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="What it was trained on.")] = None,
    description: str | None = None,
    key: Annotated[
        str | None, typer.Option(help="Register once, however often this is run with it.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Register a model as the next version."""
    from holdfast.models import VersionDetails

    details = VersionDetails(
        semantic_version=semantic_version,
        description=description,
        metrics={name: number_of(name, text) for name, text in pairs_of("--metric", metric)},
        tags=dict(pairs_of("--tag", tag)),
        config={} if config is None else json_file(config),
        parents=tuple(parent or ()),
        datasets=tuple(dataset or ()),
    )

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        with upload_bar(path.name, quiet=as_json) as progress:
            made = await registry.register(
                name, path, details, idempotency_key=key, progress=progress
            )
        if as_json:
            print_json({**version_json(made.version), "created": made.created})
        else:
            label = await registry.label(made.version)
            said = "registered" if made.created else "was registered before"
            note(f"{label} {said}: sha256:{made.version.digest}")

    run(data, work)


@models.command("list")
def list_models(  # noqa: PLR0913, PLR0917 - options of a command
    name: Annotated[
        str | None, typer.Argument(help="List the versions of this model alone.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="As 'metrics.mAP >= 0.9' or 'tags.team = vision'.")
    ] = None,
    text: Annotated[str, typer.Option(help="Words of name, description and tags.")] = "",
    order_by: Annotated[
        str | None, typer.Option(help="A number, as metrics.mAP; -metrics.mAP for the best first.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many at most.")] = 50,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List versions, the newest first, or those that fit."""
    from holdfast.models import VersionSearch

    asked = VersionSearch(where=tuple(where or ()), text=text, order_by=order_by, limit=limit)

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        found = await registry.search(asked, name=name)
        if as_json:
            print_json([version_json(version) for version in found])
        elif not found:
            note("No such version: `holdfast models register NAME FILE` makes one.")
        else:
            await print_versions(registry, found)

    look(data, work)


@models.command()
def show(
    reference: Reference, data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """Show a version: its files, metrics, aliases, and what its files say of themselves."""

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        version = await registry.resolve(reference)
        files = await registry.files(version)
        label = await registry.label(version)
        lineage = await registry.lineage(version)
        names = [
            each.name
            for each in await registry.aliases(label.rpartition(":")[0])
            if each.version_id == version.id
        ]
        if as_json:
            listed = [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in files]
            print_json(
                {**version_json(version), "label": label, "aliases": names, "listed": listed}
            )
            return
        facts: dict[str, object] = {
            "version": label,
            "semantic": version.semantic,
            "aliases": ", ".join(names),
            "digest": f"sha256:{version.digest}",
            "size": volume(version.size),
            "registered": moment(version.created_at),
            "by": version.created_by,
            "description": version.description,
            "deprecated": moment(version.deprecated_at),
            "parents": ", ".join(each.label for each in lineage.ancestors if each.steps == 1),
            "datasets": ", ".join(lineage.datasets),
        }
        facts |= {f"metric {key}": value for key, value in version.metrics.items()}
        facts |= {f"tag {key}": value for key, value in version.tags.items()}
        facts |= {f"says {key}": orjson.dumps(said).decode()[:400]
                  for key, said in version.contents.items()}  # fmt: skip
        print_facts({key: value for key, value in facts.items() if value not in {None, ""}})
        print_table(
            ("file", "size", "sha256"),
            [(file.path, volume(file.size), file.sha256) for file in files],
            right=("size",),
            folded=("file",),
        )

    look(data, work)


@models.command()
def resolve(
    reference: Reference,
    at: Annotated[
        datetime | None, typer.Option(help="What it meant then, by this machine's clock.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Print which version a reference means."""

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        version = await registry.resolve(reference, at=None if at is None else at.astimezone())
        if as_json:
            print_json(version_json(version))
        else:
            typer.echo(f"{await registry.label(version)} sha256:{version.digest}")

    look(data, work)


@models.command()
def promote(  # noqa: PLR0913, PLR0917 - options of a command
    reference: Reference,
    alias: Alias,
    gate: Annotated[
        list[str] | None, typer.Option(help="As 'mAP >= 0.9' or 'mAP > current'.")
    ] = None,
    expect: Annotated[
        int | None, typer.Option(help="Only if the alias points at this number; 0 for at none.")
    ] = None,
    reason: Reason = "",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Point an alias at a version."""
    from holdfast.models import AnyVersion

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        move = await registry.promote(
            await registry.resolve(reference),
            alias,
            expected=AnyVersion.ANY if expect is None else expect or None,
            gates=gate or (),
            reason=reason,
        )
        print_move(alias, move, as_json=as_json)

    run(data, work)


@models.command()
def rollback(
    name: Name,
    alias: Alias,
    reason: Reason = "",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Point an alias at what it pointed at before; once more goes one further back."""

    async def work(platform: Platform) -> None:
        move = await registry_of(platform).rollback(name, alias, reason=reason)
        print_move(alias, move, as_json=as_json)

    run(data, work)


@models.command()
def history(
    name: Name,
    alias: Alias,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List the moves of an alias, the last one first."""

    async def work(platform: Platform) -> None:
        moves = await registry_of(platform).history(name, alias)
        if as_json:
            print_json([fields_of(move) for move in moves])
            return
        print_table(
            ("move", "version", "from", "at", "by", "reason"),
            [
                (
                    move.number,
                    move.to_number,
                    move.from_number,
                    moment(move.moved_at),
                    move.actor,
                    f"rollback: {move.reason}" if move.rollback else move.reason,
                )
                for move in moves
            ],
            folded=("reason",),
        )

    look(data, work)


@models.command()
def download(
    reference: Reference,
    target: Annotated[Path, typer.Argument(help="Where to put the file, or the new folder.")],
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Put a version's files at a place, verified, all or none."""

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        version = await registry.resolve(reference)
        with upload_bar(reference, quiet=as_json) as progress:
            place = await registry.download(version, target, progress=progress)
        if as_json:
            print_json({**version_json(version), "path": str(place)})
        else:
            note(f"{await registry.label(version)} is at {plain(place)}.")

    look(data, work)


@models.command()
def compare(
    first: Reference,
    second: Reference,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Print what differs between two versions."""

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        found = await registry.compare(
            await registry.resolve(first), await registry.resolve(second)
        )
        kinds = {kind: getattr(found, kind) for kind in found.__slots__}
        if as_json:
            print_json(kinds)
            return
        rows = [
            (kind, key, *(None if each is None else str(each) for each in pair))
            for kind, pairs in kinds.items()
            for key, pair in pairs.items()
        ]
        if rows:
            print_table(("what", "name", plain(first), plain(second)), rows, folded=("name",))
        else:
            note("Nothing differs.")

    look(data, work)


for _command in (sign, bundles, export, deprecate, delete, verify, gc):
    models.command()(_command)
models.command("sign-bundle")(sign_bundle)
models.command("add-bundle")(add_bundle)
models.command("import")(import_)
models.command("import-mlflow")(import_mlflow_)
