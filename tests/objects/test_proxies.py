"""Requests through an HTTP proxy that the environment names, and past it."""

import asyncio
import select
import socket
import ssl
from contextlib import contextmanager

import pytest

from holdfast.aws.endpoint import HTTPEndpoint
from holdfast.aws.proxy import proxy_for
from holdfast.errors import ConfigurationError
from holdfast.objects import open_bucket, sync
from objects.faulty_s3 import BUCKET, FaultyS3
from objects.socket_server import serving

OUTSIDE = HTTPEndpoint(True, "s3.example.com", 443)


@contextmanager
def proxy(certificate_host="127.0.0.1"):
    """A proxy that keeps the head of each request it gets, and passes it on to the port in it."""
    heads = []

    def serve(client):
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(65536)
            if not data:
                return
            head += data
        line, _, rest = head.partition(b"\r\n")
        heads.append(head)
        method, target, _ = line.split(b" ")
        if method == b"CONNECT":
            place, onward = target, b""
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            place, _, path = target.removeprefix(b"http://").partition(b"/")
            onward = b"%s /%s HTTP/1.1\r\n%s" % (method, path, rest)
        port = int(place.rpartition(b":")[2])
        with socket.create_connection((certificate_host, port)) as server:
            server.sendall(onward)
            ends = {client: server, server: client}
            while True:
                for ready in select.select([*ends], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is client and method != b"CONNECT" and b"http://" in data:
                        heads.append(data)
                        line, _, rest = data.partition(b"\r\n")
                        method, target, _ = line.split(b" ")
                        path = target.removeprefix(b"http://").partition(b"/")[2]
                        data = b"%s /%s HTTP/1.1\r\n%s" % (method, path, rest)
                    ends[ready].sendall(data)

    with serving(serve) as port:
        yield f"http://user:pass%40word@127.0.0.1:{port}", heads


@pytest.fixture
def clean(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.fixture(params=["async", "blocking"])
def put_and_get(request):
    def use(options):
        if request.param == "blocking":
            with sync.open_bucket(f"s3://{BUCKET}", options=options) as bucket:
                bucket.put("k", b"v" * 100_000)
                return bucket.get("k")

        async def main():
            async with open_bucket(f"s3://{BUCKET}", options=options) as bucket:
                await bucket.put("k", b"v" * 100_000)
                return await bucket.get("k")

        return asyncio.run(main())

    return use


def test_plain_requests_name_the_server_to_the_proxy(clean, put_and_get):
    with FaultyS3().running() as server, proxy() as (url, heads):
        clean.setenv("HTTP_PROXY", url)
        assert put_and_get(server.options()) == b"v" * 100_000
        assert heads[0].startswith(b"HEAD http://127.0.0.1:")
        assert b"proxy-authorization: Basic dXNlcjpwYXNzQHdvcmQ=" in heads[0]


def test_a_secure_server_is_reached_through_a_tunnel(clean, put_and_get, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with FaultyS3().running(context) as server, proxy() as (url, heads):
        clean.setenv("https_proxy", url)
        options = server.options(
            endpoint_url=f"https://localhost:{server.port}", ca_bundle=str(certificate[0])
        )
        assert put_and_get(options) == b"v" * 100_000
        assert heads[0].startswith(b"CONNECT localhost:")


def test_no_proxy_goes_past_it(clean, put_and_get):
    with FaultyS3().running() as server, proxy() as (url, heads):
        clean.setenv("http_proxy", url)
        clean.setenv("no_proxy", "other, 127.0.0.0/8")
        assert put_and_get(server.options()) == b"v" * 100_000
        assert heads == []


@pytest.mark.parametrize(
    ("listed", "host", "port", "direct"),
    [
        ("*", "s3.example.com", 443, True),
        ("example.com", "s3.example.com", 443, True),
        (".example.com", "s3.example.com", 443, True),
        ("*.example.com", "s3.example.com", 443, True),
        ("ample.com", "s3.example.com", 443, False),
        ("S3.Example.Com", "s3.example.com", 443, True),
        ("example.com:443", "s3.example.com", 443, True),
        ("example.com:8443", "s3.example.com", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 9000, True),
        ("10.0.0.0/8", "11.1.2.3", 9000, False),
        ("10.1.2.3:9000", "10.1.2.3", 9000, True),
        ("10.1.2.3:9001", "10.1.2.3", 9000, False),
        ("::1", "::1", 9000, True),
        ("[::1]:9000", "::1", 9000, True),
        ("fd00::/8", "fd00::7", 9000, True),
        ("1.2.3", "10.1.2.3", 9000, False),
        ("a.test b.test,c.test", "b.test", 80, True),
        ("", "s3.example.com", 443, False),
        ("[,]:x/99,:", "s3.example.com", 443, False),
    ],
)
def test_no_proxy_understands_hosts_ports_and_networks(listed, host, port, direct):
    environment = {"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": listed}
    found = proxy_for(HTTPEndpoint(True, host, port), environment)
    assert (found is None) is direct


def test_the_environments_names_count_in_order():
    def named(**environment):
        found = proxy_for(OUTSIDE, environment)
        return found and (found.host, found.port)

    assert named() is None
    assert named(http_proxy="http://a") is None
    assert named(ALL_PROXY="b:81") == ("b", 81)
    assert named(https_proxy="http://a", HTTPS_PROXY="http://b", all_proxy="http://c") == ("a", 80)
    plain = HTTPEndpoint(False, "x", 80)
    assert proxy_for(plain, {"HTTP_PROXY": "http://a", "REQUEST_METHOD": "GET"}) is None


@pytest.mark.parametrize("url", ["socks5://p:1", "https://p", "http://", "http://p:99999", "x://"])
def test_a_proxy_that_is_not_spoken_to_is_refused_by_name(url):
    with pytest.raises(ConfigurationError, match="NO_PROXY"):
        proxy_for(OUTSIDE, {"HTTPS_PROXY": url})


def test_the_password_of_a_proxy_is_not_shown():
    environment = {"HTTPS_PROXY": "socks5://user:secret@p:1"}
    with pytest.raises(ConfigurationError) as caught:
        proxy_for(OUTSIDE, environment)
    assert "secret" not in str(caught.value)
    found = proxy_for(OUTSIDE, {"HTTPS_PROXY": "http://user:secret@p:1"})
    assert "secret" not in repr(found)
    assert "Basic" not in repr(found)
