"""What the registry promises: versions, references, promotions, search, downloads, lineage."""

import os
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from holdfast.acting import acting_as
from holdfast.audit import AuditFilter, AuditHook, AuditLog
from holdfast.domain import RoleBucket
from holdfast.errors import (
    DuplicateError,
    GateError,
    IntegrityError,
    InUseError,
    InvalidQueryError,
    InvalidValueError,
    ModelFileError,
    NotFoundError,
    PreconditionFailedError,
)
from holdfast.jobs import Jobs
from holdfast.models import LinkKind, ModelRegistry, VersionDetails, VersionSearch
from holdfast.models.model_tree import ModelFile, digest_of, manifest_of, sha256_of
from holdfast.models.semantic_version import semantic_version
from models.conftest import opened

pytestmark = pytest.mark.anyio


async def register(registry, path, name="vehicles", **details):
    return (await registry.register(name, path, VersionDetails(**details))).version


async def numbers(registry, *where, **search):
    found = await registry.search(VersionSearch(where=where, **search))
    return [version.number for version in found]


async def test_a_folder_is_registered_with_all_below_it_and_comes_back_the_same(
    registry, weights, tmp_path
):
    weights(b"one", "deep/er/weights.bin")
    weights(b"", "empty.txt")
    folder = weights(b"one", "copy.bin").parent
    told = []
    made = await registry.register("vehicles", folder, progress=lambda *each: told.append(each))
    version = made.version
    assert (made.created, version.number, version.files, version.size) == (True, 1, 3, 6)
    assert told[-1] == (6, 6)
    assert [file.path for file in await registry.files(version)] == [
        "copy.bin", "deep/er/weights.bin", "empty.txt",
    ]  # fmt: skip
    objects = [info.key async for info in registry.bucket.list()]
    assert len(objects) == 2, "the same bytes are kept once"
    sha256 = sha256_of(folder / "copy.bin")
    assert any(key.startswith(f"models/sha256/{sha256[:2]}/{sha256}/") for key in objects)
    there = await registry.download(version, tmp_path / "out" / "model")
    assert (there / "deep/er/weights.bin").read_bytes() == b"one"
    assert sorted(each.name for each in there.parent.iterdir()) == ["model"]
    with pytest.raises(ModelFileError, match="already"):
        await registry.download(version, there)


@pytest.mark.parametrize("kind", ["link", "pipe"])
async def test_links_and_special_files_are_refused_by_name(registry, weights, kind):
    folder = weights(b"x").parent
    place = folder / "odd"
    place.symlink_to("/etc/passwd") if kind == "link" else os.mkfifo(place)
    with pytest.raises(ModelFileError, match=r"odd.*(link|neither)"):
        await register(registry, folder)
    if kind == "link":
        with pytest.raises(ModelFileError, match="link"):
            await register(registry, place)
    with pytest.raises(NotFoundError):
        await registry.model("vehicles")


async def test_an_idempotency_key_gives_the_version_that_it_made(registry, weights):
    path = weights(b"x")
    one = await registry.register("vehicles", path, idempotency_key="run-7")
    again = await registry.register("vehicles", path, idempotency_key="run-7")
    assert again.version.id == one.version.id
    assert not again.created
    assert (await registry.register("bicycles", path, idempotency_key="run-7")).created
    with pytest.raises(DuplicateError):
        await registry.register(
            "vehicles", path, VersionDetails(tags={"a": "b"}), idempotency_key="run-7"
        )


async def test_references_mean_what_they_say_now_and_at_a_time(registry, weights, clock):
    path = weights(b"x")
    for semantic in ("1.9.0", "2.1.0", "2.10.0", "2.11.0-rc.1", "3.0.0"):
        await register(registry, path, semantic_version=semantic)
        clock.forward(hours=1)
    start = clock.time
    clock.forward(hours=1)

    async def resolved(reference, **at):
        return (await registry.resolve(reference, **at)).number

    assert [await resolved(f"vehicles{each}") for each in ("", ":latest", ":2", ":2.1.0")] == [
        5, 5, 2, 2,
    ]  # fmt: skip
    assert [await resolved(f"vehicles:{each}") for each in ("^2.1", "~2.1", ">=1.9", "^1")] == [
        3, 2, 5, 1,
    ]  # fmt: skip
    version = await registry.resolve("vehicles:3")
    assert await resolved(f"sha256:{version.digest}") == 5  # the newest with these files
    assert await resolved(f"sha256:{sha256_of(path)}") == 5
    assert await resolved("vehicles:^2.1", at=start - timedelta(hours=4)) == 2
    await registry.promote(version, "prod")
    clock.forward(hours=1)
    await registry.promote(await registry.resolve("vehicles:5"), "prod", reason="better")
    assert await resolved("vehicles@prod") == 5
    assert await resolved("vehicles@prod", at=clock.time - timedelta(minutes=1)) == 3
    for nowhere, at in (("vehicles@prod", start), ("vehicles:^4", None), ("vehicles@test", None)):
        with pytest.raises(NotFoundError):
            await registry.resolve(nowhere, at=at)
    for wrong in ("vehicles:", "vehicles:x", "vehi cles", "vehicles@a@b", "sha256:ab"):
        with pytest.raises(InvalidValueError):
            await registry.resolve(wrong)
    with pytest.raises(DuplicateError):
        await register(registry, path, semantic_version="2.1.0+build.5")


def test_semantic_versions_sort_as_their_standard_says():
    ordered = [
        "0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
        "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-0", "1.0.1", "1.2.0",
        "1.10.0", "10.0.0",
    ]  # fmt: skip
    precedences = [semantic_version(text).precedence for text in ordered]
    assert sorted(precedences) == precedences
    assert len(set(precedences)) == len(ordered)
    for wrong in ("1.0", "01.0.0", "1.0.0-", "1.0.0-01", "v1.0.0", "1.0.0 ", "1" * 200):
        with pytest.raises(InvalidValueError):
            semantic_version(wrong)


async def test_a_gate_refuses_a_version_that_is_not_better_than_the_current_one(registry, weights):
    path = weights(b"x")
    versions = [
        await register(registry, path, metrics=metrics)
        for metrics in ({"mAP": 0.91}, {"mAP": 0.95, "ms": 8}, {"mAP": 0.93}, {})
    ]
    gates = ["mAP >= 0.9", "mAP > current"]
    await registry.promote(versions[0], "prod", gates=gates)
    with acting_as("ada"):
        move = await registry.promote(
            versions[1], "prod", gates=gates, expected=1, reason="night scenes"
        )
    assert (move.actor, move.reason, move.from_number, move.to_number) == (
        "ada", "night scenes", 1, 2,
    )  # fmt: skip
    with pytest.raises(GateError) as refused:
        await registry.promote(versions[2], "prod", gates=[*gates, "ms < 10"])
    assert len(refused.value.refusals) == 2
    for version in versions[3:]:
        with pytest.raises(GateError, match="no metric mAP"):
            await registry.promote(version, "prod", gates=gates)
    with pytest.raises(InvalidQueryError):
        await registry.promote(versions[2], "prod", gates=["mAP is good"])
    with pytest.raises(PreconditionFailedError):
        await registry.promote(versions[2], "prod", expected=None)
    assert (await registry.resolve("vehicles@prod")).number == 2


async def test_a_rollback_goes_back_one_promotion_and_again_one_further(registry, weights):
    path = weights(b"x")
    for _ in range(3):
        await registry.promote(await register(registry, path), "prod")
    reached = [(await registry.rollback("vehicles", "prod")).to_number for _ in range(2)]
    assert reached == [2, 1]
    with pytest.raises(NotFoundError, match="nothing to go back to"):
        await registry.rollback("vehicles", "prod")
    await registry.promote(await registry.resolve("vehicles:3"), "prod")
    assert (await registry.rollback("vehicles", "prod")).to_number == 1
    await registry.withdraw("vehicles", "prod", reason="out of use")
    assert await registry.aliases("vehicles") == []
    with pytest.raises(NotFoundError):
        await registry.resolve("vehicles@prod")
    history = await registry.history("vehicles", "prod")
    assert [(each.to_number, each.rollback) for each in history] == [
        (None, False), (1, True), (3, False), (1, True), (2, True), (3, False), (2, False),
        (1, False),
    ]  # fmt: skip


async def test_an_alias_of_the_same_name_is_each_models_own(registry, weights, clock):
    path = weights(b"x")
    for name in ("vehicles", "bicycles"):
        for _ in range(3):
            version = await register(registry, path, name)
            await registry.promote(version, "prod")
            await registry.promote(version, "another")
            clock.forward(minutes=1)
    await registry.rollback("bicycles", "prod")
    assert await pointed(registry, "bicycles") == [("another", 3), ("prod", 2)]
    assert await pointed(registry, "vehicles") == [("another", 3), ("prod", 3)]
    for name, moves in (("vehicles", [3, 2, 1]), ("bicycles", [2, 3, 2, 1])):
        history = await registry.history(name, "prod")
        assert [each.to_number for each in history] == moves
    start = clock.time - timedelta(minutes=6)
    first = await registry.resolve("vehicles@prod", at=start)
    assert (first.number, (await registry.resolve("bicycles@prod")).number) == (1, 2)
    with pytest.raises(NotFoundError):
        await registry.resolve("bicycles@prod", at=start)
    with pytest.raises(NotFoundError, match=r"ModelAlias.*vehicles@no-such"):
        await registry.rollback("vehicles", "no-such")


async def pointed(registry, name):
    versions = {each.id: each.number for each in await registry.search(VersionSearch())}
    return [(each.name, versions[each.version_id]) for each in await registry.aliases(name)]


async def test_a_version_keeps_all_that_was_said_of_it(registry, weights):
    told = []
    folder = weights(b"12345", "one.bin").parent
    weights(b"123", "two.bin")
    with acting_as("ann"):
        made = await registry.register(
            "vehicles",
            folder,
            VersionDetails(
                semantic_version="1.2.3", description="of the north", metrics={"mAP": 0.5},
                config={"lr": 1}, tags={"camera": "north"},
            ),
            progress=lambda *each: told.append(each),
        )  # fmt: skip
    (kept,) = await registry.search(VersionSearch())
    assert kept.id == made.version.id
    assert (kept.semantic, kept.description, kept.created_by) == ("1.2.3", "of the north", "ann")
    assert (kept.metrics, kept.config, kept.tags) == (
        {"mAP": 0.5}, {"lr": 1}, {"camera": "north"},
    )  # fmt: skip
    assert [moved for moved, _ in told] == sorted(moved for moved, _ in told)
    assert {total for _, total in told} == {8}
    assert told[-1] == (8, 8)
    reason = "r" * 1_000
    assert (await registry.promote(kept, "prod", reason=reason)).reason == reason
    with pytest.raises(InvalidValueError, match=r"AliasMove\.reason.*1000"):
        await registry.promote(kept, "prod", reason=reason + "r")


async def test_search_by_metric_configuration_tag_and_word(registry, weights):
    path = weights(b"x")
    for number, name in enumerate(("vehicles", "people")):
        for step in range(3):
            await register(
                registry,
                path,
                name,
                metrics={"mAP": 0.9 + step / 100, "ms": 10.0 * (number + 1)},
                config={"optimizer": {"name": ("adam", "sgd")[step % 2], "lr": 0.1**step}},
                tags={"team": "vision" if number else "night shift"},
                description=f"Finds {name} at night",
            )
    assert await numbers(registry, "metrics.mAP >= 0.91", "metrics.ms < 15") == [3, 2]
    assert await numbers(registry, "config.optimizer.name = sgd", 'tags.team="night shift"') == [2]
    assert await numbers(registry, "config.optimizer.lr == 1", text="PEOPLE night") == [1]
    assert await numbers(registry, text="night", order_by="-metrics.mAP", limit=2) == [3, 3]
    assert await numbers(registry, order_by="metrics.mAP", limit=3) == [1, 1, 2]
    assert await numbers(registry, text="nothing of it") == []
    only = await registry.search(VersionSearch(order_by="-metrics.mAP"), name="people")
    assert [version.number for version in only] == [3, 2, 1]
    for wrong in ("mAP > 1", "metrics.mAP", "tags.team > a", "metrics.mAP = good", "metrics.a ~ 1"):
        with pytest.raises(InvalidQueryError):
            await numbers(registry, wrong)
    with pytest.raises(InvalidQueryError):
        await numbers(registry, order_by="tags.team")


async def test_search_walks_the_order_when_each_condition_fits_many(registry, weights, monkeypatch):
    monkeypatch.setattr("holdfast.models.version_search._FEW", 2)
    monkeypatch.setattr("holdfast.models.version_search._BATCH", 3)
    path = weights(b"x")
    for step in range(8):
        await register(
            registry, path, metrics={"a": step, "b": 7 - step}, tags={"even": str(step % 2 == 0)}
        )
    assert await numbers(registry, "metrics.a >= 2", "metrics.b >= 2", limit=2) == [6, 5]
    where = ("metrics.a >= 2", "metrics.b >= 2", "tags.even=True")
    assert await numbers(registry, *where, order_by="metrics.a") == [3, 5]
    assert await numbers(registry, order_by="-metrics.b", limit=4) == [1, 2, 3, 4]


async def test_what_is_in_use_is_not_deleted(registry, weights, tmp_path):
    version = await register(registry, weights(b"x"))
    jobs = Jobs(registry.store)
    job_id = (await jobs.enqueue("detect")).job.id
    await registry.promote(version, "prod")
    await registry.use(version, job_id)
    await registry.use(version, job_id)
    with pytest.raises(InUseError) as refused:
        await registry.delete(version)
    assert refused.value.users == ("alias prod", f"job {job_id}")
    await registry.withdraw("vehicles", "prod")
    with pytest.raises(InUseError):
        await registry.delete(version)
    await jobs.cancel(job_id)
    assert await registry.delete(version)
    assert (await registry.gc(grace=timedelta(0))).blobs == 1
    with pytest.raises(NotFoundError, match="deleted"):
        await registry.download(version, tmp_path / "out")
    assert (await register(registry, weights(b"x"))).number == 2, "no number is given twice"


async def test_a_deprecated_version_is_passed_over_where_one_is_chosen(registry, weights):
    path = weights(b"x")
    for semantic in ("1.0.0", "1.1.0"):
        await register(registry, path, semantic_version=semantic)
    newest = await registry.resolve("vehicles:^1")
    await registry.deprecate(newest, "it misses bicycles")
    assert (await registry.resolve("vehicles")).number == 1
    assert (await registry.resolve("vehicles:^1")).number == 1
    assert (await registry.resolve("vehicles:2")).deprecation == "it misses bicycles"
    await registry.deprecate(newest, deprecated=False)
    assert (await registry.resolve("vehicles")).number == 2


async def test_lineage_is_walked_both_ways_and_outlives_a_parent(registry, weights):
    path, job = weights(b"x"), uuid4()
    base = await register(registry, path, "base", datasets=("coco-2017",))
    tuned = await register(registry, path, parents=("base:1",), job_id=job)
    small = await register(registry, path, "small", parents=("vehicles",))
    found = await registry.lineage(small)
    assert [(each.steps, each.label) for each in found.ancestors] == [
        (1, "vehicles:1"),
        (2, "base:1"),
    ]
    below = await registry.lineage(base)
    assert [(each.steps, each.label) for each in below.descendants] == [
        (1, "vehicles:1"), (2, "small:1"),
    ]  # fmt: skip
    assert below.datasets == ("coco-2017",)
    (of_dataset,) = await registry.made_from(LinkKind.DATASET, "coco-2017")
    (of_job,) = await registry.made_from(LinkKind.JOB, str(job))
    assert (of_dataset.id, of_job.id) == (base.id, tuned.id)
    await registry.delete(base)
    (_, gone) = (await registry.lineage(small)).ancestors
    assert (gone.label, gone.version) == ("base:1", None)


async def test_two_versions_are_compared_path_by_path(registry, weights):
    one = await register(
        registry, weights(b"x"), metrics={"mAP": 0.9, "ms": 5}, config={"a": {"b": 1, "c": 2}}
    )
    other = await register(
        registry, weights(b"y"), metrics={"mAP": 0.8, "ms": 5}, config={"a": {"b": 3, "c": 2}}
    )
    found = await registry.compare(one, other)
    assert found.metrics == {"mAP": (0.9, 0.8)}
    assert found.config == {"a.b": (1, 3)}
    assert list(found.files) == ["weights.bin"]
    assert found.tags == {}


async def test_damage_in_the_bucket_and_in_the_cache_is_noticed_and_mended(
    registry, weights, tmp_path
):
    path = weights(b"weights" * 1000)
    version = await register(registry, path)
    cached = await registry.local_file(version)
    assert cached.read_bytes() == path.read_bytes()
    cached.write_bytes(b"rotten!" * 1000)
    assert (await registry.download(version, tmp_path / "m.bin")).read_bytes() == path.read_bytes()
    (key,) = [info.key async for info in registry.bucket.list()]
    await registry.bucket.put(key, b"forged." * 1000)
    (damage,) = await registry.verify()
    assert (damage.version.id, damage.path) == (version.id, "weights.bin")
    cached.unlink()
    with pytest.raises(IntegrityError):
        await registry.local_file(version)
    assert not cached.exists()
    # Another registration of the same bytes puts them back for all who have them.
    await register(registry, path, "again")
    assert await registry.verify() == []
    await registry.bucket.delete(key)
    (damage,) = await registry.verify(version)
    assert "lost" in damage.reason


async def test_a_file_that_was_sent_in_and_never_registered_is_collected_after_a_day(
    registry, clock
):
    clock.time = datetime.now(UTC)
    await registry.bucket.put(registry.upload_key("left"), b"x")
    assert (await registry.gc(grace=timedelta(0))).strays == 0
    clock.forward(hours=25)
    assert (await registry.gc()).strays == 1


async def test_a_file_that_changes_while_it_is_registered_leaves_nothing(
    registry, weights, monkeypatch
):
    path = weights(b"before")

    def changing(local):
        path.write_bytes(b"after!")
        return {}

    monkeypatch.setattr("holdfast.models.registry.read_contents", changing)
    with pytest.raises(IntegrityError, match="changed"):
        await register(registry, path)
    assert [info.key async for info in registry.bucket.list()] == []
    assert (await registry.gc(grace=timedelta(0))).blobs == 0


def test_the_digest_of_a_version_is_that_of_its_manifest(tmp_path):
    files = (ModelFile("b", "1" * 64, 2), ModelFile("a", "0" * 64, 1))
    assert manifest_of(files) == (
        b'{"files":[{"path":"a","sha256":"' + b"0" * 64 + b'","size":1},'
        b'{"path":"b","sha256":"' + b"1" * 64 + b'","size":2}]}'
    )
    assert digest_of(files) == digest_of(files[::-1])


@pytest.mark.parametrize(
    "details",
    [
        {"metrics": {"mAP": float("nan")}},
        {"metrics": {"mAP": True}},
        {"metrics": {"": 1.0}},
        {"tags": {"a": 1}},
        {"tags": {"a\n": "x"}},
        {"config": {"a": object()}},
        {"config": {"a": "x" * 300_000}},
        {"datasets": ("",)},
    ],
    ids=lambda details: next(iter(details)),
)
def test_details_that_cannot_be_kept_are_refused_by_name(details):
    with pytest.raises(InvalidValueError, match=f"ModelVersion.{next(iter(details))}"):
        VersionDetails(**details)


async def test_each_move_of_an_alias_stands_in_the_audit_too(tmp_path, weights):
    async with opened("memory", tmp_path, hooks=[AuditHook()]) as (store, bucket):
        registry = ModelRegistry(store, RoleBucket(bucket, "models/"), tmp_path / "cache")
        version = await register(registry, weights(b"x"))
        with acting_as("ada"):
            await registry.promote(version, "prod", expected=None)
            await registry.promote(await register(registry, weights(b"y")), "prod")
        await registry.rollback("vehicles", "prod")
        with pytest.raises(PreconditionFailedError):
            await registry.promote(version, "prod", expected=2)
        await registry.withdraw("vehicles", "prod")
        entries = (await AuditLog(store).search(AuditFilter(entity="ModelAlias"))).items
        assert [(each.verb, each.key, each.actor) for each in reversed(entries)] == [
            ("model.promoted", "vehicles@prod", "ada"),
            ("model.promoted", "vehicles@prod", "ada"),
            ("model.rolled_back", "vehicles@prod", None),
            ("model.withdrawn", "vehicles@prod", None),
        ]
        assert entries[1].changes == {"from": 2, "to": 1, "digest": version.digest}
