"""Packages of unstable are found by apt's own lists, unpacked beside the system, and kept."""

import hashlib
import os
import shutil
import subprocess

import pytest
from tools.services.failure import MissingError
from tools.services.paths import cache_folder
from tools.services.programs import unstable
from tools.services.programs.apt_sources import AptSource, debian_source
from tools.services.programs.command import Commands
from tools.services.programs.unstable import UnstablePackages
from tools.services.source import find

BOOKWORM = 'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
THIRD_PARTY = "deb [signed-by=/k.gpg] http://other.example/repo bookworm main\n"
DEB822 = """\
# made by the installer
Types: deb deb-src
URIs: http://one.example/debian http://two.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
# the release's key
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://one.example/security
Suites: bookworm-security
Components: main
"""
INLINE_KEY = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END-----"


def source(tmp_path, release=BOOKWORM, **files):
    (tmp_path / "os-release").write_text(release)
    (tmp_path / "apt/sources.list.d").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        where = "" if name == "sources_list" else "sources.list.d/"
        (tmp_path / "apt" / f"{where}{name.replace('_', '.')}").write_text(text)
    return debian_source(tmp_path / "apt", tmp_path / "os-release")


def test_a_deb822_list_is_read_with_its_key(tmp_path):
    found = source(tmp_path, debian_sources=DEB822)
    assert (found.uri, found.suites) == (
        "http://one.example/debian",
        ("bookworm", "bookworm-updates"),
    )
    assert found.trust == {"Signed-By": "/usr/share/keyrings/debian.gpg"}
    assert found.of_suite("sid").splitlines()[1:4] == [
        "URIs: http://one.example/debian",
        "Suites: sid",
        "Components: main",
    ]


def test_a_key_inside_a_deb822_list_is_taken_whole(tmp_path):
    text = DEB822.replace("Signed-By: /usr/share/keyrings/debian.gpg", INLINE_KEY)
    trust = source(tmp_path, debian_sources=text).of_suite("sid").partition("Signed-By:")[2]
    assert trust.strip() == INLINE_KEY.removeprefix("Signed-By:").strip()


@pytest.mark.parametrize(
    ("line", "trust"),
    [
        ("deb http://one.example/debian bookworm main contrib # by hand\n", {}),
        (
            "deb [ arch=amd64 signed-by=/d.gpg ]  http://one.example/debian bookworm main\n",
            {"Signed-By": "/d.gpg"},
        ),
        ("deb [trusted=yes] http://one.example/debian stable main\n", {"Trusted": "yes"}),
    ],
)
def test_a_one_line_list_is_read_with_its_options(tmp_path, line, trust):
    text = f"# deb http://old.example/debian bookworm main\ndeb-src {line[4:]}\n{line}"
    found = source(tmp_path, sources_list=text)
    assert (found.uri, found.trust) == ("http://one.example/debian", trust)


def test_what_is_not_this_release_of_debian_is_passed_over(tmp_path):
    off = DEB822.replace("Types:", "Enabled: no\nTypes:", 1).replace("one.", "off.", 1)
    old = "deb http://old.example/debian bullseye main\n"
    other = "deb http://other.example/repo bookworm stable\n"
    found = source(
        tmp_path,
        sources_list=old,
        a_list=other,
        a2_list=THIRD_PARTY,
        b_sources=off,
        c_disabled=THIRD_PARTY,
        z_list="deb http://one.example/debian bookworm main\n",
    )
    assert found.uri == "http://one.example/debian"


def test_what_is_no_debian_has_no_unstable(tmp_path, monkeypatch):
    assert source(tmp_path) is None
    ubuntu = "ID=ubuntu\nVERSION_CODENAME=noble\n"
    assert source(tmp_path, ubuntu, sources_list=THIRD_PARTY.replace("bookworm", "noble")) is None
    monkeypatch.setattr(unstable, "debian_source", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingError, match="this is no Debian"):
        PROBE.install(Commands().run)


PROBE = UnstablePackages(packages=("probe",), program="usr/bin/probe")
with_apt = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "dpkg-deb"))), reason="install apt and dpkg"
)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Publishes a version of `probe`, which needs `probe-libc`, and returns the folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    top = tmp_path / "repository"
    here = AptSource(f"copy:{top}", ("sid",), ("main",), {"Trusted": "yes"})
    monkeypatch.setattr(unstable, "debian_source", lambda: here)
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()

    def package(name, version, needs, path):
        folder = tmp_path / "packages" / f"{name}-{version}"
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(version)
        (folder / "DEBIAN").mkdir()
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
            f"Maintainer: probe <probe@example.org>\nDescription: probe\n{needs}"
        )
        (folder / "DEBIAN/control").write_text(control)
        archive = top / f"{name}_{version}_{architecture}.deb"
        subprocess.run(["dpkg-deb", "-b", folder, archive], check=True, capture_output=True)
        content = archive.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        where = f"Filename: {archive.name}\nSize: {len(content)}\nSHA256: {digest}\n"
        return control + where

    def publish(version):
        shutil.rmtree(top, ignore_errors=True)
        lists = top / "dists/sid/main" / f"binary-{architecture}"
        lists.mkdir(parents=True)
        listed = "\n".join(
            [
                package("probe", version, "Depends: probe-libc\n", "usr/bin/probe"),
                package("probe-libc", version, "", f"usr/lib64/{unstable.LOADERS[0]}"),
                package("probe-dir", version, "", "usr/lib/x86_64-linux-gnu/probe"),
            ]
        )
        (lists / "Packages").write_text(listed)
        digest = hashlib.sha256(listed.encode()).hexdigest()
        path = (lists / "Packages").relative_to(top / "dists/sid")
        release = f"Suite: sid\nCodename: sid\nSHA256:\n {digest} {len(listed)} {path}\n"
        (top / "dists/sid/Release").write_text(release)
        return top

    return publish


ALL = UnstablePackages(packages=("probe", "probe-dir"), program="usr/bin/probe")


@with_apt
def test_packages_and_what_they_need_are_unpacked_beside_the_system(repository):
    repository("1.5-1")
    assert find(ALL) is None
    assert ALL.install(Commands().run) == "1.5-1"
    found = find(ALL)
    assert found["root"] == cache_folder() / "probe-1.5-1"
    assert found["program"].read_text() == found["loader"].read_text() == "1.5-1"
    assert found["libraries"].name == "x86_64-linux-gnu"


@with_apt
def test_what_was_fetched_is_kept_when_the_source_has_another_or_is_gone(repository):
    repository("1:1.5-1")
    ALL.install(Commands().run)
    for change in (lambda: repository("2.0-1"), lambda: shutil.rmtree(repository("3.0-1"))):
        change()
        shutil.rmtree(find(ALL)["root"])
        assert ALL.install(Commands().run) == "1:1.5-1"
        assert find(ALL)["program"].read_text() == "1:1.5-1"


@with_apt
def test_a_fetch_that_was_cut_short_is_made_again_and_mixes_no_versions(repository):
    repository("1.5-1")
    ALL.install(Commands().run)
    shutil.rmtree(find(ALL)["root"])
    archive = next(ALL.archives.glob("archives/probe-libc_1.5-1_*.deb"))
    os.truncate(archive, archive.stat().st_size - 1)
    repository("1.6-1")
    assert ALL.install(Commands().run) == "1.6-1"
    found = find(ALL)
    assert found["program"].read_text() == found["loader"].read_text() == "1.6-1"


@with_apt
def test_a_fetch_that_goes_on_lists_what_was_there_before(repository, monkeypatch):
    """Apt leaves out of its plan what it has: the list of what belongs together names it too."""
    repository("1.5-1")
    ALL.install(Commands().run)
    shutil.rmtree(find(ALL)["root"])
    (ALL.archives / "complete").unlink()
    next(ALL.archives.glob("archives/probe-libc_*.deb")).unlink()
    assert ALL.install(Commands().run) == "1.5-1"
    assert find(ALL)["loader"].read_text() == "1.5-1"
    assert len((ALL.archives / "complete").read_text().splitlines()) == 3


@with_apt
def test_a_newer_one_is_used_where_two_lie(repository):
    repository("9.9-1")
    ALL.install(Commands().run)
    shutil.rmtree(ALL.archives)
    repository("9.10-1")
    ALL.install(Commands().run)
    (cache_folder() / "probe-9.11-1.partial/usr/bin").mkdir(parents=True)
    (cache_folder() / "probe-9.11-1.partial/usr/bin/probe").touch()
    assert find(ALL)["program"].read_text() == "9.10-1"


@with_apt
def test_what_unstable_has_not_or_where_it_is_not_reached_is_told(repository, tmp_path):
    top = repository("1.5-1")
    other = UnstablePackages(packages=("nothing-such",), program="usr/bin/x")
    with pytest.raises(MissingError, match=r"unstable does not offer it: .*nothing-such"):
        other.install(Commands().run)
    shutil.rmtree(top)
    with pytest.raises(MissingError, match="unstable can't be reached"):
        PROBE.install(Commands().run)
    assert not [path for path in cache_folder().glob("probe-*") if path.is_dir()]
