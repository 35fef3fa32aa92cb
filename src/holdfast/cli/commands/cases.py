"""The commands of cases: cases list, export, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import fields_of, lately, note, print_json, print_table
from holdfast.cli.runner import look, run
from holdfast.errors import IntegrityError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.media.review.case_verification import CaseVerification
    from holdfast.media.review.review_entities import ReviewCase
    from holdfast.platform import Platform

cases = typer.Typer(name="cases", help="Cases: list, export as an archive, verify one.")
_MOST = 200


@cases.command("list")
def list_cases(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List the newest cases."""

    async def work(platform: Platform) -> Sequence[ReviewCase]:
        from holdfast.media.review.review_entities import ReviewCase

        found = await platform.store.repository(ReviewCase).find(
            order_by=ReviewCase.created_at.desc(), load=[ReviewCase.project], limit=_MOST
        )
        if not as_json:
            now = platform.store.now()
            rows = [
                (str(each.id), each.project.name, each.title, each.opened_by,
                 lately(each.created_at, now))
                for each in found
            ]  # fmt: skip
            if rows:
                print_table(("id", "project", "title", "opened by", "when"), rows)
            else:
                note("No cases: they are opened in the console, or by the API.")
        return found

    found = look(data, work)
    if as_json:
        print_json(
            [
                {name: value for name, value in fields_of(each).items() if name != "project"}
                for each in found
            ]
        )


@cases.command()
def export(
    case: Annotated[UUID, typer.Argument(metavar="CASE", help="The case's id.")],
    output: Annotated[Path, typer.Argument(help="The archive to be written.")],
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Write a case as one archive, with checksums and the audit's proof; it is recorded."""

    async def work(platform: Platform) -> None:
        from holdfast.acting import acting
        from holdfast.media.review.case_archive import CaseArchive, keeper_in
        from holdfast.media.review.review_entities import ReviewCase

        archive = CaseArchive(platform.library, keeper_in(platform.parts))
        found = await platform.store.repository(ReviewCase).get_one(case)
        content = await archive.write(found, by=acting().actor or "command line")
        unfinished = output.with_name(f".{output.name}.partial")
        try:
            with unfinished.open("wb") as file:
                async for piece in content:
                    file.write(piece)
            unfinished.replace(output)
        except OSError as error:
            raise StorageError(f"{str(output)!r} can't be written: {error.strerror}") from error
        finally:
            unfinished.unlink(missing_ok=True)
        note(f"{output}: {output.stat().st_size} bytes")

    run(data, work)


@cases.command()
def verify(
    archive: Annotated[Path, typer.Argument(help="The archive of a case.")],
    key: Annotated[
        str | None,
        typer.Option(help="The verifier key that you had from elsewhere; see `audit key`."),
    ] = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Verify an archive: every file, and that the audit's log has its checksums."""
    from holdfast.audit import VerifierKey
    from holdfast.media.review.case_verification import verify_case

    found = verify_case(archive, None if key is None else VerifierKey.read(key))
    if as_json:
        print_json(
            {
                "ok": found.ok,
                "files": found.files,
                "entries": found.entries,
                "anchored": found.anchored,
                "key": None if found.key is None else str(found.key),
                "findings": found.findings,
            }
        )
    else:
        _tell(found, given=key is not None)
    if not found.ok:
        raise IntegrityError(f"{archive}: {len(found.findings)} findings")


def _tell(found: CaseVerification, *, given: bool) -> None:
    for finding in found.findings:
        note(finding)
    note(
        f"{found.files} files fit their checksums, {found.entries} entries of the audit are proved"
    )
    if found.key is None:
        note("The archive has no proof: the audit was off where it was made.")
    elif not given:
        note(
            f"Verified by the key in the archive itself; compare it with one you trust: {found.key}"
        )
