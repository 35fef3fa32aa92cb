"""Verifies a log: every entry against its leaf, the leaves against every checkpoint.

It needs no trust in the store. What was changed, removed, moved or put in is named; what was done
consistently, in every table at once, shows against a checkpoint that was kept elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, cast

from holdfast.audit.checkpoint_note import read_checkpoint
from holdfast.audit.entry_leaf import leaf_of
from holdfast.audit.key_chain import ROTATE, KeyChain, Rotation, SignedNote
from holdfast.audit.merkle_tree import RunningRoot
from holdfast.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

    from holdfast.audit.audit_entry import AuditEntry
    from holdfast.audit.checkpoint_note import Checkpoint, VerifierKey

REDACT = "audit.redact"
PRUNE = "audit.prune"
OWN = (REDACT, PRUNE, ROTATE)
"""Events by which a log is verified: neither erased nor pruned."""


class FindingKind(StrEnum):
    """What is wrong with a log."""

    CHANGED = "changed"
    """An entry is not what its leaf says."""
    REMOVED = "removed"
    """A leaf has no entry, and no record says that it was pruned."""
    REORDERED = "reordered"
    """An entry stands at another place than its leaf."""
    INSERTED = "inserted"
    """An entry has a place in the log, and no leaf."""
    TRUNCATED = "truncated"
    """The log is shorter than a checkpoint says."""
    REPLACED = "replaced"
    """The log is not the one of which a checkpoint tells."""
    UNSIGNED = "unsigned"
    """A checkpoint is missing, damaged, or not signed by the key."""


@dataclass(frozen=True, slots=True)
class LogFinding:
    """One thing that is wrong: with the leaf at *position*, and the entry called *entry_id*."""

    kind: FindingKind
    detail: str
    position: int | None = None
    entry_id: int | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found: nothing, or the *findings*.

    *size* and *root* are those that the leaves make. *entries* are those that were looked at,
    *pruned* the leaves whose entries a retention removed, *waiting* the entries that have no place
    yet, and *checkpoints* those that fitted.
    """

    size: int
    root: bytes
    entries: int
    pruned: int
    waiting: int
    checkpoints: int
    findings: tuple[LogFinding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class LeafPage:
    """Leaves of a log from the place *first* on, and the entries that stand at their places."""

    first: int
    leaves: Sequence[bytes]
    entries: Mapping[int, AuditEntry]


class LogSource(Protocol):
    """Where a log is read from: a store, or a file that was exported."""

    async def head(self) -> tuple[int, bytes]:
        """Return the size and the root that the log itself tells."""
        ...

    async def notes(self) -> list[str]:
        """Return the checkpoints that lie with the log, as signed notes, the smallest first."""
        ...

    def pages(self) -> AsyncIterator[LeafPage]:
        """Yield all leaves in turn."""
        ...

    async def strays(self, size: int) -> list[AuditEntry]:
        """Return the entries whose place is none of the first *size*."""
        ...

    async def waiting(self) -> tuple[int, list[AuditEntry]]:
        """Return how many entries have no place yet, and the audit's own events among them."""
        ...


@dataclass(slots=True)
class _Seen:
    """What came up while the leaves were read."""

    wrong: dict[int, AuditEntry] = field(default_factory=dict)
    found_at: dict[bytes, AuditEntry] = field(default_factory=dict)
    expected: dict[int, bytes] = field(default_factory=dict)
    erased: dict[int, AuditEntry] = field(default_factory=dict)
    told_erased: set[int] = field(default_factory=set)
    rotations: list[Rotation] = field(default_factory=list)
    pruned_before: int = 0
    entries: int = 0


async def verify_log(
    source: LogSource, *, key: VerifierKey | None = None, kept: Iterable[str] = ()
) -> Verification:
    """Return what is wrong with the log of *source*.

    *kept* are checkpoints that were kept elsewhere: with them alone a log is noticed that was cut
    or rewritten as a whole. With a *key* every checkpoint must be signed by it, or by the one
    in its place: from the key on, back and forth, each rotation is followed that both keys signed.
    Every leaf and entry is read once; memory goes with what is wrong, and what was pruned.
    """
    findings: list[LogFinding] = []
    stored, elsewhere = await source.notes(), list(kept)
    inside, outside = _read(stored, findings), _read(elsewhere, findings)
    checkpoints = [each.checkpoint for each in (*inside, *outside)]
    wanted = {each.size for each in checkpoints}
    running, seen = RunningRoot(), _Seen()
    roots = {0: running.root}
    async for page in source.pages():
        for place, leaf in enumerate(page.leaves, page.first):
            _look(seen, place, leaf, page.entries.get(place))
            running.add(leaf)
            if running.size in wanted:
                roots[running.size] = running.root
    waiting, told = await source.waiting()
    for entry in told:
        _note(seen, running.size, entry)
    findings += _about_entries(seen)
    findings += [
        LogFinding(FindingKind.INSERTED, "it has a place that is no leaf's", each.position, each.id)
        for each in await source.strays(running.size)
    ]
    if key is not None:
        fit = [each for each in (*inside, *outside) if _fits(each.checkpoint, roots)]
        chain = KeyChain(key, seen.rotations, fit)
        inside, outside = (_signed(group, chain, findings) for group in (inside, outside))
    signed = [[each.checkpoint for each in group] for group in (inside, outside)]
    checkpoints = [each for group in signed for each in group]
    for group in signed:
        findings += _about_checkpoints(group, running.size, roots)
    if await source.head() != (running.size, running.root):
        findings.append(
            LogFinding(FindingKind.REPLACED, "the log's head is not the end of its leaves")
        )
    if running.size and not any(each.size == running.size for each in checkpoints):
        findings.append(
            LogFinding(FindingKind.UNSIGNED, f"no checkpoint of all {running.size} leaves is there")
        )
    pruned = sum(1 for place in seen.expected if place < seen.pruned_before)
    return Verification(
        running.size,
        running.root,
        seen.entries,
        pruned,
        waiting,
        sum(_fits(each, roots) for each in checkpoints),
        tuple(findings),
    )


def _look(seen: _Seen, place: int, leaf: bytes, entry: AuditEntry | None) -> None:
    """Take note of the *leaf* at a *place*, and of the *entry* that stands there."""
    if entry is None:
        seen.expected[place] = leaf
        return
    seen.entries += 1
    try:
        hashed = leaf_of(entry)
    except IntegrityError:
        hashed = b""
    if hashed != leaf:
        seen.wrong[place] = entry
        seen.expected[place] = leaf
        seen.found_at[hashed] = entry
        return
    if entry.erased is not None:
        seen.erased[entry.id] = entry
    _note(seen, place, entry)


def _note(seen: _Seen, place: int, entry: AuditEntry) -> None:
    """Take note of what *entry*, if it is the audit's own, says of others before its *place*.

    Of keys too, where it has a leaf.
    """
    if entry.verb == ROTATE and entry.position is not None:
        if (rotation := Rotation.read(place, entry)) is not None:
            seen.rotations.append(rotation)
    elif entry.verb == REDACT:
        seen.told_erased.update(cast("Collection[int]", entry.changes.get("entries", ())))
    elif entry.verb == PRUNE:
        through = cast("int", entry.changes.get("before_position", 0))
        seen.pruned_before = max(seen.pruned_before, min(through, place))


def _about_entries(seen: _Seen) -> list[LogFinding]:
    findings: list[LogFinding] = []
    moved: set[int] = set()
    unmatched: dict[int, bytes] = {}
    for place, leaf in seen.expected.items():
        entry = seen.found_at.get(leaf)
        if entry is not None:
            moved.add(entry.id)
            findings.append(
                LogFinding(
                    FindingKind.REORDERED,
                    f"it stands at {entry.position} and belongs at {place}",
                    place,
                    entry.id,
                )
            )
        elif place >= seen.pruned_before or place in seen.wrong:
            unmatched[place] = leaf
    for place, entry in seen.wrong.items():
        if entry.id in moved:
            continue
        if unmatched.pop(place, None) is not None:
            detail = "it is not what was sequenced"
            findings.append(LogFinding(FindingKind.CHANGED, detail, place, entry.id))
        else:
            detail = "it stands at a place whose entry is elsewhere"
            findings.append(LogFinding(FindingKind.INSERTED, detail, place, entry.id))
    findings += [
        LogFinding(
            FindingKind.REMOVED, "its entry is gone, and no record says that it was pruned", at
        )
        for at in unmatched
    ]
    unrecorded = "parts of it were erased, and no record says so"
    findings += [
        LogFinding(FindingKind.CHANGED, unrecorded, each.position, each.id)
        for each in seen.erased.values()
        if each.id not in seen.told_erased
    ]
    return sorted(findings, key=lambda each: each.position or 0)


def _about_checkpoints(
    checkpoints: Sequence[Checkpoint], size: int, roots: Mapping[int, bytes]
) -> list[LogFinding]:
    findings: list[LogFinding] = []
    ordered = sorted(checkpoints, key=lambda each: each.size)
    good = max((each.size for each in ordered if roots.get(each.size) == each.root), default=0)
    for each in ordered:
        if each.size > size:
            detail = f"a checkpoint tells of {each.size} leaves, and {size} are there"
            findings.append(LogFinding(FindingKind.TRUNCATED, detail, size))
        elif roots[each.size] != each.root:
            detail = f"the first {each.size} leaves are not those of a checkpoint"
            if good:
                detail += f"; those before {good} are"
            findings.append(LogFinding(FindingKind.REPLACED, detail, min(good, each.size)))
    return findings


def _fits(checkpoint: Checkpoint, roots: Mapping[int, bytes]) -> bool:
    return roots.get(checkpoint.size) == checkpoint.root


def _signed(
    notes: Iterable[SignedNote], chain: KeyChain, findings: list[LogFinding]
) -> list[SignedNote]:
    """Return those of *notes* that the chain's key for their size has signed."""
    found: list[SignedNote] = []
    for note in notes:
        try:
            chain.check(note)
            found.append(note)
        except IntegrityError as error:
            findings.append(LogFinding(FindingKind.UNSIGNED, str(error)))
    return found


def _read(notes: Iterable[str], findings: list[LogFinding]) -> list[SignedNote]:
    found: list[SignedNote] = []
    for note in notes:
        try:
            found.append(SignedNote(read_checkpoint(note), note))
        except IntegrityError as error:
            findings.append(LogFinding(FindingKind.UNSIGNED, str(error)))
    return found
