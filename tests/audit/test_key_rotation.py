"""A new signing key follows the old one: who trusts either verifies the whole log, and no other."""

from datetime import timedelta

import pytest

from audited_entities import Project, audited_store
from holdfast import open_bucket, open_store
from holdfast.audit import (
    AuditEntry,
    AuditFilter,
    ExportedLog,
    FindingKind,
    Sequencer,
    SignerKey,
    StoreLog,
    exported_lines,
    prune,
    redact,
    verify_log,
)
from holdfast.audit.audit_entry import AUDIT_ENTITIES, AuditCheckpoint
from holdfast.audit.checkpoint_note import read_checkpoint
from holdfast.audit.key_chain import ROTATE
from holdfast.audit.log_keeper import LogKeeper, LogKeeping
from holdfast.domain import RoleBucket
from holdfast.errors import ConfigurationError

pytestmark = pytest.mark.anyio
ORIGIN = "test.example/audit"


@pytest.fixture
def keys():
    return [SignerKey.generate(ORIGIN) for _ in range(4)]


@pytest.fixture
async def memory(clock):
    async with audited_store("memory://", clock=clock) as found:
        yield found


async def rotated(store, keys):
    """A log of two entries by each key, one rotation behind the other."""
    sequencer = Sequencer(store, keys[0], origin=ORIGIN)
    for number, key in enumerate(keys):
        if number:
            await sequencer.rotate(key)
        for part in range(2):
            await store.repository(Project).add(Project(name=f"p{number}-{part}"))
            await sequencer.append()
    return sequencer


async def unsigned(source, key, kept=()):
    found = await verify_log(source, key=key.verifier, kept=kept)
    assert {each.kind for each in found.findings} <= {FindingKind.UNSIGNED}, found.findings
    return len(found.findings)


async def test_each_key_of_the_chain_verifies_the_whole_log_here_and_exported(store, keys):
    await rotated(store, keys[:3])
    await store.repository(Project).add(Project(name="waits while the key changes"))
    await Sequencer(store, keys[2], origin=ORIGIN).rotate(keys[3])
    lines = [line async for line in exported_lines(store)]
    for key in keys:
        assert await unsigned(StoreLog(store), key) == 0
        assert await unsigned(ExportedLog(lines), key) == 0
    assert await unsigned(StoreLog(store), SignerKey.generate(ORIGIN)) > 0


async def test_a_key_counts_for_the_time_in_which_it_was_in_force(memory, keys):
    first, second, third, _ = keys
    sequencer = Sequencer(memory, first, origin=ORIGIN)
    await sequencer.rotate(second)
    await memory.repository(Project).add(Project(name="late"))
    with pytest.raises(ConfigurationError, match="another one follows"):
        await Sequencer(memory, first, origin=ORIGIN).append()
    with pytest.raises(ConfigurationError, match="the same"):
        await sequencer.rotate(second)
    await sequencer.append()
    # Whoever stole the old key signs the end of the log with it, or names a key of his own.
    latest = (await notes(memory))[-1]
    forged = first.sign(read_checkpoint(latest))
    size = read_checkpoint(latest).size
    await memory.repository(AuditCheckpoint).patch(size, AuditCheckpoint.note.to(forged))
    for key in (first, second):
        assert await unsigned(StoreLog(memory), key, kept=[latest]) == 1
    await memory.repository(AuditCheckpoint).patch(size, AuditCheckpoint.note.to(latest))
    assert await unsigned(StoreLog(memory), first) == 0
    both = first.cosign(third.sign(read_checkpoint(latest)))
    assert await unsigned(StoreLog(memory), first, kept=[both]) == 1


async def notes(store):
    return await StoreLog(store).notes()


async def test_a_rotation_is_neither_erased_nor_pruned(memory, keys, clock):
    await rotated(memory, keys[:2])
    clock.forward(hours=1)
    await redact(memory, AuditFilter(verb=ROTATE))
    assert await prune(memory, clock.time + timedelta(seconds=1))
    await Sequencer(memory, keys[1], origin=ORIGIN).run()
    assert await memory.repository(AuditEntry).count(AuditEntry.verb == ROTATE) == 1
    for key in keys[:2]:
        assert await unsigned(StoreLog(memory), key) == 0


async def test_a_store_that_records_no_events_refuses_a_rotation(keys):
    async with open_store("memory://", [*AUDIT_ENTITIES]) as store:
        await store.create_schema()
        with pytest.raises(ConfigurationError, match="no AuditHook"):
            await Sequencer(store, keys[0], origin=ORIGIN).rotate(keys[1])
        assert await notes(store) == []


async def test_a_rotation_that_is_broken_off_is_finished_by_the_next(memory, tmp_path, monkeypatch):
    async with open_bucket("memory://") as bucket:
        keeper = LogKeeper(
            memory, RoleBucket(bucket), LogKeeping(tmp_path / "audit.key", origin=ORIGIN)
        )
        await memory.repository(Project).add(Project(name="north"))
        await keeper.sequence()
        old = keeper.signer()
        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.replace", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await keeper.rotate()
        await memory.repository(Project).add(Project(name="south"))
        with pytest.raises(ConfigurationError, match="another one follows"):
            await keeper.sequence()
        new = await keeper.rotate()
        assert (new, new == old.verifier) == (keeper.signer().verifier, False)
        assert [each.name for each in tmp_path.iterdir()] == ["audit.key"]
        assert await keeper.sequence() == 1
        assert (await keeper.verify()).ok
        assert await memory.repository(AuditEntry).count(AuditEntry.verb == ROTATE) == 1
