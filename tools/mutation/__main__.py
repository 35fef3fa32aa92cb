"""Tells whether the tests notice when code is changed.

    python -m tools.mutation [CORE ...] [--minutes N] [--go-on] [--functions NAME ...]

mutmut changes one thing at a time in the functions of a core, and runs the tests that call the
function. A change that no test notices has survived: a test is missing, or the code says more than
it has to. Each core is changed in a copy in `.mutation/`; `survivors.diff` there shows what
survived. What was not tried within `--minutes` is counted as that. `--go-on` tries again what
survived, and what was not tried, with the tests as they are now. `--functions` keeps to changes in
functions of these names: mutmut tries last what most tests call, so time ends before that.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from tools.mutation.cores import CORES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.mutation.cores import Core

CHECKOUT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("tools.lock")
ENVIRONMENT = CHECKOUT / ".venv-mutation"
WORK = CHECKOUT / ".mutation"
COPIED = ("src", "tests", "tools", "examples", "docs")
COLUMNS = ("killed", "timeout", "survived", "no tests", "not checked")
"""What mutmut says of a change. *timeout*: the tests never ended, which is noticed too."""
_DIFFERENCES = """
import sys
from pathlib import Path
from mutmut.mutation.diff_apply import get_diff_for_mutant
for name in sys.argv[1:]:
    path = Path("src", *name.split(".")[:-1]).with_suffix(".py")
    print(name, get_diff_for_mutant(name, path=path), sep="\\n")
"""
"""`mutmut show` reads every file of the source for each name; this, the one that has it."""


def main(arguments: list[str] | None = None) -> int:
    """Try the cores that *arguments* name, and return 0 when none was broken off."""
    options = _parser().parse_args(arguments)
    _install()
    whole = True
    print(f"{'core':12}" + "".join(f"{name:>13}" for name in COLUMNS), flush=True)
    for name in options.cores or CORES:
        folder = WORK / name
        wanted = _patterns(options.functions)
        left = _left(folder, CORES[name], wanted) if options.go_on else []
        if not left:
            shutil.rmtree(folder, ignore_errors=True)
        _copy(folder, CORES[name])
        ended = _run(folder, left or wanted, options.minutes * 60)
        found = _results(folder)
        counts = Counter(found.values())
        print(f"{name:12}" + "".join(f"{counts[each]:>13}" for each in COLUMNS), flush=True)
        _show(folder, found)
        whole = whole and ended and bool(found)
    return 0 if whole else 1


def _install() -> None:
    uv = Path(sys.executable).with_name("uv")
    inside = {**os.environ, "VIRTUAL_ENV": str(ENVIRONMENT)}
    locks = ("-r", CHECKOUT / "requirements.lock", "-r", LOCK)
    commands: list[list[str | Path]] = [
        [uv, "venv", "--quiet", "--allow-existing", ENVIRONMENT],
        [uv, "pip", "install", "--quiet", "--require-hashes", *locks],
        [uv, "pip", "install", "--quiet", "--no-deps", "--editable", CHECKOUT],
    ]
    for command in commands:
        subprocess.run(command, env=inside, check=True)


def _left(folder: Path, core: Core, wanted: Sequence[str]) -> list[str]:
    """Return the changes of the last time that no test noticed, or that were not tried.

    Those that fit one of the patterns *wanted*, if there are any.

    None where the source is another by now, whose changes have other names, or *core*: mutmut
    then forgets its verdicts.
    """
    configuration = folder / "pyproject.toml"
    if (
        not configuration.exists()
        or configuration.read_text(encoding="utf-8") != _configuration(core)
        or _sources(folder) != _sources(CHECKOUT)
    ):
        return []
    noticed = ("killed", "timeout")
    return [
        name
        for name, status in _results(folder).items()
        if status not in noticed and (not wanted or any(fnmatchcase(name, each) for each in wanted))
    ]


def _patterns(functions: Sequence[str]) -> list[str]:
    """Return patterns of mutmut's names for changes in *functions*, or methods of these names."""
    return [f"*.x{sign}{each}__mutmut_*" for each in functions for sign in ("_", "ǁ*ǁ")]


def _sources(folder: Path) -> dict[str, bytes]:
    """Return the files of the source by their names."""
    source = folder / "src"
    return {str(each.relative_to(source)): each.read_bytes() for each in source.rglob("*.py")}


def _copy(folder: Path, core: Core) -> None:
    """Copy to *folder* what *core* is tried with; the source, if it is there, stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in COPIED:
        if part == "src" and (folder / part).exists():
            continue  # mutmut has its verdicts beside it
        for old in (folder / part, folder / "mutants" / part):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(
            CHECKOUT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    (folder / "pyproject.toml").write_text(_configuration(core), encoding="utf-8")


def _configuration(core: Core) -> str:
    """Return a pyproject.toml: pytest's part as in the checkout, and mutmut's."""
    whole = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    pytest = whole["tool"]["pytest"]["ini_options"]
    pytest["addopts"] = [*pytest["addopts"], "-p", "no:cacheprovider"]
    mutmut = {
        "source_paths": ["src"],
        "only_mutate": [f"src/holdfast/{module}.py" for module in core.modules],
        "also_copy": [part for part in COPIED if part not in ("src", "tests")],
        "pytest_add_cli_args": ["-k", core.keywords] if core.keywords else [],
        "pytest_add_cli_args_test_selection": list(core.tests),
        "use_git_change_detection": False,
        # A change is made in a process that has imported the tests and run none: what they leave
        # behind, such as compiled statements, would hide it.
        "process_isolation": "forkserver",
        "timeout_multiplier": 4.0,
    }
    tables = {"tool.pytest.ini_options": pytest, "tool.mutmut": mutmut}
    # What stands in these tables, TOML writes as JSON does.
    return "\n".join(
        line
        for table, values in tables.items()
        for line in (f"[{table}]", *(f"{key} = {json.dumps(each)}" for key, each in values.items()))
    )


def _run(folder: Path, changes: list[str], seconds: float) -> bool:
    """Let mutmut try *changes*, or all, for *seconds* at the most; return whether it ended.

    On the processors that this process may run on. A change is named, or several by a pattern.
    """
    workers = str(len(os.sched_getaffinity(0)))
    with (folder / "mutmut.log").open("wb") as log:
        running = subprocess.Popen(
            [ENVIRONMENT / "bin" / "mutmut", "run", "--max-children", workers, *changes],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            return running.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGTERM)  # SIGINT is ignored in the background
            running.wait()
            return False
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)


def _results(folder: Path) -> dict[str, str]:
    said = _said(folder, "mutmut", "results", "--all", "true")
    pairs = (line.strip().rsplit(": ", 1) for line in said.splitlines() if ": " in line)
    return {name: status for name, status in pairs if "__mutmut_" in name}


def _show(folder: Path, found: dict[str, str]) -> None:
    """Write what survived as differences, in the order of the code."""
    survived = [name for name, status in found.items() if status == "survived"]
    shown = _said(folder, "python", "-c", _DIFFERENCES, *survived)
    (folder / "survivors.diff").write_text(shown, encoding="utf-8")


def _said(folder: Path, program: str, *words: str) -> str:
    """Return what a *program* of the environment prints in *folder*."""
    command: list[str | Path] = [ENVIRONMENT / "bin" / program, *words]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools.mutation", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("cores", nargs="*", metavar="CORE", help=f"of {', '.join(CORES)}")
    parser.add_argument("--minutes", type=float, default=20.0, help="for each core, at the most")
    parser.add_argument(
        "--go-on", action="store_true", help="try again what survived or was not tried"
    )
    parser.add_argument(
        "--functions", nargs="+", default=(), metavar="NAME", help="no change in any other"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
