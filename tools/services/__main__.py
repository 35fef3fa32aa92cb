"""`python -m tools.services start|stop|status|reset [NAME ...]`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from tools.services.endpoints import rows
from tools.services.failure import MissingError, ServicesError
from tools.services.lifecycle import Outcome, reset, start, stop
from tools.services.paths import default_folder
from tools.services.registry import named, to_start


def main(arguments: list[str] | None = None) -> int:
    """Do what *arguments* say and return the exit code.

    0 as asked, or all but what can't be had here; 1 when a server failed, or, where all are
    required, when one is missing; 2 for what can't be understood.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what we run is to end with us
    os.umask(0o022)  # servers that run as somebody else read what is written here
    folder: Path = options.folder.resolve()
    try:
        match options.action:
            case "start":
                fast = options.fast or os.environ.get("HOLDFAST_SERVICES_FAST") == "1"
                outcomes = start(to_start(options.names), folder, fast=fast, say=_say)
                return _report(outcomes, required=options.require_all)
            case "stop":
                for name in stop(named(options.names), folder):
                    _say(f"{name}: stopped")
            case "reset":
                reset(named(options.names), folder)
            case _:
                _status(folder, as_json=options.json)
    except (ServicesError, OSError) as error:
        print(f"services: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("services: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _report(outcomes: list[Outcome], *, required: bool) -> int:
    for outcome in outcomes:
        name, failure = outcome.server.name, outcome.failure
        for endpoint, url in outcome.urls.items():
            _say(f"{endpoint:<15} running  {url}")
        if isinstance(failure, MissingError):
            _say(f"{name:<15} missing  {failure}: {failure.how}")
        elif failure is not None:
            _say(f"{name:<15} failed   {failure}")
    missing = [o.server.name for o in outcomes if isinstance(o.failure, MissingError)]
    failed = [o.server.name for o in outcomes if o.failure and o.server.name not in missing]
    if failed:
        print(f"services: {', '.join(failed)} failed to start", file=sys.stderr)
    if missing and required:
        print(f"services: {', '.join(missing)} missing, and all are required", file=sys.stderr)
    return 1 if failed or (missing and required) else 0


def _status(folder: Path, *, as_json: bool) -> None:
    found = rows(folder)
    if as_json:
        print(json.dumps([asdict(row) for row in found], indent=2))
        return
    for row in found:
        print(f"{row.name:<15} {row.state:<8} {row.url or ''}{'  ' if row.url else ''}{row.how}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools.services", description="The real servers of the tests."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    for action, what in {
        "start": "install what is missing, start it, wait until it answers",
        "stop": "stop what runs; data stays",
        "reset": "stop, and delete all data",
        "status": "say what runs, what does not, and how to get it",
    }.items():
        command = actions.add_parser(action, help=what, description=what)
        command.add_argument("--folder", type=Path, default=default_folder())
        if action == "status":
            command.add_argument("--json", action="store_true")
            continue
        command.add_argument("names", nargs="*", metavar="NAME")
        if action == "start":
            command.add_argument("--require-all", action="store_true", help="missing is a failure")
            command.add_argument("--fast", action="store_true", help="databases that never sync")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
