"""What receivers may do: addresses that are no business of theirs, answers that never end."""

import asyncio
import ssl
from ipaddress import ip_address

import pytest
from tools.services import certificate

from holdfast.errors import InvalidValueError, PermanentError
from holdfast.jobs import Job, JobStatus
from holdfast.webhooks import ReceiverNetworks, Webhooks, WebhookSender
from holdfast.webhooks.receiver import Receiver
from webhooks.conftest import LOOPBACK, receiving, status, told, work

pytestmark = pytest.mark.anyio

PRIVATE = [
    "127.0.0.1", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.100.100.200",
    "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "168.63.129.16", "192.0.0.192",
    "::", "::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::7f00:1", "fe80::1", "fc00::1",
    "fd00:ec2::254", "ff02::1", "fec0::1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
    "2001:0:0:0:0:0:80ff:fffe", "2001:db8::1", "64:ff9b:1::1", "192.88.99.1",
    "198.18.0.1", "3fff::1", "fe80::1%eth0",
]  # fmt: skip


def resolving(*addresses):
    calls = []

    async def resolve(host, port):
        calls.append(host)
        return list(addresses)

    return calls, resolve


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_not_permitted(address):
    assert not ReceiverNetworks().permits(ip_address(address), secure=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_a_public_address_is_permitted_by_tls_alone(address):
    assert ReceiverNetworks().permits(ip_address(address), secure=True)
    everywhere = ReceiverNetworks.of(["0.0.0.0/0", "::/0"])
    assert not everywhere.permits(ip_address(address), secure=False)


def test_a_network_that_is_allowed_is_permitted_and_no_other():
    networks = ReceiverNetworks.of(["10.1.0.0/16"])
    assert networks.permits(ip_address("10.1.2.3"), secure=True)
    assert networks.permits(ip_address("::ffff:10.1.2.3"), secure=True)
    assert not networks.permits(ip_address("10.2.0.1"), secure=True)
    assert not networks.permits(ip_address("10.1.2.3"), secure=False)


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["169.254.169.254"], ["::ffff:10.0.0.1"], ["1.1.1.1", "10.0.0.1"]]
)
async def test_a_name_that_resolves_to_such_an_address_is_refused_for_good(
    store, receiver, addresses
):
    _, resolve = resolving(*addresses)
    webhooks = Webhooks(store, WebhookSender(resolve=resolve))
    webhook = (await webhooks.subscribe("https://evil.example/", ["*"])).webhook
    await store.record_event("model.promoted", entity="ModelAlias", key="a")
    await work(webhooks)
    ((answer, error),) = await told(webhooks, webhook)
    assert answer is None
    assert "not in a network that is allowed" in error
    assert (await store.repository(Job).first()).status is JobStatus.FAILED


async def test_this_machine_is_not_reached_by_its_real_name(receiver):
    with pytest.raises(PermanentError, match="localhost is at"):
        await WebhookSender().post(Receiver.of(receiver.url), {}, b"")
    secure = Receiver.of(receiver.url.replace("http:", "https:"))
    with pytest.raises(PermanentError, match="localhost is at"):
        await WebhookSender().post(secure, {}, b"")
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "https://a@example.com/",
        "https://example.com/#a", "https://example.com/a b", "https://example.com/\r\nx: y",
        "https://ex\u00e4mple.com/", "https://example.com:0/", "https://example.com:99999/",
        "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest", "https://exa%6dple.com/",
    ],
)  # fmt: skip
async def test_a_url_that_can_t_be_reached_is_refused_at_once(store, url):
    with pytest.raises(InvalidValueError, match=r"Webhook\.url"):
        await Webhooks(store).subscribe(url, ["*"])


async def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(receiver):
    calls, resolve = resolving("127.0.0.1")
    sender = WebhookSender(LOOPBACK, resolve=resolve)
    url = f"http://rebinding.example:{receiver.port}/"
    assert await sender.post(Receiver.of(url), {}, b"x") == 204
    assert calls == ["rebinding.example"], "a second look-up could have another answer"
    assert receiver.requests[0].headers["host"] == f"rebinding.example:{receiver.port}"


async def endless_head(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x: " + b"y" * 1000 + b"\r\n")
        await writer.drain()


async def endless_interim(writer):
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()


async def endless_body(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"y" * 1000)
        await writer.drain()


async def silence(writer):
    await asyncio.Event().wait()


async def drip(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (endless_head, "head exceeds"),
        (endless_interim, "head exceeds"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not an answer"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not an answer"),
        (b"HTTP/1.1 200 OK\r\n", "closed before"),
        (b"", "closed before"),
    ],
)
async def test_what_is_no_answer_is_a_failure(receiver, answer, message):
    receiver.answers = [answer]
    with pytest.raises(ConnectionError, match=message):
        await WebhookSender(LOOPBACK).post(Receiver.of(receiver.url), {}, b"x")


async def test_a_body_without_an_end_is_not_read(receiver):
    receiver.answers = [endless_body]
    assert await WebhookSender(LOOPBACK).post(Receiver.of(receiver.url), {}, b"x") == 200


@pytest.mark.parametrize("answer", [silence, drip])
async def test_an_answer_that_does_not_come_in_time_is_a_failure(store, answer):
    webhooks = Webhooks(store, WebhookSender(LOOPBACK, seconds=0.2))
    async with receiving() as slow:
        slow.answers = [answer]
        webhook = (await webhooks.subscribe(slow.url, ["*"])).webhook
        await webhooks.ping(webhook.id)
        await work(webhooks)
        assert await told(webhooks, webhook) == [(None, "no answer in time")]


async def test_a_name_that_takes_for_ever_is_bounded_too(receiver):
    async def resolve(host, port):
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await WebhookSender(LOOPBACK, resolve=resolve, seconds=0.05).post(
            Receiver.of(receiver.url), {}, b""
        )


async def test_the_certificate_is_verified_for_the_name_though_the_address_is_pinned(tmp_path):
    assert certificate.make(tmp_path / "tls"), "openssl is needed"
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(tmp_path / "tls/server.crt", tmp_path / "tls/server.key")
    trusting = ssl.create_default_context(cafile=tmp_path / "tls/ca.crt")
    _, resolve = resolving("127.0.0.1")
    async with receiving(ssl=served) as receiver:
        receiver.answers = [status(200)]
        known = Receiver.of(f"https://localhost:{receiver.port}/")
        other = Receiver.of(f"https://other.example:{receiver.port}/")
        sender = WebhookSender(LOOPBACK, tls=lambda: trusting, resolve=resolve)
        assert await sender.post(known, {}, b"x") == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            await sender.post(other, {}, b"x")
        with pytest.raises(ssl.SSLCertVerificationError):
            await WebhookSender(LOOPBACK, resolve=resolve).post(known, {}, b"x")
        assert len(receiver.requests) == 1
