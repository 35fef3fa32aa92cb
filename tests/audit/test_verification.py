"""The log proves itself, and whoever writes the database past Holdfast is found out by name."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from audited_entities import Project, audited_store
from holdfast import everything, open_bucket
from holdfast.audit import (
    AuditEntry,
    AuditFilter,
    AuditLog,
    ExportedLog,
    FindingKind,
    Sequencer,
    SignerKey,
    StoreLog,
    VerifierKey,
    acting_as,
    exported_lines,
    inclusion_proof,
    prune,
    redact,
    verify_inclusion,
    verify_log,
)
from holdfast.audit.audit_entry import AuditCheckpoint, AuditHead, AuditTile
from holdfast.audit.checkpoint_export import CheckpointExport
from holdfast.audit.checkpoint_note import read_checkpoint
from holdfast.audit.entry_leaf import erasing
from holdfast.audit.inclusion import consistency_proof, verify_consistency
from holdfast.domain import RoleBucket
from holdfast.errors import (
    ConfigurationError,
    IntegrityError,
    InvalidQueryError,
    NotFoundError,
    ObjectLockedError,
)
from objects.s3_servers import new_name, options_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def written(store, sequencer):
    """Ten entries in two batches, and the checkpoints that somebody kept elsewhere."""
    projects = store.repository(Project)
    for number in range(5):
        with acting_as(f"user{number}", request=f"r{number}"):
            made = await projects.add(Project(name=f"project-{number}", secret="s"))
            await projects.patch(made.id, Project.description.to(f"about-{number}"))
        if number == 1:
            assert (await sequencer.append()).count == 4
    assert (await sequencer.append()).count == 6
    assert await sequencer.append() is None
    return await StoreLog(store).notes()


def kinds(verification):
    return [(each.kind.value, each.position) for each in verification.findings]


async def test_an_untouched_log_verifies_and_tells_what_waits(store, written, signer):
    found = await verify_log(StoreLog(store), key=signer.verifier, kept=written)
    assert found.ok, found.findings
    assert (found.size, found.entries, found.waiting, found.pruned) == (10, 10, 0, 0)
    await store.repository(Project).add(Project(name="late"))
    assert (await verify_log(StoreLog(store))).waiting == 1


async def test_each_entry_is_proved_alone_and_each_checkpoint_begins_the_next(
    store, log, written, signer
):
    for entry in (await log.search()).items:
        proof = await inclusion_proof(store, entry.id)
        assert verify_inclusion(entry, proof, signer.verifier).size == 10
        entry.actor = "mallory"
        with pytest.raises(IntegrityError, match="not what lies at"):
            verify_inclusion(entry, proof, signer.verifier)
    first, second = (signer.verifier.checkpoint(note) for note in written)
    hashes = await consistency_proof(store, first.size, second.size)
    verify_consistency(first, second, hashes)
    with pytest.raises(IntegrityError, match="does not begin"):
        verify_consistency(first, second, hashes[:-1])
    await store.repository(Project).add(Project(name="late"))
    with pytest.raises(NotFoundError):
        await inclusion_proof(store, (await log.search()).items[0].id)


async def at(store, position):
    return await store.repository(AuditEntry).one(AuditEntry.position == position)


async def change(store):
    entry = await at(store, 3)
    await store.repository(AuditEntry).patch(entry.id, AuditEntry.actor.to("mallory"))
    return [("changed", 3, entry.id)]


async def change_a_value(store):
    entry = await at(store, 7)
    await store.repository(AuditEntry).patch(
        entry.id, AuditEntry.changes.to({**entry.changes, "description": [None, "other"]})
    )
    return [("changed", 7, entry.id)]


async def remove(store):
    await store.repository(AuditEntry).delete_where(AuditEntry.position == 5)
    return [("removed", 5, None)]


async def swap(store):
    entries = store.repository(AuditEntry)
    one, two = await at(store, 2), await at(store, 8)
    await entries.patch(one.id, AuditEntry.position.to(None))
    await entries.patch(two.id, AuditEntry.position.to(2))
    await entries.patch(one.id, AuditEntry.position.to(8))
    return [("reordered", 2, one.id), ("reordered", 8, two.id)]


async def close_the_gap(store):
    expected = await remove(store)
    entries = store.repository(AuditEntry)
    for place in range(6, 10):
        entry = await at(store, place)
        await entries.patch(entry.id, AuditEntry.position.to(place - 1))
        expected.append(("reordered", place, entry.id))
    return expected


async def forge(store, position):
    entry = await at(store, 0)
    entry.position, entry.actor = position, "forged"
    entry.id = 10_000
    await store.repository(AuditEntry).add(entry)
    return [("inserted", position, entry.id)]


async def insert(store):
    return await forge(store, 10)


async def insert_where_another_was(store):
    """Which stands where one is gone: the gap is closed and the number of entries right."""
    entries = store.repository(AuditEntry)
    await entries.delete_where(AuditEntry.position == 3)
    moved = await at(store, 5)
    await entries.patch(moved.id, AuditEntry.position.to(3))
    return [("removed", 3, None), ("reordered", 5, moved.id), *await forge(store, 5)]


async def erase_without_a_record(store):
    entry = await at(store, 4)
    values = erasing(entry, {"actor"})
    changes = [getattr(AuditEntry, name).to(value) for name, value in values.items()]
    await store.repository(AuditEntry).patch(entry.id, *changes)
    return [("changed", 4, entry.id)]


TAMPERING = [
    change, change_a_value, remove, swap, close_the_gap, insert, insert_where_another_was,
    erase_without_a_record,
]  # fmt: skip


@pytest.mark.parametrize("tampering", TAMPERING, ids=lambda each: each.__name__)
async def test_a_row_that_was_tampered_with_is_named(store, written, signer, tampering):
    expected = await tampering(store)
    found = await verify_log(StoreLog(store), key=signer.verifier)
    named = [(each.kind.value, each.position, each.entry_id) for each in found.findings]
    assert named == expected
    lines = [line async for line in exported_lines(store)]
    exported = await verify_log(ExportedLog(lines), key=signer.verifier)
    assert exported.findings == found.findings


async def test_a_tail_that_was_cut_off_shows_by_the_checkpoint_that_was_kept(
    store, written, signer
):
    """Entries, tiles, checkpoint and head go back to what they were after the first batch."""
    old = signer.verifier.checkpoint(written[0])
    await store.repository(AuditEntry).delete_where(AuditEntry.position >= 4)
    tile = await store.repository(AuditTile).get_one("0/0")
    await store.repository(AuditTile).patch("0/0", AuditTile.hashes.to(tile.hashes[: 4 * 32]))
    await store.repository(AuditCheckpoint).delete(10)
    await store.repository(AuditHead).patch(1, AuditHead.size.to(4), AuditHead.root.to(old.root))
    assert (await verify_log(StoreLog(store), key=signer.verifier)).ok, "it is a log that once was"
    found = await verify_log(StoreLog(store), key=signer.verifier, kept=written)
    assert kinds(found) == [("truncated", 4)]


async def test_a_table_that_was_replaced_shows_by_the_checkpoint_that_was_kept(
    store, written, signer, tmp_path
):
    """All is written anew, with new leaves and tiles, and even signed by a stolen key."""
    async with open_bucket(f"file://{tmp_path}/kept") as bucket:
        export = CheckpointExport(RoleBucket(bucket, "logs/"))
        assert await export.run(store) == 2
        entries = await store.repository(AuditEntry).find(order_by=AuditEntry.position.asc())
        for entity in (AuditEntry, AuditTile, AuditCheckpoint, AuditHead):
            await store.repository(entity).delete_where(everything())
        for entry in entries:
            entry.position = None
        entries[6].actor = "somebody else"
        await store.repository(AuditEntry).add_many(entries)
        await Sequencer(store, signer, origin="test.example/audit").run(batch=4)
        assert (await verify_log(StoreLog(store), key=signer.verifier)).ok
        kept = await export.notes()
        assert kept == written
        found = await verify_log(StoreLog(store), key=signer.verifier, kept=kept)
        assert kinds(found) == [("replaced", 4)]
        assert "first 10 leaves" in found.findings[0].detail
        named = await verify_log(StoreLog(store, await export.leaves()), kept=kept)
        assert ("changed", 6) in kinds(named)


async def test_a_proof_that_another_key_signed_is_refused_by_who_names_a_key(
    store, log, written, signer
):
    entry = (await log.search()).items[0]
    proof = await inclusion_proof(store, entry.id)
    other = SignerKey.generate(signer.verifier.name)
    forged = replace(proof, note=other.sign(read_checkpoint(proof.note)))
    with pytest.raises(IntegrityError):
        verify_inclusion(entry, forged, signer.verifier)
    assert verify_inclusion(entry, forged) == verify_inclusion(entry, proof, signer.verifier)


async def test_no_proof_is_made_beyond_the_newest_checkpoint(store, log, written):
    entries = {each.position: each.id for each in (await log.search(size=20)).items}
    checkpoints = store.repository(AuditCheckpoint)
    await checkpoints.delete_where(AuditCheckpoint.size > 4)
    assert (await inclusion_proof(store, entries[3])).position == 3
    with pytest.raises(NotFoundError, match=rf"AuditEntry in the log.*{entries[4]}"):
        await inclusion_proof(store, entries[4])
    await checkpoints.delete_where(everything())
    with pytest.raises(NotFoundError, match="AuditEntry in the log"):
        await inclusion_proof(store, entries[0])
    with pytest.raises(NotFoundError, match=r"AuditCheckpoint.*99"):
        await consistency_proof(store, 4, 99)


async def test_damaged_notes_here_and_elsewhere_are_named_beside_a_row_that_was_tampered_with(
    store, written
):
    await store.repository(AuditEntry).update_where(
        AuditEntry.position == 2, changes=[AuditEntry.actor.to("mallory")]
    )
    await store.repository(AuditCheckpoint).patch(4, AuditCheckpoint.note.to("no note"))
    found = await verify_log(StoreLog(store), kept=["nor this"])
    assert kinds(found) == [("unsigned", None), ("unsigned", None), ("changed", 2)]


async def test_another_key_and_a_damaged_note_are_refused(store, written, signer):
    other = SignerKey.generate("test.example/audit")
    found = await verify_log(StoreLog(store), key=other.verifier)
    assert {each.kind for each in found.findings} == {FindingKind.UNSIGNED}
    with pytest.raises(IntegrityError, match="not signed by"):
        other.verifier.checkpoint(written[0])
    lines = written[1].split("\n")
    grown = "\n".join([lines[0], "11", *lines[2:]])
    with pytest.raises(IntegrityError, match="false signature"):
        signer.verifier.checkpoint(grown)
    with pytest.raises(IntegrityError, match="no checkpoint"):
        signer.verifier.checkpoint("nonsense")
    assert VerifierKey.read(str(signer.verifier)) == signer.verifier
    assert SignerKey.read(signer.text()).verifier == signer.verifier
    for wrong in ("", "PRIVATE+KEY+a+00000000+AAAA", signer.text().replace("test", "best")):
        with pytest.raises(ConfigurationError):
            SignerKey.read(wrong)


async def test_a_person_is_erased_and_the_log_still_verifies(
    store, log, written, sequencer, signer
):
    with pytest.raises(InvalidQueryError, match="whole audit"):
        await redact(store, AuditFilter())
    with acting_as("privacy officer", reason="request 17"):
        assert await redact(store, AuditFilter(actor="user3")) == 2
    for line in [line async for line in exported_lines(store)]:
        assert "user3" not in line
        assert "project-3" not in line
        assert "about-3" not in line
    assert (await verify_log(StoreLog(store), key=signer.verifier, kept=written)).ok
    assert await redact(store, AuditFilter(request="r2"), parts=["changes.name"]) == 1
    entry = await at(store, 4)
    assert (entry.actor, "name" in entry.changes) == ("user2", False)
    assert await redact(store, AuditFilter(request="r2"), parts=["actor"]) == 2
    await sequencer.run()
    found = await verify_log(StoreLog(store), key=signer.verifier, kept=written)
    assert found.ok, found.findings
    told = (await log.search(AuditFilter(actor="privacy officer"))).items
    assert [(each.verb, each.reason) for each in told] == [("audit.redact", "request 17")]
    proof = await inclusion_proof(store, entry.id)
    assert verify_inclusion(await at(store, 4), proof, signer.verifier).size == 13


async def test_what_a_retention_removed_is_told_from_what_was_stolen(
    store, written, sequencer, signer, clock
):
    clock.forward(hours=1)
    border = clock.time
    await store.repository(Project).add(Project(name="later"))
    await sequencer.run()
    assert await prune(store, border) == 10
    assert await prune(store, border) == 0
    await sequencer.run()
    found = await verify_log(StoreLog(store), key=signer.verifier, kept=written)
    assert found.ok, found.findings
    assert (found.pruned, found.entries, found.size) == (10, 2, 12)
    lines = [line async for line in exported_lines(store)]
    assert (await verify_log(ExportedLog(lines), key=signer.verifier, kept=written)).ok
    await store.repository(AuditEntry).delete_where(AuditEntry.position == 10)
    assert kinds(await verify_log(StoreLog(store))) == [("removed", 10)]


async def test_an_entry_that_commits_late_is_sequenced_once_when_it_is_there(
    store, sequencer, signer
):
    """Its number is lower than those that were sequenced meanwhile."""
    if store.backend in ("memory", "sqlite"):
        pytest.skip("one transaction writes at a time, so none commits late")
    projects = store.repository(Project)
    inside, done = asyncio.Event(), asyncio.Event()

    async def slow():
        async with store.transaction():
            await projects.add(Project(name="slow"))
            inside.set()
            await done.wait()

    late = asyncio.create_task(slow())
    await inside.wait()
    await projects.add(Project(name="quick"))
    assert await sequencer.run() == 1
    done.set()
    await late
    assert await sequencer.run() == 1
    found = await store.repository(AuditEntry).find(order_by=AuditEntry.position.asc())
    assert [each.changes["name"][1] for each in found] == ["quick", "slow"]
    assert found[0].id > found[1].id
    assert (await verify_log(StoreLog(store), key=signer.verifier)).ok


async def test_many_writers_and_sequencers_at_once_make_one_log(store, signer):
    """No fork, each entry sequenced once: positions have no gap, and every checkpoint fits."""
    projects = store.repository(Project)
    made = (await projects.add_many([Project(name=f"p{n}") for n in range(4)])).entities

    async def writer(number):
        for turn in range(4):
            await projects.patch(made[(number + turn) % 4].id, Project.description.to(f"{number}"))

    async def sequence():
        own = Sequencer(store, signer, origin="test.example/audit")
        for _ in range(5):
            await own.run(batch=7)

    await asyncio.gather(*(writer(number) for number in range(8)), *(sequence() for _ in range(3)))
    await Sequencer(store, signer, origin="test.example/audit").run()
    found = await verify_log(StoreLog(store), key=signer.verifier)
    assert found.ok, found.findings
    assert (found.size, found.waiting) == (4 + 8 * 4, 0)
    for project in made:
        chain = [
            each.changes["version"]
            async for each in store.repository(AuditEntry).stream(
                AuditEntry.key == str(project.id), order_by=AuditEntry.id.asc()
            )
        ]
        assert chain == [[number or None, number + 1] for number in range(len(chain))]


async def test_copies_that_shall_be_locked_are_not_kept_without_locks(store, written):
    async with open_bucket("memory://") as bucket:
        with pytest.raises(Exception, match="lock"):
            await CheckpointExport(RoleBucket(bucket), retention=timedelta(days=1)).run(store)


async def test_locked_copies_convict_who_writes_the_database_and_the_bucket(signer):
    """On MinIO, in a bucket with object locks, which stays: a day is the shortest lock."""
    options = options_of("minio", object_lock=True)
    async with (
        audited_store("memory://") as store,
        open_bucket(new_name(), options=options) as logs,
    ):
        copies = CheckpointExport(RoleBucket(logs, "logs/"), retention=timedelta(days=1))
        sequencer = Sequencer(store, signer, origin="test.example/audit")
        for name in ("north", "south"):
            await store.repository(Project).add(Project(name=name))
            await sequencer.run()
            await copies.run(store)
        notes, leaves = await copies.notes(), await copies.leaves()
        assert len(notes) == len(leaves) == 2
        kept = [each async for each in logs.versions("logs/audit/")]
        assert len(kept) == 4
        for each in kept:
            assert (await logs.admin.lock_of(each.key, version=each.version)).retention is not None
            with pytest.raises(ObjectLockedError):
                await logs.delete(each.key, version=each.version)

        # Markers over some, other bytes over the rest; and the log anew, by the same key.
        await logs.delete_many([each.key for each in kept[::2]])
        for each in kept[1::2]:
            await logs.put(each.key, b"forged")
        assert (await copies.notes(), await copies.leaves()) == (notes, leaves)
        for table in (AuditEntry, AuditTile, AuditHead, AuditCheckpoint):
            await store.repository(table).delete_where(everything())
        for name in ("other", "others"):
            await store.repository(Project).add(Project(name=name))
        await sequencer.run()
        source = StoreLog(store, await copies.leaves())
        found = await verify_log(source, key=signer.verifier, kept=await copies.notes())
        assert FindingKind.CHANGED in {each.kind for each in found.findings}


async def test_the_log_of_an_empty_store_verifies(store, signer):
    found = await verify_log(StoreLog(store), key=signer.verifier)
    assert (found.ok, found.size) == (True, 0)
    assert AuditLog(store)
