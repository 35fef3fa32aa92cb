"""`python -m tools.release.extras [EXTRA ...]`: all of them without a name."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from tools.release import distribution, materials, programs
from tools.release.extras.trials import TRIALS, Trial
from tools.release.failure import ReleaseError
from tools.services.endpoints import endpoints

PROJECT = tomllib.loads((programs.CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
NEW_DATABASE = {
    "postgresql": "import psycopg; psycopg.connect('{url}', autocommit=True)"
    ".execute('CREATE DATABASE {name}')",
    "mariadb": "import pymysql; pymysql.connect(host='{host}', port={port}, user='{user}')"
    ".cursor().execute('CREATE DATABASE {name}')",
}
NEW_DATABASE["mysql"] = NEW_DATABASE["mariadb"]


def main(arguments: list[str] | None = None) -> int:
    """Try the extras; print a line for each, and return 1 when one of them is not enough."""
    parser = argparse.ArgumentParser(prog="tools.release.extras", description=__doc__)
    parser.add_argument("extras", nargs="*", metavar="EXTRA")
    asked = parser.parse_args(arguments).extras
    untried = set(PROJECT["optional-dependencies"]) - {each for t in TRIALS for each in t.extras}
    if untried:
        print(f"no trial for {', '.join(sorted(untried))}", file=sys.stderr)
        return 1
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        wheel, _ = distribution.build("HEAD", folder / "built")
        for trial in TRIALS:
            if asked and trial.name not in asked:
                continue
            try:
                size = _try(trial, wheel, folder / trial.name)
            except ReleaseError as error:
                failed += 1
                print(f"{trial.name}: {error}", file=sys.stderr, flush=True)
            else:
                print(f"{trial.name}: well, {size:.0f} MB installed", flush=True)
    return 1 if failed else 0


def _try(trial: Trial, wheel: Path, folder: Path) -> float:
    """Install *trial* in *folder* and run it there; return the size of what was installed, in MB.

    Raises ReleaseError with what the first program that failed said.
    """
    folder.mkdir()
    inside = {"VIRTUAL_ENV": str(folder / "venv"), "PYTHONWARNINGS": "error::DeprecationWarning"}
    inside["PATH"] = f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    locked = materials.requirements(folder / "locked.txt", extras=trial.extras)
    python = folder / "venv" / "bin" / "python"
    programs.run([programs.uv(), "venv", "--quiet", "--python", sys.executable, folder / "venv"])
    install: list[str | Path] = [programs.uv(), "pip", "install", "--quiet"]
    programs.run([*install, "--require-hashes", "--requirement", locked], env=inside)
    programs.run([*install, "--no-deps", wheel], env=inside)
    size = _megabytes(folder / "venv")
    if trial.beside:
        programs.run([*install, "--constraints", materials.LOCK, *trial.beside], env=inside)
    url, more = _server(trial, python)
    work = folder / "work"
    work.mkdir()
    for number, program in enumerate(trial.programs, 1):
        text = program if isinstance(program, str) else program.program(url)
        path = work / f"test_program{number}.py"
        path.write_text(text, "utf-8")
        programs.run([python, path], folder=work, env=inside | more)
    for command in trial.commands:
        programs.run([*shlex.split(command)], folder=work, env=inside | more)
    return size


def _server(trial: Trial, python: Path) -> tuple[str, dict[str, str]]:
    """Return a URL with nothing behind it yet, and the environment that goes with it."""
    if trial.server is None:
        return "", {}
    found = endpoints().get(trial.server)
    if found is None:
        raise ReleaseError(f"{trial.server} does not run: make services")
    parts, name = urlsplit(found.url), f"extras_{uuid4().hex[:12]}"
    where = {"host": parts.hostname, "port": parts.port, "user": parts.username}
    if trial.server in NEW_DATABASE:
        code = NEW_DATABASE[trial.server].format(url=found.url, name=name, **where)
        programs.run([python, "-c", code])
        return f"{found.url.rpartition('/')[0]}/{name}", {}
    keys = {
        "AWS_ACCESS_KEY_ID": parts.username or "",
        "AWS_SECRET_ACCESS_KEY": parts.password or "",
        "AWS_REGION": "us-east-1",
    }
    address = f"http://{parts.hostname}:{parts.port}"
    if trial.server == "minio":
        bucket = name.replace("_", "-")
        return f"s3://{bucket}?endpoint_url={address}&create=true", keys
    if trial.server == "dynoxide":
        return f"dynamodb://us-east-1/{name}?endpoint_url={address}", keys
    return found.url, {}


def _megabytes(folder: Path) -> float:
    used = subprocess.run(
        ["du", "-sm", folder], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    return float(used)


if __name__ == "__main__":
    sys.exit(main())
