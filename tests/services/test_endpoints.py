import socket
import threading

import pytest
from tools.services.endpoints import endpoints, known, rows, variable
from tools.services.failure import NotReadyError, StateError

SCHEMES = {"postgresql": "postgresql", "pgbouncer": "postgresql", "mariadb": "mariadb"}
GREETINGS = {
    "nothing": b"",
    "another protocol": b"220 mail.example ESMTP ready, what do you want to send today?\r\n" * 8,
    "a web server": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    + b" " * 99,
    "a web server in trouble": b"HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\n<a>",
}


@pytest.fixture
def impostor():
    """Listens, says the same to everybody, and hangs up."""
    listeners = []

    def listen(greeting):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1)
                    connection.sendall(greeting)

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    yield listen
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def url(name, port):
    scheme = SCHEMES.get(name, name.replace("-", "+") if name.startswith("redis-") else "http")
    return f"{ {'redis': 'redis', 'redis-tls': 'rediss'}.get(name, scheme) }://127.0.0.1:{port}/x"


def kinds():
    return [name for name in known() if name != "mariadb"]


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=list(GREETINGS))
def test_no_other_service_is_taken_for_a_server(greeting, impostor):
    port = impostor(greeting)
    for name in kinds():
        if name == "toxiproxy" and b"200 OK" in greeting:
            continue  # its answer is a page like any other
        with pytest.raises((NotReadyError, OSError)):
            known()[name].ping(url(name, port))


def test_mariadb_speaks_first_so_another_greeting_is_refused(impostor):
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:

        def greet():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"\x09\x00\x00\x00" + b"+OK hello")

        speaker = threading.Thread(target=greet)
        speaker.start()
        with pytest.raises(NotReadyError, match="not MySQL's protocol"):
            known()["mariadb"].ping(f"mariadb://127.0.0.1:{listener.getsockname()[1]}")
        speaker.join()


def test_nothing_runs_in_a_folder_never_used(folder):
    assert endpoints(folder) == {}
    assert {row.state for row in rows(folder)} <= {"stopped", "missing"}
    assert [row.name for row in rows(folder)] == list(known())


def test_every_row_that_does_not_run_says_what_to_do(folder):
    assert all(row.how for row in rows(folder))


def test_a_server_of_ones_own_that_does_not_answer_is_said_and_left_out(folder, monkeypatch):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and never listens
        own = f"redis://127.0.0.1:{reserved.getsockname()[1]}/0"
        monkeypatch.setenv("HOLDFAST_TEST_REDIS_URL", own)
        assert "redis" not in endpoints(folder)
        [row] = [row for row in rows(folder) if row.name == "redis"]
    assert (row.state, row.url) == ("stopped", own)
    assert "HOLDFAST_TEST_REDIS_URL is set" in row.how


@pytest.mark.parametrize("wrong", ["nonsense", "redis://", "redis://host:x", "redis://host:99999"])
def test_an_unusable_url_in_the_environment_is_an_error_that_quotes_it(folder, monkeypatch, wrong):
    monkeypatch.setenv("HOLDFAST_TEST_REDIS_URL", wrong)
    with pytest.raises(StateError, match=wrong):
        endpoints(folder)


def test_names_with_a_hyphen_have_variables_with_an_underscore():
    assert variable("redis-tls") == "HOLDFAST_TEST_REDIS_TLS_URL"
