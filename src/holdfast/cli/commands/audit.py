"""The commands of the audit: audit history, show, verify, sequence, export, redact."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.given_files import given_text, unreadable
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import lately, note, print_json, print_table
from holdfast.cli.runner import look, run
from holdfast.errors import IntegrityError, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.audit import AuditEntry, Verification
    from holdfast.platform import Platform

audit = typer.Typer(name="audit", help="The audit: look, verify, sequence, export, redact.")
EntityName = Annotated[str, typer.Argument(metavar="ENTITY", help="A class, such as Video.")]
RowKey = Annotated[str, typer.Argument(metavar="KEY", help="The row's key.")]


@audit.command()
def history(  # noqa: PLR0913, PLR0917 - options of a command
    entity: Annotated[str | None, typer.Argument(help="A class, such as Video.")] = None,
    key: Annotated[str | None, typer.Argument(help="The row's key.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    request: Annotated[str | None, typer.Option(help="The id of a request.")] = None,
    field: Annotated[str | None, typer.Option(help="A field that changed.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this time on.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 50,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List what happened, the latest first."""

    async def work(platform: Platform) -> Sequence[AuditEntry]:
        from holdfast.audit import AuditFilter
        from holdfast.audit.log_keeper import LogKeeper

        wanted = AuditFilter(
            entity=entity,
            key=key,
            actor=actor,
            request=request,
            field=field,
            since=None if since is None else since.astimezone(),
        )
        found = await platform.service(LogKeeper).log.search(wanted, size=limit)
        if not as_json:
            _table(found.items, platform.store.now())
        return found.items

    entries = look(data, work)
    if as_json:
        print_json([_shown(entry) for entry in entries])


@audit.command()
def show(
    entry: Annotated[int, typer.Argument(metavar="ENTRY", help="The number of an entry.")],
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Show one entry, with the proof that it is in the log."""

    async def work(platform: Platform) -> dict[str, object]:
        from holdfast.audit import inclusion_proof
        from holdfast.audit.log_keeper import LogKeeper

        found = await platform.service(LogKeeper).log.get(entry)
        shown = _shown(found)
        if found.position is not None:
            proof = await inclusion_proof(platform.store, entry)
            hashes = [each.hex() for each in proof.hashes]
            shown["proof"] = {"hashes": hashes, "checkpoint": proof.note}
        return shown

    print_json(look(data, work))


@audit.command()
def verify(  # noqa: PLR0913, PLR0917 - options of a command
    entry: Annotated[int | None, typer.Option(help="One entry alone, by its number.")] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A file with a checkpoint that was kept elsewhere.")
    ] = None,
    exported: Annotated[
        Path | None, typer.Option("--export", help="A file of `audit export`: without the store.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The verifier key, with --export; `audit key` prints it.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Verify the log; what was changed, removed, moved or put in is named; then it exits with 6."""
    kept = [given_text(path) for path in checkpoint or ()]
    if exported is not None:
        found = asyncio.run(_verify_export(exported, key, kept))
    elif entry is not None:
        size = look(data, lambda platform: _verify_entry(platform, entry))
        note(f"The entry {entry} is in the log of {size} leaves, as it was sequenced.")
        return
    else:
        found = look(data, lambda platform: _verify_store(platform, kept))
    _report(found, as_json=as_json)


@audit.command("key")
def show_key(data: Data = None, traceback: Traceback = False) -> None:
    """Print the verifier key, by which others verify checkpoints."""

    async def work(platform: Platform) -> str:
        from holdfast.audit.log_keeper import LogKeeper

        return str(platform.service(LogKeeper).signer().verifier)

    typer.echo(run(data, work))


@audit.command()
def sequence(
    every: Annotated[
        float | None, typer.Option(help="Go on, after so many seconds each time.", min=0.1)
    ] = None,
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Give committed entries their places in the log, sign it, and copy the checkpoints."""

    async def work(platform: Platform) -> None:
        from holdfast.audit.log_keeper import LogKeeper

        keeper = platform.service(LogKeeper)
        while True:
            note(f"{await keeper.sequence()} entries sequenced.")
            if every is None:
                return
            await asyncio.sleep(every)

    run(data, work)


@audit.command("rotate")
def rotate_key(data: Data = None, traceback: Traceback = False) -> None:
    """Make a new signing key; the old one signs that it follows. Print the new verifier key."""

    async def work(platform: Platform) -> str:
        from holdfast.audit.log_keeper import LogKeeper

        return str(await platform.service(LogKeeper).rotate())

    typer.echo(run(data, work))


@audit.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to be made, with all that entries have.")],
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Write the log into a new file that `audit verify --export` verifies anywhere.

    It is there complete, or not at all.
    """
    from holdfast.cli.record_files import written_file

    async def work(platform: Platform) -> int:
        from holdfast.audit import exported_lines

        count = 0
        with written_file(str(file)) as made:
            async for line in exported_lines(platform.store):
                made.write(f"{line}\n".encode())
                count += 1
        return count

    if os.path.lexists(file):
        raise InvalidValueError(repr(str(file)), "", "it is there already; name a new file")
    note(f"{look(data, work)} lines in {file}.")


@audit.command()
def redact(  # noqa: PLR0913, PLR0917 - options of a command
    actor: Annotated[str | None, typer.Option(help="Entries of this actor.")] = None,
    entity: Annotated[str | None, typer.Option(help="Entries about rows of this class.")] = None,
    key: Annotated[str | None, typer.Option(help="Entries about the row under this key.")] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(help="actor, key, reason, request or changes.FIELD; all without."),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the record of it.")] = None,
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Erase what entries say of somebody; the log verifies as before, and tells of the erasure."""

    async def work(platform: Platform) -> int:
        from holdfast.audit import AuditFilter, acting_as
        from holdfast.audit import redact as erase

        with acting_as(reason=reason):
            return await erase(
                platform.store, AuditFilter(actor=actor, entity=entity, key=key), parts=part
            )

    note(f"{run(data, work)} entries were redacted.")


async def _verify_store(platform: Platform, kept: list[str]) -> Verification:
    from holdfast.audit.log_keeper import LogKeeper

    return await platform.service(LogKeeper).verify(kept)


async def _verify_entry(platform: Platform, entry: int) -> int:
    from holdfast.audit import inclusion_proof, verify_inclusion
    from holdfast.audit.log_keeper import LogKeeper

    keeper = platform.service(LogKeeper)
    proof = await inclusion_proof(platform.store, entry)
    return verify_inclusion(await keeper.log.get(entry), proof, keeper.signer().verifier).size


async def _verify_export(exported: Path, key: str | None, kept: list[str]) -> Verification:
    from holdfast.audit import ExportedLog, VerifierKey, verify_log

    verifier = None if key is None else VerifierKey.read(key)
    try:
        with exported.open(encoding="utf-8") as lines:
            return await verify_log(ExportedLog(lines), key=verifier, kept=kept)
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(exported, error) from error


def _report(found: Verification, *, as_json: bool) -> None:
    findings = [
        {
            "kind": each.kind.value,
            "position": each.position,
            "entry": each.entry_id,
            "detail": each.detail,
        }
        for each in found.findings
    ]
    if as_json:
        print_json(
            {
                "ok": found.ok,
                "size": found.size,
                "root": found.root.hex(),
                "entries": found.entries,
                "pruned": found.pruned,
                "waiting": found.waiting,
                "checkpoints": found.checkpoints,
                "findings": findings,
            }
        )
    else:
        print_table(
            ("what", "position", "entry", "detail"),
            [tuple("" if value is None else value for value in each.values()) for each in findings],
        )
        note(
            f"{found.entries} entries and {found.checkpoints} checkpoints of a log of "
            f"{found.size} leaves; {found.waiting} entries wait."
        )
    if not found.ok:
        raise IntegrityError(f"the audit's log does not verify: {len(findings)} findings")


def _table(entries: Sequence[AuditEntry], now: datetime) -> None:
    print_table(
        ("entry", "when", "who", "what", "row", "fields"),
        [
            (
                str(entry.id),
                lately(entry.at, now),
                entry.actor or "",
                entry.verb,
                f"{entry.entity} {entry.key or ''}",
                ", ".join(entry.changes),
            )
            for entry in entries
        ],
    )


def _shown(entry: AuditEntry) -> dict[str, object]:
    return {
        name: getattr(entry, name)
        for name in (
            "id", "at", "actor", "reason", "request", "verb", "entity", "key", "changes",
            "position",
        )
    }  # fmt: skip
