import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from cli.program import here
from servers import url_of

CHECKOUT = Path(__file__).resolve().parents[2]


def doctor(*args, cwd, **env):
    return subprocess.run(
        [sys.executable, "-c", "from holdfast.cli import main; main()", "doctor", *args],
        cwd=cwd,
        env={**os.environ, **env},
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


def test_a_file_in_the_place_of_the_data_folder_is_told_as_that(tmp_path):
    (tmp_path / "d").write_text("a file")
    ran = here("doctor", "--json", "--data", tmp_path / "d")
    assert ran.code == 6
    found = {each["what"]: each for each in json.loads(ran.out)}
    assert "is a file; expected a folder" in found["data"]["detail"]
    assert found["data"]["advice"] == "see the setting data"
    assert "records" not in found


def test_in_a_checkout_every_test_server_is_listed_and_what_to_do_where_it_does_not_run(tmp_path):
    here = {"PYTHONPATH": str(CHECKOUT), "HOLDFAST_SERVICES_FOLDER": str(tmp_path / "none")}
    done = doctor("--json", cwd=tmp_path, **here)
    assert done.returncode == 0, done.stderr
    found = {each["what"]: each for each in json.loads(done.stdout)}
    for name in ("postgresql", "mysql", "dynoxide", "moto", "redis-cluster"):
        server = found[f"test server {name}"]
        own = os.environ.get(f"HOLDFAST_TEST_{name.upper().replace('-', '_')}_URL")
        assert own or server["state"] in {"stopped", "missing"}
        assert server["advice"] or server["state"] == "running"


def test_doctor_opens_what_the_names_of_other_programs_say(monkeypatch, tmp_path):
    server = urlsplit(url_of("minio"))
    for name, value in {
        "MINIO_ENDPOINT": f"{server.hostname}:{server.port}", "MINIO_SECURE": "false",
        "MINIO_ACCESS_KEY": server.username, "MINIO_SECRET_KEY": server.password,
        "MINIO_DEFAULT_BUCKET": f"holdfast-{uuid4().hex[:16]}", "HOLDFAST_S3_CREATE": "true",
        "REDIS_URL": url_of("redis"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    states = {each["what"]: each["state"] for each in here("doctor", "--json").json}
    assert (states["records"], states["objects"], states["cache"]) == ("ok", "ok", "ok")
    monkeypatch.setenv("DATABASE_URL", "memory://")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    states = {each["what"]: each["state"] for each in here("doctor", "--json").json}
    assert (states["records"], states["cache"]) == ("ok", "broken")


def test_doctor_asks_the_openid_provider_what_it_is(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDFAST_LOGIN_ISSUER", url_of("openid"))
    monkeypatch.setenv("HOLDFAST_LOGIN_CLIENT_ID", "holdfast")

    def login():
        return next(each for each in here("doctor", "--json").json if each["what"] == "login")

    assert "login.roles is not" in login()["detail"]
    monkeypatch.setenv("HOLDFAST_LOGIN_ROLES", "staff=viewer")
    assert (login()["state"], login()["detail"]) == (
        "ok",
        f"{url_of('openid')} answers, with logout",
    )
    monkeypatch.setenv("HOLDFAST_LOGIN_ISSUER", url_of("openid") + "/")
    assert "names itself" in login()["detail"]
