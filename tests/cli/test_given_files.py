"""Files that a command is given and can't use: one line that says why, and never "a bug"."""

import os
from pathlib import Path

import pytest

from cli.program import here

READ = {
    "checkpoint": ("audit", "verify", "--checkpoint"),
    "exported log": ("audit", "verify", "--export"),
    "input of a script": ("hosts", "factory", "requestMachines", "-f"),
}
WRONG = {"missing": "No such file", "a folder": "Is a directory", "not text": "not text in UTF-8"}


@pytest.fixture
def data(tmp_path):
    """A data folder with an audit in it."""
    folder = tmp_path / "data"
    assert here("keys", "issue", "ann", "--data", folder).code == 0
    return folder


@pytest.fixture
def wrong(tmp_path):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "not text").write_bytes(b"\xff\xfe\x00")
    return lambda kind: tmp_path / kind


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("what", READ)
def test_a_file_that_can_not_be_read_is_named_with_the_reason(data, wrong, what, kind):
    ran = here(*READ[what], wrong(kind), "--data", data)
    assert ran.code == 4, ran.err
    assert f"{str(wrong(kind))!r}: it can't be read: " in ran.err
    assert WRONG[kind] in ran.err
    assert ran.err.count("\n") == 1


def test_an_exported_log_is_a_new_file_complete_or_not_at_all(data, tmp_path):
    there = tmp_path / "log.jsonl"
    there.write_text("mine")
    ran = here("audit", "export", there, "--data", data)
    assert (ran.code, there.read_text()) == (4, "mine")
    assert "it is there already" in ran.err
    ran = here("audit", "export", tmp_path / "nowhere" / "log.jsonl", "--data", data)
    assert ran.code == 6
    assert "can't be written: No such file or directory" in ran.err
    assert here("audit", "sequence", "--data", data).code == 0
    made = tmp_path / "made.jsonl"
    assert here("audit", "export", made, "--data", data).code == 0
    assert here("audit", "verify", "--export", made).code == 0
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("a folder", 2, "is a folder; expected a file, or none yet"),
        ("not text", 2, "expected a signing key"),
        ("missing/deeper", 6, "No such file or directory"),
    ],
)
def test_a_key_of_the_audit_that_is_none_is_named(data, wrong, kind, code, said, monkeypatch):
    key = Path(wrong(kind))
    if key.exists():
        key.chmod(0o700)
    monkeypatch.setenv("HOLDFAST_AUDIT_KEY", os.fspath(key))
    ran = here("audit", "key", "--data", data)
    assert ran.code == code, ran.err
    assert said in ran.err
    assert f"the audit's key {str(key)!r}" in ran.err
    assert ran.err.count("\n") == 1
