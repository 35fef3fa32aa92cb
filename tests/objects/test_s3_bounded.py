"""Memory stays small whatever goes up to a real server and comes down.

HOLDFAST_TEST_LARGE_MIB says how much: 4096 is the promise, the default is quick.
"""

import json
import os
import subprocess
import sys
import textwrap

from holdfast.objects import sync
from objects.s3_servers import new_name, options_of, remove

SIZE = int(os.environ.get("HOLDFAST_TEST_LARGE_MIB", "160")) * 1024 * 1024
MOST = 100 * 1024 * 1024

PROGRAM = textwrap.dedent("""
    import asyncio, json, sys
    from pathlib import Path
    import psutil
    from holdfast.objects import Credentials, S3Options, open_bucket

    endpoint, key, secret, url, folder = sys.argv[1:]
    folder = Path(folder)
    process = psutil.Process()
    peak, seen = 0, []

    def watch(done, total):
        global peak
        peak = max(peak, process.memory_info().rss)
        seen.append(done)

    async def main():
        options = S3Options(endpoint_url=endpoint, credentials=Credentials(key, secret))
        async with open_bucket(url, options=options) as bucket:
            await bucket.upload(folder / "sparse", "big", progress=watch)
            assert seen == sorted(seen) and seen[-1] == (folder / "sparse").stat().st_size
            seen.clear()
            await bucket.download("big", folder / "down", progress=watch)
            assert seen == sorted(seen) and seen[-1] == (folder / "sparse").stat().st_size

    asyncio.run(main())
    watch(0, 0)
    assert (folder / "down").stat().st_size == (folder / "sparse").stat().st_size
    print(json.dumps(peak))
""")


def test_a_large_file_passes_a_server_both_ways_within_100_mebibytes(tmp_path):
    options = options_of("minio")
    url = new_name()
    with sync.open_bucket(url, options=options):
        pass
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(SIZE)
        file.seek(SIZE // 2)
        file.write(b"in the middle")
    keys = options.credentials
    ended = subprocess.run(
        [
            *(sys.executable, "-c", PROGRAM, options.endpoint_url),
            *(keys.access_key, keys.secret_key, url, str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=600 + SIZE / 2**20,
    )
    remove(url, options)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) < MOST
