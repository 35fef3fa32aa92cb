"""Settings: where they come from, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import ConfigurationError
from holdfast.settings import read_settings


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("DATA", "STORE", "BUCKET", "LEASE"):
        monkeypatch.delenv(f"HOLDFAST_{name}", raising=False)


def test_without_any_everything_lies_in_one_folder(tmp_path):
    settings = read_settings()
    assert settings.data == tmp_path / "holdfast-data"
    assert settings.store_url == f"sqlite:///{tmp_path}/holdfast-data/holdfast.db"
    assert settings.bucket_url == f"file://{tmp_path}/holdfast-data/objects"
    assert list(tmp_path.iterdir()) == []


def test_option_before_environment_before_env_file_before_toml(monkeypatch, tmp_path):
    Path("holdfast.toml").write_text('data = "of-toml"\nlease = 3\n')
    assert read_settings().data == tmp_path / "of-toml"
    Path(".env").write_text("HOLDFAST_DATA=of-file\nOTHER=1\n")
    assert read_settings().data == tmp_path / "of-file"
    monkeypatch.setenv("HOLDFAST_DATA", "of-environment")
    assert read_settings().data == tmp_path / "of-environment"
    assert read_settings(data=Path("given")).data == tmp_path / "given"
    assert read_settings().lease == 3


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("holdfast.toml", b"lease = [", r"holdfast\.toml can't be read"),
        ("holdfast.toml", b"\xff\xfe", r"holdfast\.toml can't be read"),
        ("holdfast.toml", b"leese = 3", r"unknown settings: leese; known are: bucket, data, lease"),
        ("holdfast.toml", b"lease = 'soon'", r"the setting lease: .*; got 'soon'"),
        ("holdfast.toml", b"lease = 0", r"the setting lease: .*greater than 0; got 0"),
        (".env", b"\xff\xfe", r"\.env can't be read"),
        (".env", b"HOLDFAST_LEASE=nan", r"the setting lease: "),
    ],
)
def test_what_is_wrong_is_named(file, content, says):
    Path(file).write_bytes(content)
    with pytest.raises(ConfigurationError, match=says):
        read_settings()
