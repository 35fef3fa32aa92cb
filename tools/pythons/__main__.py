"""`python -m tools.pythons [VERSION ...] [--tests PATH ...] [--workers N]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.pythons.interpreters import CHECKOUT, bring, find, supported
from tools.pythons.runs import EnvironmentFailedError, Result, environment, run
from tools.services.failure import ServicesError
from tools.services.programs.debian import on_path


def main(arguments: list[str] | None = None) -> int:
    """Run the tests on each version that can be had, and return the exit code.

    1 when a test fails on one of them, when nothing ran, or when a version that *arguments* name
    can't be had.
    """
    options = _parser().parse_args(arguments)
    uv = _uv()
    results: list[Result] = []
    missing: list[str] = []
    for version in options.versions or supported():
        try:
            python = find(version) or bring(version, uv, _say)
            _say(f"{version}: {python}")
            inside = environment(version, python, uv)
        except (ServicesError, EnvironmentFailedError, OSError) as error:
            _say(f"{version}: not to be had: {error}")
            missing.append(version)
            continue
        log = CHECKOUT / f".venv-{version}" / "pytest.log"
        result = run(inside, options.tests, folder=CHECKOUT, log=log, workers=options.workers)
        _tell(version, result, log)
        results.append(result)
    if missing:
        _say(f"not to be had: {', '.join(missing)}")
    well = bool(results) and all(result.well for result in results)
    return 0 if well and not (missing and options.versions) else 1


def _tell(version: str, result: Result, log: Path) -> None:
    for name in result.names:
        _say(f"  failed: {name}")
    if result.code > 1:
        _say(f"  the run broke off with exit code {result.code}")
    if not result.well:
        _say(f"  all of it: {log}")
    counts = f"{result.passed} passed, {result.failed} failed, {result.skipped} skipped"
    _say(f"{version}: {counts} in {result.seconds:.0f} s")


def _uv() -> Path:
    beside = Path(sys.executable).with_name("uv")
    found = beside if beside.exists() else on_path("uv")
    if found is None:
        raise SystemExit("uv is missing: make setup")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools.pythons", description="The tests on every supported Python."
    )
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="such as 3.12")
    parser.add_argument("--tests", nargs="+", default=[], metavar="PATH", help="not all of them")
    parser.add_argument("--workers", type=int, default=4)
    return parser


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
