"""Keeps the log of one installation: its key, its sequencer, its copies, its verification."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from holdfast.audit.audit_entry import AuditCheckpoint
from holdfast.audit.audit_log import AuditLog
from holdfast.audit.checkpoint_export import CheckpointExport
from holdfast.audit.checkpoint_note import SignerKey
from holdfast.audit.log_source import StoreLog
from holdfast.audit.object_events import EXPORTER
from holdfast.audit.sequencer import Sequencer
from holdfast.audit.verification import verify_log
from holdfast.domain import RoleBucket
from holdfast.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.audit.checkpoint_note import VerifierKey
    from holdfast.audit.verification import Verification
    from holdfast.domain import DomainParts
    from holdfast.records import Store


@dataclass(frozen=True, slots=True)
class LogKeeping:
    """How the log is kept: the file of its signing key, its name, how long copies are locked."""

    key: Path
    origin: str = "holdfast-audit"
    retention: timedelta | None = None


class LogKeeper:
    """The audit of an installation: `log` to ask, and what keeps its proof.

    Checkpoints and leaf hashes are copied to *place*, a bucket. The signing key is read from its
    file when it is first needed, and made where there is none.
    """

    def __init__(self, store: Store, place: RoleBucket, keeping: LogKeeping) -> None:
        self.store = store
        self.log = AuditLog(store)
        self._keeping = keeping
        bucket = RoleBucket(place.bucket.acting_as(EXPORTER), place.prefix)
        self._copies = CheckpointExport(bucket, retention=keeping.retention)

    @classmethod
    def of(cls, parts: DomainParts) -> Self:
        """Return the keeper of the platform that is made of *parts*."""
        section = parts.section("audit")
        days = cast("float", section.get("retention_days", 0.0))
        keeping = LogKeeping(
            Path(cast("str", section.get("key") or parts.folder.parent / "audit.key")),
            cast("str", section.get("origin", "holdfast-audit")),
            timedelta(days=days) if days else None,
        )
        return cls(parts.store, parts.buckets["logs"], keeping)

    def signer(self) -> SignerKey:
        """Return the signing key, made when its file is not there yet: for its owner alone.

        Raises ConfigurationError for a file that is no key, or open to others, and StorageError.
        """
        return _key_at(self._keeping.key, self._keeping.origin)

    async def rotate(self) -> VerifierKey:
        """Put a new signing key in the place of the one in force, and return what verifies by it.

        The old one signs that the new one follows, and its file is gone. Broken off, it is
        finished by the next call; until then nothing is sequenced. Raises what `Sequencer.rotate`
        raises, and StorageError.
        """
        path, origin = self._keeping.key, self._keeping.origin
        coming = path.with_name(f"{path.name}.next")
        old, new = self.signer(), _key_at(coming, origin)
        last = await self.store.repository(AuditCheckpoint).first(
            order_by=AuditCheckpoint.size.desc()
        )
        if last is None or not new.verifier.is_in_force(last.note):
            await Sequencer(self.store, old, origin=origin).rotate(new)
        try:
            coming.replace(path)
        except OSError as error:
            raise StorageError(f"the audit's key {str(path)!r}: {error.strerror}") from error
        await self._copies.run(self.store)
        return new.verifier

    async def sequence(self) -> int:
        """Sequence what is committed, copy what the bucket lacks, and return how many entries."""
        sequencer = Sequencer(self.store, self.signer(), origin=self._keeping.origin)
        count = await sequencer.run()
        await self._copies.run(self.store)
        return count

    async def verify(self, kept: Iterable[str] = ()) -> Verification:
        """Verify the log against its key, the copies in the bucket, and the *kept* checkpoints."""
        source = StoreLog(self.store, await self._copies.leaves())
        notes = [*await self._copies.notes(), *kept]
        return await verify_log(source, key=self.signer().verifier, kept=notes)


def _key_at(path: Path, origin: str) -> SignerKey:
    """Return the key in the file *path*, made when it is not there yet."""
    named = f"the audit's key {str(path)!r}"
    try:
        return _new_key(path, origin)
    except FileExistsError:
        pass
    except OSError as error:
        raise StorageError(f"{named}: {error.strerror}") from error
    try:
        if path.is_dir():
            raise ConfigurationError(f"{named} is a folder; expected a file, or none yet")
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{named} is open to others: chmod 600 {path}")
        text = path.read_text("ascii", errors="replace")  # what is no ASCII is no key
    except OSError as error:
        raise StorageError(f"{named}: {error.strerror}") from error
    try:
        return SignerKey.read(text)
    except ConfigurationError as error:
        error.add_note(f"that is {named}")
        raise


def _new_key(path: Path, origin: str) -> SignerKey:
    made = SignerKey.generate(origin)
    spare = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(spare, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{made.text()}\n")
            file.flush()
            os.fsync(descriptor)
        os.link(spare, path)  # whole, or not at all; and never over another
    finally:
        spare.unlink()
    return made
