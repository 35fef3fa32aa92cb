"""Verifies the archive of a case: every file against its checksum, those against the audit."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import orjson

from holdfast.audit import InclusionProof, VerifierKey, verify_inclusion
from holdfast.audit.log_source import entry_from
from holdfast.errors import ConfigurationError, IntegrityError
from holdfast.media.review.case_archive import ARCHIVED, PROOFS, SUMS, VERIFIER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WINDOW = 1 << 20
_MOST_SUMS = 1 << 20  # bytes of the list of checksums
_LONGEST_LINE = 4 << 20
_PROOF_FILES = frozenset({SUMS, PROOFS, VERIFIER})


@dataclass(slots=True)
class CaseVerification:
    """What was found: *files* that fit their checksum, *entries* that are proved.

    *anchored* tells whether the audit's log has the checksums; *key* is the one by which that was
    verified, None when the archive has no proof. *findings* says what is wrong, one line each.
    """

    files: int = 0
    entries: int = 0
    anchored: bool = False
    key: VerifierKey | None = None
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify_case(path: Path, key: VerifierKey | None = None) -> CaseVerification:
    """Verify the archive at *path*, by *key* or else by the one that is in it.

    A key of the archive's own proves that the parts fit one another; only a key that was had from
    elsewhere proves who made it. It reads as a stream; memory is a window. Raises IntegrityError
    for a file that is no such archive.
    """
    found = CaseVerification()
    try:
        with zipfile.ZipFile(path) as archive:
            sums = _verify_files(archive, found)
            if PROOFS in archive.namelist():
                found.key = key or VerifierKey.read(_small(archive, VERIFIER).decode())
                _verify_entries(archive, found, found.key, sums)
            elif key is not None:
                found.findings.append("the archive has no proof of the audit")
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, OSError) as error:
        raise IntegrityError(f"{str(path)!r} is no archive of a case: {error}") from error
    except ConfigurationError as error:
        raise IntegrityError(f"{str(path)!r}: its verifier key is damaged: {error}") from error
    return found


def _verify_files(archive: zipfile.ZipFile, found: CaseVerification) -> str:
    """Hold each file against its checksum; return the checksum of the list itself."""
    content = _small(archive, SUMS)
    wanted: dict[str, str] = {}
    for line in content.decode().splitlines():
        digest, _, name = line.partition("  ")
        wanted[name] = digest
    names = archive.namelist()
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.findings.append(f"{name}: is there twice")
    for name in names:
        if name not in wanted and name not in _PROOF_FILES:
            found.findings.append(f"{name}: has no checksum")
    for name, digest in wanted.items():
        if name not in names:
            found.findings.append(f"{name}: is missing")
        elif _digest(archive, name) != digest:
            found.findings.append(f"{name}: was changed")
        else:
            found.files += 1
    return hashlib.sha256(content).hexdigest()


def _digest(archive: zipfile.ZipFile, name: str) -> str | None:
    """Return the checksum of a file, None when its bytes can't even be read."""
    digest = hashlib.sha256()
    try:
        with archive.open(name) as file:
            while piece := file.read(_WINDOW):
                digest.update(piece)
    except (zipfile.BadZipFile, EOFError, OSError):
        return None
    return digest.hexdigest()


def _verify_entries(
    archive: zipfile.ZipFile, found: CaseVerification, key: VerifierKey, sums: str
) -> None:
    with archive.open(PROOFS) as file:
        for number, line in enumerate(_lines(file), 1):
            try:
                known = orjson.loads(line)
                entry = entry_from(known["entry"])
                hashes = tuple(bytes.fromhex(each) for each in known["hashes"])
                proof = InclusionProof(known["position"], hashes, known["checkpoint"])
                verify_inclusion(entry, proof, key)
            except (IntegrityError, KeyError, TypeError, ValueError) as error:
                found.findings.append(f"{PROOFS}: line {number}: {error}")
                continue
            found.entries += 1
            if entry.verb == ARCHIVED and (entry.changes or {}).get("sums") == sums:
                found.anchored = True
    if not found.anchored:
        found.findings.append(f"{SUMS}: the audit has no entry of this archive with its checksum")


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(_LONGEST_LINE):
        if not line.endswith(b"\n"):
            raise zipfile.BadZipFile(f"{PROOFS} has a line without an end")
        yield line


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        content = file.read(_MOST_SUMS + 1)
    if len(content) > _MOST_SUMS:
        raise zipfile.BadZipFile(f"{name} is larger than {_MOST_SUMS} bytes")
    return content
