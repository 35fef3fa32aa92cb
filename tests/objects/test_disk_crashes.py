"""A writer that dies leaves the object as it was or as it was to be, and nothing else."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from holdfast.objects import sync
from objects.crash_at_every_step import PAIRS
from objects.disk_state import strays

TESTS = Path(__file__).parent.parent

WRITER = textwrap.dedent("""
    import sys
    from itertools import count
    from pathlib import Path
    from holdfast.objects import sync

    with sync.open_bucket(Path(sys.argv[1])) as bucket:
        for number in count(int(sys.argv[2])):
            body = (b"%08d" % number) * 40_000
            bucket.put(f"clips/{number % 5}.bin", body, metadata={"number": str(number)})
            bucket.copy(f"clips/{number % 5}.bin", "copy.bin")
            bucket.delete(f"clips/{(number + 2) % 5}.bin")
            print(number, flush=True)
""")


def test_dying_at_any_step_of_any_verb_leaves_the_old_state_or_the_new(fast_folder):
    command = [sys.executable, "-m", "objects.crash_at_every_step", str(fast_folder)]
    ended = subprocess.run(
        command, cwd=TESTS, capture_output=True, text=True, check=False, timeout=600
    )
    assert ended.returncode == 0, ended.stderr
    steps = [int(line.split()[-1]) for line in ended.stdout.splitlines()]
    assert len(steps) == len(PAIRS)
    assert all(count >= 5 for count in steps), steps


@pytest.mark.parametrize("acknowledged", [1, 2, 3, 5, 8, 13])
def test_a_writer_killed_while_it_works_loses_nothing_acknowledged(tmp_path, acknowledged):
    command = [sys.executable, "-c", WRITER, str(tmp_path), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        for _ in range(acknowledged):
            last = int(writer.stdout.readline())
        writer.kill()
        last = max([last, *map(int, writer.stdout.read().split())])
    with sync.open_bucket(tmp_path) as bucket:
        assert strays(tmp_path) == set()
        infos = {info.key: info for info in bucket.list()}
        for key, info in infos.items():
            number = int(info.metadata["number"])
            assert bucket.get(key) == (b"%08d" % number) * 40_000
        assert int(infos["copy.bin"].metadata["number"]) in (last, last + 1)
        assert int(infos[f"clips/{last % 5}.bin"].metadata["number"]) == last
