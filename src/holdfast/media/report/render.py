"""Writes a report to disk, whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import StorageError
from holdfast.media.report.contents import ReportOptions
from holdfast.media.report.html import pieces
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from holdfast.media.report.contents import Report


def write_report(
    path: str | os.PathLike[str], report: Report, *, options: ReportOptions | None = None
) -> Path:
    """Write *report* to *path* as one HTML file that loads nothing, and return its full path.

    The file appears whole, replacing what was there, readable by this user alone, and is on the
    disk when this returns; when anything fails nothing changes. Memory is bounded by the page
    without its video.

    StorageError when the disk refuses, MediaError when the annotated video or a picture can't be
    read.
    """
    asked = ReportOptions() if options is None else options
    check_kind(asked, ReportOptions)
    final = Path(path).absolute()
    partial = final.with_name(f".partial-{secrets.token_hex(8)}.html")
    try:
        try:
            with open(
                partial, "x", encoding="utf-8", newline="\n", buffering=1 << 16, opener=_private
            ) as file:
                file.writelines(pieces(report, asked))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(final)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _settle(final.parent)
    except OSError as error:
        raise StorageError(f"the report can't be written to {str(final)!r}: {error}") from error
    return final


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _settle(folder: Path) -> None:
    """Make the new name itself last through a loss of power, where folders can be synced."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
