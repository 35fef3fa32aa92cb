"""The commands that look after models: export, import, deprecate, delete, verify, gc."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.exit_codes import Exit
from holdfast.cli.model_arguments import Name, Reason, Reference
from holdfast.cli.model_output import registry_of, version_json
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import note, plain, print_json, print_table
from holdfast.cli.runner import look, run
from holdfast.formatting import volume

if TYPE_CHECKING:
    from holdfast.models import MlflowImport, ModelRegistry
    from holdfast.platform import Platform


def export(
    reference: Reference,
    target: Annotated[Path, typer.Argument(help="The new folder, an OCI image layout.")],
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Write a version as an OCI image layout (ModelPack)."""
    from holdfast.models import export_layout

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        version = await registry.resolve(reference)
        digest = await export_layout(registry, version, target)
        if as_json:
            print_json({"digest": digest, "path": str(target)})
        else:
            note(f"{await registry.label(version)} is {digest} in {plain(target)}.")

    look(data, work)


def import_(
    name: Name,
    layout: Annotated[Path, typer.Argument(help="A folder, an OCI image layout of one model.")],
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Register the model in an OCI image layout (ModelPack) as the next version."""
    from holdfast.models import import_layout

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        version = (await import_layout(registry, name, layout)).version
        if as_json:
            print_json(version_json(version))
        else:
            note(f"{await registry.label(version)} registered: sha256:{version.digest}")

    run(data, work)


def import_mlflow_(  # noqa: PLR0913, PLR0917 - options of a command
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A file store of MLflow, such as `mlruns`, or a database's URL."
        ),
    ],
    artifacts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Of a database: a folder, or s3://bucket/prefix, below which files may be.",
        ),
    ] = None,
    proxied: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Where the server keeps `mlflow-artifacts:/`."),
    ] = None,
    workspace: Annotated[str, typer.Option(help="Of a database that has several.")] = "default",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Register the models of an MLflow file store or server's database, each version once."""

    async def imported(registry: ModelRegistry) -> list[MlflowImport]:
        if "://" not in source:
            from holdfast.models import import_mlflow

            return await import_mlflow(registry, Path(source))
        from holdfast.integrations.mlflow.database_import import (
            MlflowArtifacts,
            import_mlflow_database,
        )
        from holdfast.objects import S3Options

        s3 = S3Options(endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL", ""))
        places = MlflowArtifacts(roots=tuple(artifacts or ()), proxied=proxied, s3=s3)
        return await import_mlflow_database(registry, source, places, workspace=workspace)

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        done = await imported(registry)
        labels = await registry.labels([each.version for each in done])
        if as_json:
            print_json(
                [
                    {
                        **version_json(each.version),
                        "label": label,
                        "mlflow": each.label,
                        "created": each.created,
                        "aliases": each.aliases,
                        "left_out": each.left_out,
                    }
                    for label, each in zip(labels, done, strict=True)
                ]
            )
            return
        for label, each in zip(labels, done, strict=True):
            said = "registered" if each.created else "was registered before"
            aliases = f", now {', '.join(each.aliases)}" if each.aliases else ""
            note(plain(f"{each.label}: {label} {said}{aliases}"))
            for left in each.left_out:
                note(plain(f"  left out: {left}"))
        if not done:
            note(f"No version is in {plain(source)}.")

    run(data, work)


def deprecate(
    reference: Reference,
    reason: Reason = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take it back.")] = False,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Let ranges, and the newest, pass a version over."""

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        version = await registry.deprecate(
            await registry.resolve(reference), reason, deprecated=not undo
        )
        if as_json:
            print_json(version_json(version))
        else:
            note(f"{await registry.label(version)} is {'good again' if undo else 'deprecated'}.")

    run(data, work)


def delete(
    reference: Reference, data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """Delete a version that no alias points at and no living job works with."""

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        version = await registry.resolve(reference)
        label = await registry.label(version)
        await registry.delete(version)
        if as_json:
            print_json({"deleted": label})
        else:
            note(f"{label} is deleted; `holdfast models gc` removes its bytes.")

    run(data, work)


def verify(
    reference: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A version; all without.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Read every byte, and list the files that are damaged."""

    async def work(platform: Platform) -> int:
        registry = registry_of(platform)
        version = None if reference is None else await registry.resolve(reference)
        found = [
            (await registry.label(each.version), each.path, each.reason)
            for each in await registry.verify(version)
        ]
        if as_json:
            print_json(
                [dict(zip(("version", "path", "reason"), each, strict=True)) for each in found]
            )
        elif found:
            print_table(("version", "file", "what is wrong"), found, folded=("file",))
        else:
            note("Every byte is as it was registered.")
        return len(found)

    if look(data, work):
        raise typer.Exit(Exit.UNAVAILABLE)


def gc(
    hours: Annotated[
        float, typer.Option(help="Keep what came in the last hours, and may be on its way.")
    ] = 24.0,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Remove bytes that no version names; safe beside registrations."""

    async def work(platform: Platform) -> None:
        done = await registry_of(platform).gc(grace=timedelta(hours=hours))
        if as_json:
            print_json({name: getattr(done, name) for name in done.__slots__})
        else:
            note(f"{done.blobs} blobs ({volume(done.size)}) and {done.strays} strays removed.")

    run(data, work)
