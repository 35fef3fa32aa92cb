"""What can't be had is said in a line, and is a failure only where all are required."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools.services.failure import MissingError
from tools.services.source import install_packages

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bare(tmp_path):
    """Runs the command where no program is on PATH but those it is given, and no cache is full."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def command(*words, **scripts):
        for name, text in scripts.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        env = {"PATH": str(programs), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return subprocess.run(
            [sys.executable, "-m", "tools.services", *words, "--folder", tmp_path / ".services"],
            cwd=CHECKOUT,
            env=env,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return command


@pytest.mark.parametrize(
    ("name", "expected"),
    [("minio", "there is no Go"), ("dynamodb", "there is no Java or no Maven")],
)
def test_a_missing_server_is_a_line_and_no_failure(bare, name, expected):
    done = bare("start", name)
    [line] = [line for line in done.stdout.splitlines() if "missing" in line]
    assert line.startswith(name)
    assert expected in line
    assert ": install " in line
    assert done.returncode == 0


def test_where_all_are_required_it_is_a_failure_that_names_it(bare):
    done = bare("start", "minio", "toxiproxy", "--require-all")
    assert done.returncode == 1
    assert "minio, toxiproxy missing, and all are required" in done.stderr


def test_a_go_that_is_too_old_is_told_apart_from_none(bare):
    done = bare("start", "minio", go="echo go1.19.8")
    assert "go1.19.8 is too old to build it: install Go 1.24 or newer" in done.stdout


def test_a_build_that_fails_says_why_and_leaves_nothing_half_made(bare, tmp_path):
    script = '[ "$1" = env ] && echo go1.26.1 || { echo no such module >&2; exit 1; }'
    nice = 'exec "$@"'
    done = bare("start", "toxiproxy", go=script, nice=nice)
    assert "go could not build it: no such module" in done.stdout
    assert [path.name for path in (tmp_path / "cache/holdfast-services").iterdir()] == [
        "installing"
    ]


def test_an_unknown_name_lists_the_known_ones(bare):
    done = bare("start", "oracle")
    assert done.returncode == 1
    assert "no server is called oracle; there are dynamodb, mariadb, minio" in done.stderr


def test_an_ordinary_user_is_told_what_root_would_do(tmp_path, monkeypatch):
    (tmp_path / "apt-get").write_text("#!/bin/sh\ntouch called\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingError, match="only root may install it") as caught:
        install_packages(["redis-server"])
    assert caught.value.how == "sudo apt-get install redis-server"
    assert not (tmp_path / "called").exists()


def test_where_there_is_no_apt_get_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="there is no apt-get here") as caught:
        install_packages(["redis-server", "pgbouncer"])
    assert caught.value.how == "install redis-server pgbouncer"


STALE_LISTS = """\
#!/bin/sh
cd "${0%/*}" && echo "$1" >> asked
[ "$1" = update ] && : > fresh
[ -e fresh ] || { echo E: Unable to locate package; exit 100; }
"""


def test_stale_package_lists_are_renewed_once(tmp_path, monkeypatch):
    (tmp_path / "apt-get").write_text(STALE_LISTS)
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    install_packages(["redis-server"])
    assert (tmp_path / "asked").read_text().split() == ["install", "update", "install"]
