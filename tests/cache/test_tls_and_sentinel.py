"""TLS and Sentinel, with real servers."""

import asyncio
import re
import shutil
import socket
import socketserver
import subprocess
import threading

import pytest
from tools.services.lifecycle import start, stop
from tools.services.redis import REDIS

from cache.servers import RedisServer
from cache.states import counter, is_up
from holdfast.cache import CacheOptions, Outcome, open_cache, sync
from holdfast.errors import ConfigurationError
from servers import free_port, require

pytestmark = pytest.mark.anyio

QUICK = CacheOptions(timeout=1.0)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    require("openssl")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def tls_port(tmp_path, certificates):
    require("redis-server")
    port = free_port()
    options = ["--tls-port", str(port), "--tls-auth-clients", "no"]
    files = ["--tls-cert-file", f"{certificates}/cert.pem", "--tls-key-file"]
    with RedisServer(tmp_path, *options, *files, f"{certificates}/key.pem"):
        yield port


async def test_tls_with_a_certificate_that_is_known(tls_port, certificates):
    url = f"rediss://localhost:{tls_port}/0?ca={certificates}/cert.pem"
    async with open_cache(url) as cache:
        assert await cache.set("k", b"x" * 300_000) is Outcome.APPLIED
        assert await cache.get("k") == b"x" * 300_000
    with sync.open_cache(url) as cache:
        assert cache.set("k", b"y" * 300_000) is Outcome.APPLIED
        assert cache.get("k") == b"y" * 300_000


@pytest.fixture
def hanging_up():
    """The port of a server that hangs up as soon as anything is said to it."""

    class HangUp(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65_536)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangUp) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_tls_with_a_certificate_that_nobody_vouches_for_is_refused(tls_port, host):
    url = f"rediss://{host}:{tls_port}/0"
    said = f"redis {host}:{tls_port} is not trusted: self-signed certificate"
    with pytest.raises(ConfigurationError, match=said):
        async with open_cache(url):
            pass
    with pytest.raises(ConfigurationError, match=said), sync.open_cache(url):
        pass


async def test_tls_with_a_certificate_of_another_host_is_refused(tls_port, certificates):
    url = f"rediss://127.1:{tls_port}/0?ca={certificates}/cert.pem"
    with pytest.raises(ConfigurationError, match=r"not trusted: .*'127.1'"):
        async with open_cache(url):
            pass
    with pytest.raises(ConfigurationError, match=r"not trusted: .*'127.1'"):
        sync.open_cache(url).__enter__()


@pytest.mark.parametrize("ca", ["nowhere.pem", "folder", "empty.pem", "nul%00"])
async def test_a_file_without_certificates_is_refused_by_name(tmp_path, ca):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.pem").touch()
    url = f"rediss://localhost:{free_port()}/0?ca={tmp_path}/{ca}"
    said = f"{ca.partition('%')[0]}.* holds no certificates"
    with pytest.raises(ConfigurationError, match=said):
        async with open_cache(url):
            pass
    with pytest.raises(ConfigurationError, match=said), sync.open_cache(url):
        pass


async def test_tls_with_a_server_that_speaks_none_is_away_and_says_why(hanging_up):
    url = f"rediss://127.0.0.1:{hanging_up}"
    said = r"\(redis 127.0.0.1:\d+: by TLS: \w+Error"
    async with open_cache(url) as cache:
        assert not is_up(cache)
        assert re.search(said, (await cache.health()).detail)
    with sync.open_cache(url) as cache:
        assert not is_up(cache)
        assert re.search(said, cache.health().detail)


async def test_a_server_that_answers_no_connection_is_away_and_says_for_how_long():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"rediss://127.0.0.1:{mute.getsockname()[1]}?timeout=0.2"
        async with open_cache(url) as cache:
            assert "by TLS: no connection in 0.2 s)" in (await cache.health()).detail
        with sync.open_cache(url) as cache:
            assert "by TLS: no connection in 0.2 s)" in cache.health().detail


async def test_the_urls_that_make_services_prints_open_a_cache_as_they_are(tmp_path):
    require("redis-server")
    require("openssl")
    folder = tmp_path / "one #1 & 100%"
    [outcome] = start([REDIS], folder, say=lambda _: None)
    try:
        assert outcome.failure is None
        assert sorted(outcome.urls) == ["redis", "redis-tls"]
        for url in outcome.urls.values():
            async with open_cache(url) as cache:
                assert await cache.set("k", "v") is Outcome.APPLIED
                assert await cache.get("k") == "v"
    finally:
        stop([REDIS], folder)


async def test_sentinels_name_the_primary_also_after_a_failover(tmp_path):
    require("redis-server")
    for name in ("one", "two", "sentinel"):
        (tmp_path / name).mkdir()
    with RedisServer(tmp_path / "one") as one:
        replica = RedisServer(tmp_path / "two", "--replicaof", "127.0.0.1", str(one.port))
        config = tmp_path / "sentinel" / "sentinel.conf"
        config.write_text(
            f"sentinel monitor main 127.0.0.1 {one.port} 1\n"
            "sentinel down-after-milliseconds main 300\n"
            "sentinel failover-timeout main 2000\n"
        )
        watcher = RedisServer(tmp_path / "sentinel", str(config), "--sentinel")
        with replica, watcher:
            nobody = free_port()
            url = f"redis+sentinel://127.0.0.1:{nobody},127.0.0.1:{watcher.port}/main/0"
            async with open_cache(url, options=QUICK) as cache:
                assert await cache.set("k", "old") is Outcome.APPLIED
                await _until(lambda: _replicas(watcher) == 1)
                await _until(lambda: replica.ask("EXISTS", "holdfast:k:k") == ":1")
                one.kill()
                assert await cache.invalidate(keys=["k"]) is Outcome.PENDING
                await _until(lambda: is_up(cache), seconds=120)
                assert await cache.get("k") is None
                assert await cache.set("k", "new") is Outcome.APPLIED
                assert replica.ask("GET", "holdfast:k:k") == "$4"
            async with open_cache(f"{url}?near=0.2", options=QUICK) as cache:
                assert [await cache.get("k") for _ in range(9)] == ["new"] * 9
                assert counter(cache, "near_hits") > 0
            with sync.open_cache(url, options=QUICK) as cache:
                assert cache.get("k") == "new"
            with sync.open_cache(url.replace("/main", "/other"), options=QUICK) as cache:
                assert "no 'other'" in cache.health().detail


def _replicas(sentinel):
    command = [shutil.which("redis-cli"), "-p", str(sentinel.port), "INFO", "sentinel"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(text.partition("slaves=")[2].partition(",")[0])


async def _until(look, seconds=60):
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.02)
