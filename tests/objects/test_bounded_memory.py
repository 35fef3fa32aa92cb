"""Memory stays small whatever the size of an object."""

import json
import subprocess
import sys
import textwrap

PROGRAM = textwrap.dedent("""
    import asyncio, json, os, sys
    from pathlib import Path
    import psutil
    from holdfast.objects import open_bucket, sync

    SIZE = 256 * 1024 * 1024
    folder = Path(sys.argv[1])
    process = psutil.Process()
    peak = 0
    seen = []

    def watch(done, total):
        global peak
        peak = max(peak, process.memory_info().rss)
        seen.append((done, total))

    async def in_async(url):
        async with open_bucket(url) as bucket:
            await bucket.upload(folder / "sparse", "big", progress=watch)
            await bucket.download("big", folder / "down", progress=watch)
            async with bucket.open("big") as reader:
                async for chunk in reader:
                    watch(0, 0)

    def in_blocking(url):
        with sync.open_bucket(url) as bucket:
            bucket.upload(folder / "sparse", "big", progress=watch)
            bucket.download("big", folder / "down", progress=watch)

    with (folder / "sparse").open("wb") as file:
        file.truncate(SIZE)
    if sys.argv[2] == "async":
        asyncio.run(in_async(folder / "root"))
    else:
        in_blocking(folder / "root")
    assert (folder / "down").stat().st_size == SIZE
    assert (SIZE, SIZE) in seen
    print(json.dumps(peak))
""")


def peak_of(folder, way):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), way],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_a_large_file_passes_through_100_mebibytes(tmp_path):
    for way in ("async", "blocking"):
        (tmp_path / way).mkdir()
        assert peak_of(tmp_path / way, way) < 100 * 1024 * 1024
