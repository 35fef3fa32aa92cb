"""An HTTP service over PostgreSQL: Holdfast beside FastAPI by hand and its usual companions.

python benchmarks/api.py [--seconds 5] [--rounds 3]

Each side is one uvicorn process on a real socket, loaded by `wrk` (Debian: `apt install wrk`) over
16 connections; sides take turns within a round. CPU is that of the server's process a request.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import api_apps
import timing

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tools.services import lifecycle  # noqa: E402 - after the path was set
from tools.services.postgresql import POSTGRESQL  # noqa: E402

CLIENTS = 16
BODY = {"title": "New", "filename": "new.mp4", "duration": 61.5, "width": 1920, "height": 1080}
IN_TRANSACTION = "create in a transaction"
POST = """\
wrk.method = "POST"
wrk.body = {body!r}
wrk.headers["Content-Type"] = "application/json"
"""
REPORT = """
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"errors":%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@contextmanager
def served(factory, url):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", f"api_apps:{factory}", "--factory", "--port", str(port),
         "--no-access-log", "--log-level", "warning"],
        cwd=HERE, env=os.environ | {"BENCH_URL": url},
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/videos?size=1").read()
                break
            except OSError:
                if process.poll() is not None:
                    sys.exit(f"{factory} did not start")
                time.sleep(0.05)
        yield process.pid, address
    finally:
        process.terminate()
        process.wait()


def cpu_of(pid):
    """Return the seconds of CPU that a process took so far, from proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(pid, address, script, seconds):
    before = cpu_of(pid)
    said = subprocess.run(
        ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "--timeout", "10s", "-s", script, address],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    cpu = cpu_of(pid) - before
    figures = json.loads(re.search(r"^\{.*\}$", said, re.MULTILINE)[0])
    if figures["errors"]:
        sys.exit(f"{address}: {figures['errors']} requests failed")
    return {
        "rate": figures["requests"] / figures["seconds"],
        "p50": figures["p50"],
        "p99": figures["p99"],
        "cpu": cpu / figures["requests"] * 1e6,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short round: a trial")
    parser.add_argument("--url", help="a PostgreSQL whose table `videos` may go")
    asked = parser.parse_args()
    if asked.quick:
        asked.seconds, asked.rounds = 1, 1
    if shutil.which("wrk") is None:
        print("## HTTP API\n\nSkipped: needs wrk, which loads the servers: `apt install wrk`\n")
        return
    if asked.url:
        report(asked.url, asked)
        return
    # Not below a folder that root keeps to itself: the server runs as a user of its own.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        try:
            for outcome in lifecycle.start([POSTGRESQL], Path(folder), fast=True, say=print):
                if outcome.failure is not None:
                    sys.exit(str(outcome.failure))
                report(outcome.urls[POSTGRESQL.name], asked)
        finally:
            lifecycle.reset([POSTGRESQL], Path(folder))


def report(url, asked):
    one = api_apps.prepare(url, 1000)
    with tempfile.TemporaryDirectory() as folder:
        read, write = Path(folder) / "read.lua", Path(folder) / "write.lua"
        read.write_text(REPORT)
        write.write_text(POST.format(body=json.dumps(BODY)) + REPORT)
        works = {
            "get": (f"/videos/{one}", read),
            "list 50": ("/videos?size=50", read),
            "create": ("/videos", write),
            IN_TRANSACTION: ("/videos/in-transaction", write),
        }
        taken = {
            (work, side): {name: [] for name in ("rate", "p50", "p99", "cpu")}
            for work in works
            for side in api_apps.SIDES
        }
        names = list(api_apps.SIDES)
        for number in range(-1, asked.rounds):  # one round unmeasured
            turn = number % len(names)
            for side in names[turn:] + names[:turn]:
                with served(api_apps.SIDES[side], url) as (pid, address):
                    for work, (path, script) in works.items():
                        if work == IN_TRANSACTION and side not in api_apps.WITH_TRANSACTION:
                            continue
                        seconds = asked.seconds if number >= 0 else 1
                        figures = load(pid, address + path, script, seconds)
                        for name, value in figures.items():
                            if number >= 0:
                                taken[work, side][name].append(value)
    print(
        f"## HTTP API\n\n{timing.machine()}; {CLIENTS} connections. What each side does is "
        "said in `benchmarks/api_apps.py`.\n"
    )
    head = ["", "requests/s", "p50, ms", "p99, ms", "CPU, µs a request", "CPU, by hand = 1"]
    for work in works:
        rows = []
        for side in names:
            figures = taken[work, side]
            if not figures["cpu"]:
                continue
            rows.append(
                [
                    side,
                    f"{statistics.median(figures['rate']):,.0f}",
                    f"{statistics.median(figures['p50']):.1f}",
                    f"{statistics.median(figures['p99']):.1f}",
                    f"{statistics.median(figures['cpu']):,.0f}",
                    f"{timing.ratio(figures['cpu'], taken[work, api_apps.BY_HAND]['cpu']):.2f}",
                ]
            )
        print(f"### {work}\n\n{timing.table(head, rows)}\n")
    print(targets(taken, [work for work in works if work != IN_TRANSACTION]))


def targets(taken, works):
    """Return the table of what was aimed at, with the better and the worse of our two sides."""
    rows = []
    for side, (measure, what, target) in api_apps.TARGETS.items():
        row = [what.format(side), target]
        for work in works:
            of_it = taken[work, side][measure]
            ours = sorted(timing.ratio(taken[work, our][measure], of_it) for our in api_apps.OURS)
            row.append(f"{ours[0]:.2f} to {ours[-1]:.2f}")
        rows.append(row)
    return f"### Targets\n\n{timing.table(['', 'target', *works], rows)}\n"


if __name__ == "__main__":
    main()
