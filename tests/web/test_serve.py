"""`holdfast serve` as a process: it starts or says why not, and its end loses no write."""

import signal
import socket
import threading
from contextlib import contextmanager

import httpx
import pytest

from cli.program import end_all, environment, here, start, wait_until


@pytest.fixture(autouse=True)
def _no_process_left(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    yield
    end_all()


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def served(tmp_path, port, *options):
    process = start(
        "serve", "--port", port, "--data", tmp_path / "data", "--no-worker", *options,
        env=environment(), cwd=tmp_path,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def is_ready():
        assert process.poll() is None, process.stderr.read().decode()
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(is_ready, "the server", pause=0.1)
        yield process, url
    finally:
        process.terminate()
        process.communicate(timeout=120)


def test_sigterm_under_load_loses_no_write_that_was_acknowledged(tmp_path, port):
    acknowledged, odd, told = [], [], threading.Event()

    def write(number, url):
        with httpx.Client(base_url=f"{url}/api/v1", timeout=60) as client:
            for turn in range(10_000):
                name = f"{number}-{turn}"
                try:
                    answer = client.post("/projects", json={"name": name})
                except httpx.TransportError:
                    return
                if answer.status_code == 201:
                    acknowledged.append(name)
                elif answer.status_code != 503:
                    odd.append(answer.text)
                if len(acknowledged) >= 40:
                    told.set()

    with served(tmp_path, port) as (process, url):
        writers = [threading.Thread(target=write, args=(number, url)) for number in range(4)]
        for each in writers:
            each.start()
        assert told.wait(120)
        process.send_signal(signal.SIGTERM)
        for each in writers:
            each.join()
        assert process.wait(120) in (0, -signal.SIGTERM)
    assert not odd
    with served(tmp_path, port) as (_, url), httpx.Client(base_url=f"{url}/api/v1") as client:
        kept, cursor = set(), {}
        while True:
            page = client.get("/projects", params={"size": 200, **cursor}).json()
            kept |= {each["name"] for each in page["items"]}
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
    assert set(acknowledged) <= kept


def test_a_port_that_is_taken_is_said_in_one_line_and_nothing_is_announced(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = here("serve", "--port", port, "--data", tmp_path / "data")
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert f"nothing can listen on 127.0.0.1:{port}: Address already in use" in line


def test_what_is_announced_takes_connections(tmp_path, port):
    process = start(
        "serve", "--port", port, "--data", tmp_path / "data", "--no-worker", env=environment()
    )
    assert process.stderr.readline().decode() == (
        f"Serving on http://127.0.0.1:{port}/console/; "
        f"its API is told at http://127.0.0.1:{port}/docs\n"
    )
    assert httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode in (0, 130, -signal.SIGINT)


def test_with_keys_a_caller_shows_one(tmp_path, port):
    data = ("--data", tmp_path / "data")
    refused = here("serve", "--keys", *data)
    assert (refused.code, "holdfast keys issue" in refused.err) == (2, True)
    issued = here("keys", "issue", "me", "--role", "admin", "--json", *data).json
    assert issued["role"] == "admin"
    headers = {"Authorization": f"Bearer {issued['secret']}"}
    with served(tmp_path, port, "--keys") as (_, url):
        assert httpx.get(f"{url}/api/v1/me").status_code == 401
        assert httpx.get(f"{url}/api/v1/me", headers=headers).json()["name"] == "me"
        assert here("keys", "revoke", issued["id"], *data).code == 0
        assert httpx.get(f"{url}/api/v1/me", headers=headers).status_code == 401


def test_the_commands_of_keys_say_what_there_is(tmp_path):
    data = ("--data", tmp_path / "data")
    assert here("keys", "issue", "ops", "--role", "boss", *data).code == 2
    issued = here("keys", "issue", "ops", "--days", "1", *data)
    secret = issued.out.strip()
    assert secret.startswith("hf_")
    [listed] = here("keys", "list", "--json", *data).json
    assert (listed["name"], listed["role"]) == ("ops", "viewer")
    assert secret[36:] not in here("keys", "list", *data).out
    rotated = here("keys", "rotate", listed["id"], "--hours", "0", *data)
    assert rotated.out.strip() != secret
    here("keys", "revoke", listed["id"], *data)
    assert here("keys", "list", "--json", *data).json[0]["revoked_at"]
    assert here("keys", "rotate", listed["id"], *data).code == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "--keys"),
        (("--allowed-host", "api.example"), "--keys"),
        (("--allowed-origin", "api.example"), "scheme"),
        (("--port", "0"), "port"),
    ],
)
def test_what_would_not_do_is_said_before_anything_is_opened(tmp_path, options, said):
    ran = here("serve", *options, "--data", tmp_path / "data")
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "data").exists()
