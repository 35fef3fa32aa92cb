"""Settings: where they come from, in which order, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.errors import ConfigurationError
from holdfast.settings import read_settings


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("DATA", "STORE", "BUCKET", "LEASE", "SETTINGS"):
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


def test_a_named_file_takes_the_place_of_those_of_the_working_folder(monkeypatch, tmp_path):
    Path("holdfast.toml").write_text("lease = 3\n")
    Path(".env").write_text("HOLDFAST_LEASE=4\n")
    Path("named.toml").write_text('data = "of-named"\n')
    monkeypatch.setenv("HOLDFAST_SETTINGS", "named.toml")
    settings = read_settings()
    assert (settings.data, settings.lease) == (tmp_path / "of-named", 15)
    monkeypatch.setenv("HOLDFAST_SETTINGS", "nowhere.toml")
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml.*no such file"):
        read_settings()


@pytest.mark.parametrize("name", ["holdfast.toml", ".env"])
def test_a_file_that_anybody_may_write_is_trusted_only_when_named(monkeypatch, name):
    Path(name).write_text("# nothing\n")
    assert read_settings().lease == 15
    Path(name).chmod(0o666)
    with pytest.raises(ConfigurationError, match=rf"{name}.*not trusted.*HOLDFAST_SETTINGS={name}"):
        read_settings()
    monkeypatch.setenv("HOLDFAST_SETTINGS", name)
    assert read_settings().lease == 15


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["holdfast.toml", ".env"])
def test_a_file_of_another_user_is_not_trusted(name):
    Path(name).write_text("# nothing\n")
    os.chown(name, 65534, -1)
    with pytest.raises(ConfigurationError, match=rf"{name}.*uid 65534"):
        read_settings()


@pytest.mark.parametrize("name", ["holdfast.toml", ".env"])
def test_what_is_no_file_is_named_and_holds_nobody_up(name):
    os.mkfifo(name)
    with pytest.raises(ConfigurationError, match=f"{name} is no regular file"):
        read_settings()
    Path(name).unlink()
    Path(name).mkdir()
    with pytest.raises(ConfigurationError, match=name):
        read_settings()
