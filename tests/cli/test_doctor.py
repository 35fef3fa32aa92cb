import json
import subprocess
import sys


def doctor(*args, cwd):
    return subprocess.run(
        [sys.executable, "-c", "from holdfast.cli import main; main()", "doctor", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_a_new_installation_is_said_to_be_well_and_nothing_is_made(tmp_path):
    done = doctor("--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = {each["what"]: each for each in json.loads(done.stdout)}
    assert {"Python", "holdfast", "disk", "data"} <= found.keys()
    assert {each["state"] for each in found.values()} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_found_and_named(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "holdfast.db").write_bytes(b"no database" * 1000)
    done = doctor("--json", "--data", "d", cwd=tmp_path)
    assert done.returncode == 6
    (records,) = [each for each in json.loads(done.stdout) if each["what"] == "records"]
    assert records["state"] == "broken"
    assert "no SQLite database" in records["detail"]
