"""What can't be had is said in a line, and is a failure only where all are required."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tools.services.dynamodb import DYNOXIDE
from tools.services.endpoints import known
from tools.services.failure import MissingError
from tools.services.programs.command import Commands
from tools.services.programs.debian import install_packages
from tools.services.toxiproxy import TOXIPROXY

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bare(tmp_path):
    """Runs the command where PATH has the given scripts alone; capitals are variables."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def command(*words, **given):
        env = {"PATH": str(programs), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        for name, text in given.items():
            if name.isupper():
                env[name] = text
            else:
                (programs / name).write_text(f"#!/bin/sh\n{text}\n")
                (programs / name).chmod(0o755)
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
    [
        ("minio", "there is no go"),
        ("dynoxide", "there is no cargo"),
        ("mysql", "there is no apt-get here"),
    ],
)
def test_a_missing_server_is_a_line_and_no_failure(bare, name, expected):
    done = bare("start", name)
    [line] = [line for line in done.stdout.splitlines() if "missing" in line]
    assert line.startswith(name)
    assert expected in line
    assert line.endswith(f": {known()[name].source.how()}")
    assert done.returncode == 0


def test_where_all_are_required_it_is_a_failure_that_names_it(bare):
    done = bare("start", "minio", "toxiproxy", "--require-all")
    assert done.returncode == 1
    assert "minio, toxiproxy missing, and all are required" in done.stderr


def test_a_builder_that_is_too_old_is_told_apart_from_none(bare):
    done = bare("start", "minio", "dynoxide", go="echo go1.19.8", cargo="echo cargo 1.63.0")
    assert "go1.19.8 is too old to build it: install Go 1.24 or newer" in done.stdout
    assert "cargo 1.63.0 is too old to build it: install Rust 1.88 or newer" in done.stdout


def test_a_compiler_that_does_not_run_is_named_by_the_first_line_it_says(bare):
    done = bare("start", "dynoxide", cargo="echo 'error: no default toolchain 0'; echo at a frame")
    assert "cargo does not run: error: no default toolchain 0" in done.stdout
    assert "at a frame" not in done.stdout


def test_a_build_that_fails_says_why_and_leaves_nothing_half_made(bare, tmp_path):
    go = '[ "$1" = env ] && echo go1.26.1 || { echo no such module >&2; exit 1; }'
    done = bare("start", "toxiproxy", go=go)
    cache = tmp_path / "cache/holdfast-services"
    log = cache / f"{TOXIPROXY.source.name}.log"
    assert f"go could not build it: no such module (all of it: {log})" in done.stdout
    assert log.read_text() == "no such module\n"
    assert {path.suffix for path in cache.iterdir()} == {".log", ".lock"}


CARGO = """\
PATH=/usr/bin:/bin
[ "$1" = --version ] && echo cargo 1.95.0 && exit
mkdir -p "$CARGO_TARGET_DIR"
[ -e "$CARGO_TARGET_DIR/compiled" ] || { echo > "$CARGO_TARGET_DIR/compiled"; echo broke; exit 1; }
while [ "$1" != --root ]; do shift; done
mkdir "$2/bin"
echo > "$2/bin/dynoxide"
"""


def test_a_cargo_build_that_broke_off_goes_on_from_what_was_compiled(bare, tmp_path):
    first = bare("start", "dynoxide", cargo=CARGO, cc="exit 0")
    assert "cargo could not build it: broke" in first.stdout
    second = bare("start", "dynoxide", cargo=CARGO, cc="exit 0")
    assert f"{DYNOXIDE.source.label}: done in 0 s" in second.stdout
    assert not list((tmp_path / "cache/holdfast-services").glob("*.target"))


def test_without_a_c_compiler_no_crate_is_begun(bare):
    done = bare("start", "dynoxide", cargo=CARGO)
    assert "there is no C compiler: install gcc" in done.stdout


def test_an_environment_that_pip_can_not_fill_is_told_and_deleted(bare, tmp_path, monkeypatch):
    """No index and no files: pip finds nothing."""
    done = bare("start", "moto", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    said = "pip could not install it: ERROR: No matching distribution found"
    if find_spec("ensurepip") is None:  # as Debian's Python is without its venv
        said = "no environment can be made"
    assert said in done.stdout
    assert not [p for p in (tmp_path / "cache/holdfast-services").iterdir() if p.is_dir()]


def test_packages_that_npm_can_not_fetch_are_told_and_deleted(bare, tmp_path):
    done = bare(
        "start", "openid", NPM_CONFIG_OFFLINE="true", NPM_CONFIG_CACHE=str(tmp_path / "npm")
    )
    assert "npm could not install it: npm error" in done.stdout
    assert not [p for p in (tmp_path / "cache/holdfast-services").iterdir() if p.is_dir()]


def test_an_unknown_name_lists_the_known_ones(bare):
    done = bare("start", "oracle")
    assert done.returncode == 1
    assert "no server is called oracle; there are dynoxide, mariadb, minio" in done.stderr


def test_an_ordinary_user_is_told_what_root_would_do(tmp_path, monkeypatch):
    (tmp_path / "apt-get").write_text("#!/bin/sh\ntouch called\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingError, match="only root may install it") as caught:
        install_packages(["redis-server"], Commands().run)
    assert caught.value.how == "sudo apt-get install redis-server"
    assert not (tmp_path / "called").exists()


def test_where_there_is_no_apt_get_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="there is no apt-get here") as caught:
        install_packages(["redis-server", "pgbouncer"], Commands().run)
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
    install_packages(["redis-server"], Commands().run)
    assert (tmp_path / "asked").read_text().split() == ["install", "update", "install"]
