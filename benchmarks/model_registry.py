"""The registry of models at size: search over 100,000 versions, and a model of 4 GiB.

    python benchmarks/model_registry.py search sqlite:////tmp/models.db
    python benchmarks/model_registry.py search postgresql://... (or mariadb://..., on this machine)
    python benchmarks/model_registry.py large /tmp/models-bench

The first search fills the database. Prints for each search the median of 20 calls, and the CPU time
of one, in this process and in the server's processes or threads that serve it: what it takes where
nothing else runs. And the memory that the large model took.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from timing import peak_memory

from holdfast import open_bucket, open_store
from holdfast.domain import RoleBucket
from holdfast.models import MODEL_ENTITIES, ModelRegistry, VersionDetails, VersionSearch
from holdfast.models.model_entities import (
    ModelVersion,
    RegisteredModel,
    VersionFigure,
    VersionTerm,
)
from holdfast.models.semantic_version import semantic_version
from holdfast.models.version_details import figures_of, terms_of

VERSIONS = 100_000
MODELS = 20
SIZE = 4 << 30
MIB = 1 << 20
CALLS = 20
SEARCHES = {
    "one metric, best first": VersionSearch(
        where=("metrics.mAP >= 0.5",), order_by="-metrics.mAP", limit=20
    ),
    "two metrics and a tag, best first": VersionSearch(
        where=("metrics.mAP >= 0.8", "metrics.ms < 20", "tags.team = t3"),
        order_by="-metrics.mAP",
        limit=20,
    ),
    "a rare metric range": VersionSearch(where=("metrics.mAP >= 0.9999",)),
    "a configuration's value": VersionSearch(
        where=("config.optimizer.lr < 0.001", "config.optimizer.name = adam"), limit=20
    ),
    "a word of one version": VersionSearch(text="run77777"),
    "two wide conditions, newest first": VersionSearch(
        where=("metrics.mAP >= 0.3", "metrics.ms < 80"), limit=20
    ),
}


async def fill(store) -> None:
    chance = random.Random(7)
    models = [RegisteredModel(name=f"m{number}") for number in range(MODELS)]
    await store.repository(RegisteredModel).add_many(models)
    for start in range(0, VERSIONS, 1000):
        versions, figures, terms = [], [], []
        for number in range(start, start + 1000):
            model = models[number % MODELS]
            details = VersionDetails(
                metrics={"mAP": chance.random(), "ms": 100 * chance.random()},
                config={
                    "optimizer": {"name": chance.choice(["adam", "sgd"]), "lr": chance.random()}
                },
                tags={"team": f"t{number % 7}"},
                description=f"run{number}",
            )
            named = semantic_version(f"1.{number // MODELS}.0")
            version = ModelVersion(
                model_id=model.id,
                number=number // MODELS + 1,
                semantic=named.text,
                precedence=named.precedence,
                stable=True,
                digest=f"{number:064x}",
                size=1,
                files=1,
                metrics=dict(details.metrics),
                config=dict(details.config),
                tags=dict(details.tags),
                request_digest="",
            )
            versions.append(version)
            figures += [
                VersionFigure(version_id=version.id, model_id=model.id, name=name, value=value)
                for name, value in figures_of(details).items()
            ]
            terms += [
                VersionTerm(version_id=version.id, model_id=model.id, term=term)
                for term in terms_of(model.name, details)
            ]
        async with store.transaction():
            await store.repository(ModelVersion).add_many(versions)
            await store.repository(VersionFigure).add_many(figures)
            await store.repository(VersionTerm).add_many(terms)


async def search(url: str) -> None:
    with TemporaryDirectory() as folder:
        async with open_store(url, MODEL_ENTITIES) as store, open_bucket("memory://") as bucket:
            await store.create_schema()
            if await store.repository(ModelVersion).count() < VERSIONS:
                began = time.perf_counter()
                await fill(store)
                print(f"filled in {time.perf_counter() - began:.0f} s")
            registry = ModelRegistry(store, RoleBucket(bucket), Path(folder))
            print(f"{VERSIONS} versions of {MODELS} models in {store.backend}")
            within = VersionSearch(where=("metrics.ms < 5",), order_by="-metrics.mAP", limit=20)
            works = {
                **{name: partial(registry.search, asked) for name, asked in SEARCHES.items()},
                "within one model": partial(registry.search, within, name="m3"),
                "resolve m3:^1.4000": partial(registry.resolve, "m3:^1.4000"),
            }
            print("| search | wall | CPU here | CPU of the server | CPU in all |")
            print("|---|---|---|---|---|")
            for name, work in works.items():
                await timed(name, work, url)


async def timed(name, work, url: str) -> None:
    await work()
    taken = []
    here, there = time.process_time(), server_cpu(url)
    for _ in range(CALLS):
        began = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - began)
    here, there = ((after - before) / CALLS for before, after in (
        (here, time.process_time()), (there, server_cpu(url))))  # fmt: skip
    cells = (statistics.median(taken), here, there, here + there)
    print(f"| {name} | " + " | ".join(f"{1000 * cell:.1f} ms" for cell in cells) + " |")


def server_cpu(url: str) -> float:
    """Seconds of CPU of the processes or threads that serve this database, past Holdfast."""
    scheme, name = url.partition(":")[0], url.rpartition("/")[2]
    if scheme == "postgresql":
        import psycopg

        with psycopg.connect(url) as connection:
            asked = (
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
            )
            return sum(cpu_of(pid) for (pid,) in connection.execute(asked, [name]))
    if scheme == "mariadb":
        import pymysql

        parts = urlsplit(url)
        connection = pymysql.connect(
            host=parts.hostname, port=parts.port or 3306, user=parts.username,
            password=unquote(parts.password or ""), ssl_disabled=True,
        )  # fmt: skip
        with connection, connection.cursor() as cursor:
            asked = "SELECT tid FROM information_schema.processlist WHERE db = %s"
            cursor.execute(asked, [name])
            return sum(cpu_of(tid) for (tid,) in cursor.fetchall())
    return 0.0


def cpu_of(task: int) -> float:
    """Seconds of CPU of a process or thread of this machine."""
    try:
        text = Path(f"/proc/{task}/task/{task}/stat").read_text()
    except FileNotFoundError:
        return 0.0
    ticks = sum(map(int, text.rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def sparse(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "large.bin"
    with path.open("wb") as file:
        os.truncate(file.fileno(), SIZE)
    return path


async def large(folder: Path) -> None:
    path = sparse(folder)
    async with (
        open_store("memory://", MODEL_ENTITIES) as store,
        open_bucket(f"file://{folder}/bucket") as bucket,
    ):
        await store.create_schema()
        registry = ModelRegistry(store, RoleBucket(bucket), folder / "cache")
        before = peak_memory()
        version = (await registry.register("large", path)).version
        more = peak_memory() - before
        print(f"registered {version.size / MIB:.0f} MiB: peak memory +{more:.0f} MiB")
        path.unlink()
        local = await registry.local_file(version)
        print(f"downloaded {local.stat().st_size / MIB:.0f} MiB: +{peak_memory() - before:.0f} MiB")
        assert await registry.verify() == []
        most = peak_memory()
        print(f"verified: peak memory +{most - before:.0f} MiB, {most:.0f} MiB in all")


if __name__ == "__main__":
    what, place = sys.argv[1:]
    asyncio.run(search(place) if what == "search" else large(Path(place)))
