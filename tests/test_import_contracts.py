"""The core of records names no library that maps classes, and the contract that says so bites."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = ROOT / "import-contracts-for-types.toml"
SQL = ROOT / "src" / "holdfast" / "records" / "drivers" / "sql"


def test_no_text_of_the_core_names_sqlalchemy():
    core = (ROOT / "src" / "holdfast" / "records").rglob("*.py")
    named = [
        path
        for path in core
        if SQL not in path.parents and "sqlalchemy" in path.read_text("utf-8").lower()
    ]
    assert named == []


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(ROOT / "src" / "holdfast", tmp_path / "holdfast")
    return tmp_path


def contracts_of(folder):
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    return subprocess.run(
        [*command, "--no-cache", "--config", str(CONTRACTS)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contract_holds(copied):
    done = contracts_of(copied)
    assert done.returncode == 0, done.stdout + done.stderr


PLANTED = {
    "validation": "import sqlalchemy",
    "cursor": "from sqlalchemy import orm",
    "expressions.predicates": "import holdfast.integrations",
}


def test_each_violation_for_the_type_checker_alone_is_found(copied):
    for module, line in PLANTED.items():
        planted = copied / "holdfast" / "records" / f"{module.replace('.', '/')}.py"
        text = planted.read_text("utf-8")
        planted.write_text(text.replace("if TYPE_CHECKING:\n", f"if TYPE_CHECKING:\n    {line}\n"))
    done = contracts_of(copied)
    assert done.returncode == 1
    for module, line in PLANTED.items():
        target = "holdfast.integrations" if "integrations" in line else "sqlalchemy"
        assert f"holdfast.records.{module} -> {target}" in done.stdout
