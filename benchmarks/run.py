"""Run every benchmark and write what they print to docs/benchmarks.md.

python benchmarks/run.py [--quick] [--only records]

--quick: a trial, printed, not written. S3 needs a server: `make services`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from detection import fetch

HERE = Path(__file__).parent
TARGET = HERE.parent / "docs" / "benchmarks.md"
HEAD = """\
# Benchmarks

Written by `make bench`, which measures all sides in one run on one machine. Only ratios within a
run mean something elsewhere; where both are given, CPU time is the steadier figure of the two.
"""


def printed(program: str, *options: str) -> str:
    """Run *program*, showing what it prints as it does, and return that."""
    command = [sys.executable, str(HERE / program), *options]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        sys.exit(f"{program} failed with status {process.returncode}; nothing was written")
    return "".join(lines)


def detection(asked) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            video = fetch(folder)
        except SystemExit as error:
            line = f"## Detection\n\nSkipped: {error}\n"
            print(line)
            return line
        return printed("detection.py", str(video), *(["--runs", "1"] if asked.quick else []))


def records(asked) -> str:
    rounds = ["--rounds", str(asked.rounds)] if asked.rounds else []
    return printed("records.py", *rounds, *(["--quick"] if asked.quick else []))


def servers(asked) -> str:
    rounds = ["--rounds", str(asked.rounds)] if asked.rounds else []
    return printed("records_servers.py", *rounds, *(["--quick"] if asked.quick else []))


def relations(asked) -> str:
    rounds = ["--rounds", str(asked.rounds)] if asked.rounds else []
    return printed("records_relations.py", *rounds, *(["--quick"] if asked.quick else []))


def audit(asked) -> str:
    return printed("audit.py", *(["--quick"] if asked.quick else []))


def objects(asked) -> str:
    return printed("objects.py", *(["--quick"] if asked.quick else []))


def endurance(asked) -> str:
    return printed("jobs_endurance.py", "--jobs", "5000" if asked.quick else "240000")


def large_table(asked) -> str:
    return printed("jobs_table.py", *(["--quick"] if asked.quick else []))


def jobs(asked) -> str:
    return printed("jobs.py", *(["--quick"] if asked.quick else []))


def limits(asked) -> str:
    return printed("jobs_limits.py", *(["--quick"] if asked.quick else []))


def dynamodb(asked) -> str:
    return printed("dynamodb.py", *(["--quick"] if asked.quick else []))


def cache(asked) -> str:
    table = printed("cache.py", *(["--rounds", "2"] if asked.quick else []))
    return f"## Cache\n\nWhat each side does is said in [cache.md](cache.md#speed).\n\n{table}"


def api(asked) -> str:
    return printed("api.py", *(["--quick"] if asked.quick else []))


def console(asked) -> str:
    return printed("console.py", *(["--quick"] if asked.quick else []))


PROGRAMS = {
    "records": records,
    "servers": servers,
    "relations": relations,
    "audit": audit,
    "dynamodb": dynamodb,
    "jobs": jobs,
    "endurance": endurance,
    "table": large_table,
    "limits": limits,
    "objects": objects,
    "cache": cache,
    "api": api,
    "console": console,
    "detection": detection,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, help="of records; default 15")
    parser.add_argument("--only", choices=PROGRAMS)
    asked = parser.parse_args()
    tables = [run(asked) for name, run in PROGRAMS.items() if asked.only in (None, name)]
    if not asked.quick and asked.only is None:
        TARGET.write_text("\n".join([HEAD, *tables]), encoding="utf-8")
        print(f"\nwritten: {TARGET.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
