"""S3 clients beside one another on one server: CPU, wall time, memory.

python benchmarks/objects.py [--url http://key:secret@127.0.0.1:9000] [--rounds 5] [--quick]

Without a URL, the MinIO that `make services` started. Peers that are not installed are left out.
Each client runs each round in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from objects_sides import AT_ONCE, SIDES, Place, Side, installed, library_of, room_for
from timing import machine, table

SMALL = os.urandom(10_240)
LARGER = os.urandom(102_400)
MIB = 1024 * 1024
HELD = {
    "put 10 KB": "us",
    "get 10 KB": "us",
    "put 100 KB": "us",
    "get 100 KB": "us",
    "list 10,000": "ms",
    "delete 1,000": "ms",
    "up": "ms",
    "down": "ms",
}
TEXT = """\
Each client in a process of its own, {at_once} calls at once for the small ones, medians of {rounds}
rounds. Every client signs the SHA-256 of each body, as it does by default over plain HTTP, but for
the two lines that say otherwise. "Over aiohttp" is Holdfast's driver with aiohttp for its wire.
Holdfast also keeps a SHA-256 with each object and checks it on every get, and the downloaded file
is on the disk when it says so. Lists are taken apart into entries. aiobotocore has no transfers of
its own: parts of 8 MiB, four at once. Memory is the peak of the process during the call over what
it had before.
"""
TARGETS = [  # what, peer, side, at least this ratio of the peer's CPU to the side's
    ("put 10 KB", "obstore", "holdfast", 1.0),
    ("get 10 KB", "obstore", "holdfast", 1.0),
    ("put 10 KB", "boto3", "holdfast", 10.0),
    ("get 10 KB", "boto3", "holdfast", 10.0),
    ("put 10 KB", "holdfast, over aiohttp", "holdfast", 1.5),
    ("get 10 KB", "holdfast, over aiohttp", "holdfast", 1.5),
    ("up", "obstore", "holdfast", 1.0),
    ("up", "obstore, unsigned", "holdfast, unsigned", 1.0),
    ("down", "obstore", "holdfast", 1.0),
]
MEMORY = 16  # MiB more for a large object, at most


async def spread(calls):
    """Await *calls*, functions that give an awaitable, some at once."""
    left = iter(calls)

    async def work():
        for call in left:
            await call()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def one(name: str, place: Place, folder: Path, count: int, listed: int) -> dict[str, object]:
    """What one client takes for everything: (CPU, wall) seconds an operation and MiB more."""
    taken: dict[str, object] = {}

    async def measure(what, run, operations=1):
        before = _memory(fresh=True)
        wall, cpu = time.perf_counter(), time.process_time()
        await run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        taken[what] = (cpu / operations, wall / operations, (_memory() - before) / 1024)

    async with SIDES[name](place) as side:
        await small(side, measure, name, count)

        async def listing():
            assert await side.count("listed/") == listed

        await measure("list 10,000", listing)
        up, down = folder / "up", folder / f"down-{name}"
        await measure("up", lambda: side.up(up, f"{name}/large"))
        await measure("down", lambda: side.down(f"{name}/large", down))
        assert down.stat().st_size == up.stat().st_size
        down.unlink()
        await side.delete([f"{name}/large"])
    return taken


async def small(side: Side, measure, name: str, count: int) -> None:
    keys = [f"{name}/{number}" for number in range(count)]
    await spread([lambda: side.put(f"{name}/warm", SMALL)] * AT_ONCE)
    await spread([lambda: side.get(f"{name}/warm")] * AT_ONCE)

    async def got(key, size):
        assert len(await side.get(key)) == size

    for label, body in (("10 KB", SMALL), ("100 KB", LARGER)):
        puts = [lambda key=key, body=body: side.put(key, body) for key in keys]
        size = len(body)
        gets = [lambda key=key, size=size: got(key, size) for key in keys]
        await measure(f"put {label}", lambda puts=puts: spread(puts), count)
        await measure(f"get {label}", lambda gets=gets: spread(gets), count)
    await measure("delete 1,000", lambda: side.delete(keys))


def _memory(*, fresh: bool = False) -> int:
    """KiB at the peak, since the last *fresh* call where the system can forget the older one."""
    try:
        if fresh:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def prepare(place: Place, listed: int) -> None:
    async with SIDES["holdfast"](place) as side:
        await spread([lambda key=f"listed/{n:05}": side.put(key, b"") for n in range(listed)])


async def remove(place: Place, listed: int) -> None:
    async with SIDES["holdfast"](place) as side:
        await side.delete([f"listed/{n:05}" for n in range(listed)])
        await side.delete([f"{name}/warm" for name in SIDES])


def report(figures: dict[str, list[dict[str, list[float]]]], size: int, rounds: int) -> str:
    def middle(name, what, column):
        return statistics.median(taken[what][column] for taken in figures[name])

    def cell(name, what):
        scale = 1e6 if HELD[what] == "us" else 1e3
        cpu, wall = (middle(name, what, column) * scale for column in (0, 1))
        return f"{cpu:,.0f} ({wall:,.0f})"

    heads = [
        f"{what} {size} MiB, ms" if what in ("up", "down") else f"{what}, {HELD[what]}"
        for what in HELD
    ]
    lines = [
        f"## Objects on S3: {size} MiB up and down, {rounds} rounds\n",
        ", ".join([machine(), *(f"{name} {version(name)}" for name in _libraries(figures))]) + "\n",
        TEXT.format(at_once=AT_ONCE, rounds=rounds),
        table(
            ["CPU (wall)", *heads],
            [[name, *(cell(name, what) for what in HELD)] for name in figures],
        ),
        "",
        table(
            ["MiB more at the peak", f"up {size} MiB", f"down {size} MiB"],
            [
                [name, *(f"{middle(name, what, 2):.0f}" for what in ("up", "down"))]
                for name in figures
            ],
        ),
        "",
    ]
    rows = []
    for what, peer, side, least in TARGETS:
        if peer in figures:
            ratio = statistics.median(
                theirs[what][0] / ours[what][0]
                for theirs, ours in zip(figures[peer], figures[side], strict=True)
            )
            holds = "yes" if ratio >= least else "no"
            rows.append(
                [what, f"{peer} / {side}, CPU", f"at least {least:g}", f"{ratio:.2f}", holds]
            )
    for what in ("up", "down"):
        more = middle("holdfast", what, 2)
        holds = "yes" if more <= MEMORY else "no"
        rows.append([what, "holdfast, MiB more", f"at most {MEMORY}", f"{more:.0f}", holds])
    lines.append(table(["operation", "figure", "target", "measured", "holds"], rows))
    return "\n".join(lines) + "\n"


def _libraries(names) -> list[str]:
    return list(dict.fromkeys(library_of(name) for name in names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="of an S3 server, with its keys")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    count, listed, size = (200, 1000, 64) if asked.quick else (1000, 10_000, 512)
    if asked.one:
        name, url, bucket, folder = asked.one
        taken = asyncio.run(one(name, Place.of(url, bucket), Path(folder), count, listed))
        print(json.dumps(taken), flush=True)
        os._exit(0)  # obstore's threads now and then abort the interpreter's orderly end
    url = asked.url or _running()
    if url is None:
        print("## Objects on S3\n\nSkipped: no MinIO runs; `make services` starts one.\n")
        return
    rounds = 2 if asked.quick else asked.rounds
    place = Place.of(url, f"bench-{uuid4().hex[:12]}")
    figures: dict[str, list[dict[str, list[float]]]] = {name: [] for name in installed()}
    with tempfile.TemporaryDirectory() as folder:
        if not room_for(size * MIB, Path(folder)):
            sys.exit(f"{folder}: less than {4 * size} MiB are free")
        with (Path(folder) / "up").open("wb") as file:
            for _ in range(size):
                file.write(os.urandom(MIB))
        asyncio.run(prepare(place, listed))
        for number in range(rounds):
            names = list(figures)
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                command = [sys.executable, __file__, *(["--quick"] if asked.quick else [])]
                ended = subprocess.run(
                    [*command, "--one", name, url, place.bucket, folder],
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                figures[name].append(json.loads(ended.stdout.splitlines()[-1]))
        asyncio.run(remove(place, listed))
    print(report(figures, size, rounds))


def _running() -> str | None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tools.services.endpoints import endpoints

    found = endpoints().get("minio")
    return found.url if found else None


if __name__ == "__main__":
    main()
