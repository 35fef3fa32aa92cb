"""Running the real program: here, to be quick, or as a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import preloaded
from holdfast.cli import main

CODE = "from holdfast.cli import main; main()"
PROGRAM = [sys.executable, "-c", CODE]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class _Captured(io.TextIOWrapper):
    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode()


def here(*args):
    """Run the program in this process; every line of the way is its own but the interpreter's."""
    out, err = _Captured(), _Captured()
    before, sys.argv = sys.argv, ["holdfast", *map(str, args)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        return Ran(int(end.code or 0), out.text(), err.text())
    finally:
        sys.argv = before
    raise AssertionError("main returned")


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return {**kept, **more}


_started = []


def start(*args, cwd=None, env=None, stdout=None, stderr=None):
    """Start the program as a process, which ends with the test at the latest.

    *stdout* and *stderr* are files, or else pipes.
    """
    env = env or environment()
    process = preloaded.start(CODE, *args, cwd=cwd, env=env, stdout=stdout, stderr=stderr)
    _started.append(process)
    return process


def end_all():
    """Kill what a failed test left running: it would hold up those that follow."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


def finish(process, *, timeout=240):
    """Wait for its end; it is killed where it takes longer than even a busy machine explains."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, (out or b"").decode(), (err or b"").decode())


def apart(*args, cwd=None, env=None):
    """Run the program as a process to its end."""
    return finish(start(*args, cwd=cwd, env=env))


def wait_until(condition, what, *, timeout=120, pause=0.005):
    """Wait for *condition* to hold; the test fails when it never does.

    One that is dear to ask takes a longer *pause*, or it starves whom it waits for.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
        time.sleep(pause)


def data_files(data):
    """The paths of the objects' bytes in the data folder."""
    objects = Path(data) / "objects"
    if not objects.exists():
        return []
    return [
        path
        for path in objects.rglob("*")
        if path.is_file() and ".holdfast" not in path.relative_to(objects).parts
    ]
