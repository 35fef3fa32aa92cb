"""Events become deliveries in their transaction; attempts are signed, made again, and logged."""

import json
from datetime import timedelta

import pytest

from holdfast import open_store
from holdfast.errors import InvalidValueError, NotFoundError
from holdfast.jobs import Job, JobStatus
from holdfast.sync import open_store as open_blocking
from holdfast.webhooks import WebhookHook, Webhooks, WebhookSender, webhook_signature
from holdfast.webhooks.webhook_hook import BODY_BYTES
from servers import database_on
from webhooks.conftest import LOOPBACK, status, told, work

pytestmark = pytest.mark.anyio


async def happen(store, name="model.promoted", **details):
    await store.record_event(name, entity="ModelAlias", key="vehicles@prod", details=details)


def test_the_signature_is_that_of_standard_webhooks():
    signature = webhook_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def outbox_keeps_what_commits(store, receiver):
    webhooks = Webhooks(store, WebhookSender(LOOPBACK))
    subscribed = await webhooks.subscribe(receiver.url, ["model.*"])
    with pytest.raises(RuntimeError):
        async with store.transaction():
            await happen(store, number=1)
            raise RuntimeError
    assert await store.repository(Job).count() == 0
    async with store.transaction():
        await happen(store, number=2)
    await happen(store, "job.cancelled")
    assert await work(webhooks) == 1
    (request,) = receiver.requests
    assert request.line == "POST /told?by=holdfast HTTP/1.1"
    assert request.headers["host"] == f"localhost:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    body = json.loads(request.body)
    assert body["type"] == "model.promoted"
    assert body["data"] == {
        "entity": "ModelAlias",
        "key": "vehicles@prod",
        "details": {"number": 2},
    }
    assert request.headers["webhook-signature"] == webhook_signature(
        subscribed.secret,
        message=request.headers["webhook-id"],
        timestamp=int(request.headers["webhook-timestamp"]),
        body=request.body,
    )


async def test_what_commits_is_told_once_and_signed_and_what_is_undone_never(store, receiver):
    await outbox_keeps_what_commits(store, receiver)


@pytest.mark.parametrize("server", ["postgresql", "mariadb", "mysql"])
async def test_the_same_on_a_server(receiver, server):
    with database_on(server) as url:
        async with open_store(url, [], hooks=[WebhookHook()]) as store:
            await store.create_schema()
            await outbox_keeps_what_commits(store, receiver)


def test_a_blocking_store_records_deliveries_too():
    with open_blocking("memory://", [], hooks=[WebhookHook()]) as store:
        store.create_schema()
        store.run(Webhooks(store.asynchronous).subscribe("https://example.com/", ["*"]))
        store.record_event("model.promoted", entity="ModelAlias", key="a")
        (job,) = store.repository(Job).find()
        assert job.payload["event"] == "model.promoted"


async def test_a_delivery_that_fails_is_made_again_later_as_the_same_message(
    webhooks, receiver, clock
):
    receiver.answers = [status(503), status(302, "location: http://169.254.169.254/"), status(200)]
    webhook = (await webhooks.subscribe(receiver.url, ["model.promoted"])).webhook
    await happen(webhooks.store)
    assert await work(webhooks) == 1
    assert await work(webhooks) == 0, "not before its backoff is over"
    for _ in range(2):
        clock.forward(minutes=1)
        assert await work(webhooks) == 1
    assert await told(webhooks, webhook) == [(503, None), (302, None), (200, None)]
    assert receiver.connections == 3, "no redirect was followed"
    assert len({(each.headers["webhook-id"], each.body) for each in receiver.requests}) == 1
    assert len({each.headers["webhook-timestamp"] for each in receiver.requests}) == 3
    page = await webhooks.deliveries(webhook.id)
    assert [each.attempt for each in page.items] == [3, 2, 1]


async def test_attempts_end(webhooks, receiver, clock):
    receiver.answers = [status(500)]
    await webhooks.subscribe(receiver.url, ["*"])
    await happen(webhooks.store)
    job = await webhooks.store.repository(Job).first()
    while not (job := await webhooks.store.repository(Job).get_one(job.id)).status.finished:
        await work(webhooks)
        clock.forward(hours=2)
    assert (job.status, job.attempts, receiver.connections) == (JobStatus.FAILED, 20, 20)


async def test_a_receiver_that_is_gone_is_paused_and_one_that_is_paused_is_told_nothing(
    webhooks, receiver, clock
):
    receiver.answers = [status(410)]
    webhook = (await webhooks.subscribe(receiver.url, ["*"])).webhook
    await happen(webhooks.store)
    await happen(webhooks.store)
    await work(webhooks)
    assert receiver.connections == 1, "what waited is not sent either"
    assert not (await webhooks.get(webhook.id)).active
    await happen(webhooks.store)
    clock.forward(days=1)
    assert await work(webhooks) == 0
    await webhooks.set_active(webhook.id, active=True)
    receiver.answers = [status(200)]
    await webhooks.ping(webhook.id)
    await work(webhooks)
    assert await told(webhooks, webhook) == [(410, None), (200, None)]


async def test_after_a_rotation_both_secrets_sign_for_a_time(webhooks, receiver, clock):
    first = await webhooks.subscribe(receiver.url, ["*"])
    second = await webhooks.rotate(first.webhook.id, grace=timedelta(hours=1))
    await happen(webhooks.store)
    await work(webhooks)
    clock.forward(hours=1)
    await happen(webhooks.store)
    await work(webhooks)

    def signed(request, *secrets):
        return " ".join(
            webhook_signature(
                each,
                message=request.headers["webhook-id"],
                timestamp=int(request.headers["webhook-timestamp"]),
                body=request.body,
            )
            for each in secrets
        )

    during, after = receiver.requests
    assert during.headers["webhook-signature"] == signed(during, second.secret, first.secret)
    assert after.headers["webhook-signature"] == signed(after, second.secret)


async def test_details_that_are_too_long_are_left_out_and_said_to_be(webhooks, receiver):
    await webhooks.subscribe(receiver.url, ["*"])
    await happen(webhooks.store, long="x" * BODY_BYTES)
    await work(webhooks)
    body = receiver.requests[0].body
    assert len(body) <= BODY_BYTES
    data = json.loads(body)["data"]
    assert (data["details"], data["details_left_out"]) == (None, True)


async def test_what_is_removed_is_told_nothing_and_old_attempts_are_forgotten(
    webhooks, receiver, clock
):
    kept = (await webhooks.subscribe(receiver.url, ["*"])).webhook
    gone = (await webhooks.subscribe(receiver.url, ["*"])).webhook
    await happen(webhooks.store)
    await webhooks.remove(gone.id)
    await work(webhooks)
    assert receiver.connections == 1
    with pytest.raises(NotFoundError):
        await webhooks.deliveries(gone.id)
    clock.forward(days=20)
    await webhooks.ping(kept.id)
    await work(webhooks)
    clock.forward(days=11)
    assert await webhooks.remove_old_deliveries() == 1
    (left,) = (await webhooks.deliveries(kept.id)).items
    assert left.event == "webhook.ping"


@pytest.mark.parametrize("events", [[], ["Model"], ["model.*.x"], ["*model"], ["a b"]])
async def test_events_have_names_or_a_star_at_their_end(webhooks, events):
    with pytest.raises(InvalidValueError, match="events"):
        await webhooks.subscribe("https://example.com/", events)
