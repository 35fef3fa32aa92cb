"""A disk that refuses and files that change: a clear error, nothing left, and then it goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from cli.agreement import disagreements
from cli.program import PROGRAM, Ran, data_files, environment, here, start, wait_until


@pytest.fixture
def small_disk():
    """Mounts a file system of so many KiB, once, and takes it away afterwards."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = Path(tempfile.mkdtemp())

    def mount(size):
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode != 0:
            pytest.skip(f"this system lets nobody mount: {mounted.stderr.strip()}")
        return folder

    yield mount
    subprocess.run(["umount", folder], check=False, capture_output=True)
    folder.rmdir()


def enlarge(folder):
    subprocess.run(["mount", "-o", "remount,size=16m", folder], check=True)


def leave(spare, folder):
    """Make the file system in *folder* so small that *spare* KiB of it are free."""
    size = shutil.disk_usage(folder).used // 1024 + spare
    subprocess.run(["mount", "-o", f"remount,size={size}k", folder], check=True)


@pytest.mark.parametrize("size", [60, 200, 300])
def test_an_ingest_into_a_full_disk_leaves_nothing_and_can_be_repeated(films, small_disk, size):
    disk = small_disk(size)
    data = disk / "data"
    ran = here("ingest", films / "long.mp4", "--data", data)
    assert ran.code == 6, ran.err
    assert "full" in ran.err or "No space left" in ran.err
    assert ran.err.count("\n") == 1
    assert data_files(data) == []
    enlarge(disk)
    assert here("ingest", films / "long.mp4", "--data", data).code == 0
    assert here("worker", "--once", "--data", data).code == 0
    assert disagreements(data) == []


def test_a_worker_on_a_full_disk_tries_the_job_again_once_there_is_room(
    films, small_disk, monkeypatch
):
    monkeypatch.setenv("HOLDFAST_LEASE", "1")
    disk = small_disk(16 << 10)
    data = disk / "data"
    assert here("ingest", films / "long.mp4", "--data", data).code == 0
    leave(100, disk)
    ran = here("worker", "--once", "--data", data)
    # The disk is full for the results, or already for a lease that is renewed meanwhile.
    assert ran.code in (6, 7), (ran.out, ran.err)
    assert ("is tried again from" in ran.err) == (ran.code == 7)
    assert "No space left" in ran.err or "disk is full" in ran.err
    assert list((data / "work").glob("*")) == []
    enlarge(disk)
    worker = start("worker", "--data", data, env=environment(HOLDFAST_LEASE="1"))
    try:
        wait_until(lambda: _done(data) or worker.poll() is not None, "the work", pause=0.2)
        assert worker.poll() is None
    finally:
        worker.terminate()
        worker.communicate(timeout=120)
    assert disagreements(data) == []


def _done(data):
    return here("videos", "--data", data, "--json").json[0]["state"] == "done"


def test_a_database_that_is_opened_on_a_full_disk_says_that_it_is_full(small_disk):
    disk = small_disk(16 << 10)
    data = disk / "data"
    assert here("keys", "issue", "ann", "--data", data).code == 0
    leave(0, disk)
    ran = here("keys", "list", "--data", data)
    assert ran.code == 6
    assert "the disk is full" in ran.err
    doctor = here("doctor", "--data", data)
    assert "scarce" in doctor.out
    assert "0 bytes free" in doctor.out
    enlarge(disk)
    assert here("keys", "list", "--data", data).code == 0


@pytest.fixture
def shared():
    """A folder that everybody can reach, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def unprivileged(*args, cwd):
    """As a user to whom the modes of files apply: root is without what lets it pass them."""
    wrapper = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write anywhere, and there is no setpriv to take that away")
        wrapper = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode != 0:
            pytest.skip("this root may not give rights away")
    done = subprocess.run(
        [*wrapper, *PROGRAM, *args],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment(),
        timeout=240,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", ["doctor", "videos", "upkeep"])
def test_a_data_folder_that_nobody_may_look_at_is_told(shared, command):
    hidden = shared / "hidden"
    (hidden / "data").mkdir(parents=True)
    hidden.chmod(0o000)
    if os.geteuid() == 0:
        os.chown(hidden, 65534, 65534)  # what is root's own, root may look at
    ran = unprivileged(command, "--data", str(hidden / "data"), cwd=shared)
    hidden.chmod(0o700)
    assert ran.code == 6, ran.err
    said = ran.out if command == "doctor" else ran.err
    assert "can't be looked at: Permission denied" in said


def test_a_folder_that_may_not_be_written_is_refused(films, shared):
    shutil.copy(films / "a.mp4", shared / "a.mp4")
    (shared / "a.mp4").chmod(0o644)
    shared.chmod(0o555)
    ran = unprivileged("ingest", "a.mp4", cwd=shared)
    shared.chmod(0o755)
    assert ran.code == 6
    assert "can't be made: Permission denied" in ran.err
    assert ran.err.count("\n") == 1
    assert [path.name for path in shared.iterdir()] == ["a.mp4"]


def test_a_data_folder_of_somebody_else_is_refused_and_stays_as_it_is(films, shared):
    data = shared / "data"
    shutil.copy(films / "c.avi", shared / "c.avi")
    (shared / "c.avi").chmod(0o644)
    assert here("ingest", films / "a.mp4", "--data", data).code == 0
    assert here("worker", "--once", "--data", data).code == 0
    subprocess.run(["chmod", "-R", "a-w", data], check=True)
    for arguments in (["ingest", "c.avi"], ["worker", "--once"]):
        ran = unprivileged(*arguments, "--data", "data", cwd=shared)
        assert ran.code == 6, ran.err
        assert ran.err.count("\n") == 1
        assert "Traceback" not in ran.err
    subprocess.run(["chmod", "-R", "u+w", data], check=True)
    assert disagreements(data) == []


def test_a_file_that_may_not_be_read_is_named(films, shared):
    shutil.copy(films / "a.mp4", shared / "secret.mp4")
    (shared / "secret.mp4").chmod(0o000)
    shutil.copy(films / "c.avi", shared / "c.avi")
    (shared / "c.avi").chmod(0o644)
    shared.chmod(0o777)
    ran = unprivileged("ingest", "secret.mp4", "c.avi", cwd=shared)
    assert ran.code in (4, 6)
    assert "secret.mp4" in ran.err
    assert "ermission" in ran.err
    assert "c.avi: queued" in ran.out


def test_a_file_that_grows_meanwhile_is_refused_and_nothing_of_it_kept(films, data, tmp_path):
    growing = tmp_path / "growing.mp4"
    content = (films / "c.avi").read_bytes()
    growing.write_bytes(content + b"\0" * 50_000_000)
    over = threading.Event()

    def grow():
        with growing.open("ab", buffering=0) as file:
            while not over.is_set():
                file.write(b"\0" * 1000)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        ran = here("ingest", growing, films / "a.mp4", "--data", data)
    finally:
        over.set()
        writer.join()
    assert ran.code == 4
    assert "growing.mp4" in ran.err
    assert "changed" in ran.err or "being written" in ran.err
    assert "a.mp4: queued" in ran.out
    assert len(data_files(data)) == 2
