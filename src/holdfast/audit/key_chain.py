"""The keys that signed a log one after another, each named by the log and agreed to by both.

A rotation is an entry that names the old key and the new one, and a checkpoint over it that both
have signed. So whoever trusts one of the keys can follow to the others: nobody makes such a
checkpoint who lacks the key that is trusted. A key counts for the sizes at which it was in force
alone, so one that was stolen later signs nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from holdfast.audit.checkpoint_note import VerifierKey
from holdfast.errors import ConfigurationError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.audit.audit_entry import AuditEntry
    from holdfast.audit.checkpoint_note import Checkpoint

ROTATE = "audit.rotate"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A checkpoint, and the note that it was read from."""

    checkpoint: Checkpoint
    note: str


@dataclass(frozen=True, slots=True)
class Rotation:
    """That *new* follows *old*, as the entry at *position* says."""

    position: int
    old: VerifierKey
    new: VerifierKey

    @classmethod
    def read(cls, position: int, entry: AuditEntry) -> Rotation | None:
        """Return what *entry* says, None when it names no keys."""
        try:
            old, new = (
                VerifierKey.read(cast("str", entry.changes[name])) for name in ("from", "to")
            )
        except (ConfigurationError, KeyError, AttributeError):
            return None
        return cls(position, old, new)

    def size(self, notes: Sequence[SignedNote]) -> int | None:
        """Return the size of the first of *notes* by which both keys agreed, None without one."""
        agreed = (
            each.checkpoint.size
            for each in notes
            if each.checkpoint.size > self.position
            and _is_signed(self.old, each.note)
            and _is_signed(self.new, each.note)
        )
        return min(agreed, default=None)


@dataclass(frozen=True, slots=True)
class _Span:
    """The sizes, both included, of the checkpoints for which *key* counts."""

    key: VerifierKey
    first: int
    last: int | None = None


class KeyChain:
    """The keys that follow from one that is trusted, and for which checkpoints each counts."""

    def __init__(
        self, trusted: VerifierKey, rotations: Sequence[Rotation], notes: Sequence[SignedNote]
    ) -> None:
        """*rotations* and *notes* are those of one log: entries and roots that fit its leaves."""
        steps = [
            (rotation, size)
            for rotation in sorted(rotations, key=lambda each: each.position)
            if (size := rotation.size(notes)) is not None
        ]
        self._spans = [_Span(trusted, 0)]
        for rotation, size in steps:
            last = self._spans[-1]
            if rotation.old == last.key and size > last.first:
                self._spans[-1:] = [_Span(last.key, last.first, size), _Span(rotation.new, size)]
        for rotation, size in reversed(steps):
            first = self._spans[0]
            if rotation.new == first.key and (first.last is None or size < first.last):
                self._spans[:1] = [_Span(rotation.old, 0, size), _Span(first.key, size, first.last)]

    def check(self, note: SignedNote) -> None:
        """Raise IntegrityError unless *note* is signed by the key that was in force at its size."""
        size = note.checkpoint.size
        counting = [
            span.key
            for span in self._spans
            if span.first <= size and (span.last is None or size <= span.last)
        ]
        for key in counting[:-1]:
            if _is_signed(key, note.note):
                return
        counting[-1].checkpoint(note.note)


def _is_signed(key: VerifierKey, note: str) -> bool:
    try:
        key.checkpoint(note)
    except IntegrityError:
        return False
    return True
