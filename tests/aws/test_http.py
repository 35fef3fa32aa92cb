"""HTTP/1.1 as a client sees it, against a server that sends exactly the bytes it is told to."""

import asyncio
import random
import socket
import threading
from contextlib import contextmanager

import pytest

from holdfast.aws.asyncio_network import AsyncioNetwork
from holdfast.aws.client import HTTPClient
from holdfast.aws.endpoint import HTTPEndpoint, endpoint_of, verified_tls
from holdfast.aws.http import Deadline, HTTPRequest, Limits, ResponseParser
from holdfast.aws.network import Network
from holdfast.aws.socket_network import SocketNetwork
from holdfast.blocking import run
from holdfast.errors import ConfigurationError

LIMITS = Limits(connect=2, read=2, total=10)
GET = HTTPRequest("GET", "/", {"host": "x"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Body:
    def __init__(self, size):
        self.size = size
        self.taken = 0

    async def windows(self):
        for start in range(0, self.size, 65536):
            window = bytes(min(65536, self.size - start))
            self.taken += len(window)
            yield window


@contextmanager
def scripted(*connections):
    """A server; each connection plays its script: bytes to send, or a number to receive."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted = []

    def serve():
        for script in connections:
            connected, _ = listener.accept()
            accepted.append(connected)
            with connected:
                for step in script:
                    if isinstance(step, bytes):
                        connected.sendall(step)
                    else:
                        received = 0
                        while received < step and (data := connected.recv(65536)):
                            received += len(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield HTTPEndpoint(False, "127.0.0.1", listener.getsockname()[1]), accepted
        thread.join(60)
        assert not thread.is_alive()


async def asked(client, request=GET):
    response = await client.send(request, Deadline(LIMITS))
    try:
        return response.status, await response.read(1_000_000)
    finally:
        response.close()


@pytest.fixture(params=["async", "blocking"])
def ask(request):
    """Send requests over one client, on either network; return what came of each."""

    def use(origin, *requests):
        async def all_of_them(network: Network):
            client = HTTPClient(network, origin, LIMITS)
            ended = []
            for one in requests:
                try:
                    ended.append(await asked(client, one))
                except OSError as error:
                    ended.append(error)
            client.close()
            return ended

        def tls():
            return verified_tls(None)

        if request.param == "async":
            return asyncio.run(all_of_them(AsyncioNetwork(tls)))
        return run(all_of_them(SocketNetwork(tls)))

    return use


def test_a_kept_connection_serves_the_next_request(ask):
    with scripted([1, OK, 1, OK, 1, OK]) as (origin, accepted):
        assert ask(origin, GET, GET, GET) == [(200, b"ok")] * 3
    assert len(accepted) == 1


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        OK + b"surplus",
        OK + OK,
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nok",
    ],
    ids=["asked to close", "surplus", "an answer too many", "HTTP/1.0", "until the end"],
)
def test_a_connection_in_doubt_is_not_used_again(ask, first):
    with scripted([1, first], [1, OK]) as (origin, accepted):
        assert ask(origin, GET, GET) == [(200, b"ok")] * 2
    assert len(accepted) == 2


def test_a_kept_connection_that_died_is_replaced(ask):
    with scripted([1, OK, 1], [1, OK]) as (origin, _):
        assert ask(origin, GET, GET) == [(200, b"ok")] * 2


def test_a_request_that_is_not_repeatable_is_sent_once(ask):
    once = HTTPRequest("GET", "/", {"host": "x"}, repeatable=False)
    with scripted([1, OK, 1]) as (origin, _):
        first, second = ask(origin, GET, once)
        assert first == (200, b"ok")
        assert isinstance(second, ConnectionError)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"",
    ],
    ids=[
        "short",
        "no last chunk",
        "two lengths",
        "half a head",
        "no HTTP",
        "upgrade",
        "endless head",
        "nothing",
    ],
)
def test_an_answer_that_is_not_whole_is_an_error(ask, answer):
    with scripted([1, answer]) as (origin, _):
        (ended,) = ask(origin, GET)
        assert isinstance(ended, ConnectionError)


def test_chunks_trailers_and_interim_answers_are_understood(ask):
    chunked = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    )
    with scripted([1, chunked, 1, OK]) as (origin, accepted):
        assert ask(origin, GET, GET) == [(200, b"abcde"), (200, b"ok")]
    assert len(accepted) == 1


def test_a_head_has_no_body_whatever_its_length_says(ask):
    head = HTTPRequest("HEAD", "/", {"host": "x"})
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with scripted([1, answer, 1, OK]) as (origin, accepted):
        assert ask(origin, head, GET) == [(200, b""), (200, b"ok")]
    assert len(accepted) == 1


def test_a_server_that_wants_no_body_is_sent_none(ask):
    body = Body(8 * 1024 * 1024)
    put = HTTPRequest("PUT", "/", {"host": "x", "content-length": str(body.size)}, body)
    refused = b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"
    with scripted([1, refused], [1, OK]) as (origin, accepted):
        assert ask(origin, put, GET) == [(412, b""), (200, b"ok")]
    assert body.taken == 0
    assert len(accepted) == 2  # the server may still wait for the body on the first


def test_a_body_goes_when_the_server_says_so(ask):
    body = Body(2 * 1024 * 1024)
    put = HTTPRequest("PUT", "/", {"host": "x", "content-length": str(body.size)}, body)
    go = b"HTTP/1.1 100 Continue\r\n\r\n"
    with scripted([1, go, body.size, OK]) as (origin, _):
        assert ask(origin, put) == [(200, b"ok")]


def test_an_answer_in_the_middle_of_the_body_ends_the_sending(ask):
    body = Body(64 * 1024 * 1024)
    put = HTTPRequest("PUT", "/", {"host": "x", "content-length": str(body.size)}, body)
    go = b"HTTP/1.1 100 Continue\r\n\r\n"
    slow = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
    with scripted([1, go, 1_000_000, slow, 70_000_000], [1, OK]) as (origin, _):
        assert ask(origin, put, GET) == [(503, b""), (200, b"ok")]
    assert body.taken < body.size


def test_any_bytes_are_an_answer_or_a_connection_error():
    chance = random.Random(7)
    seeds = [OK, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]
    for _ in range(20_000):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 5)):
            position = chance.randrange(len(data))
            data[position : position + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
        incoming = ResponseParser(bodiless=chance.random() < 0.2)
        try:
            cut = chance.randrange(len(data) + 1)
            incoming.feed(bytes(data[:cut]))
            incoming.feed(bytes(data[cut:]))
            incoming.end()
        except ConnectionError:
            continue
        assert incoming.done
        assert 200 <= incoming.status <= 999


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://x", "http://", "http://u@x", "http://x/path", "http://x:99999", "http://x?q"],
)
def test_what_is_no_endpoint_is_refused(url):
    with pytest.raises(ConfigurationError):
        endpoint_of(url)
