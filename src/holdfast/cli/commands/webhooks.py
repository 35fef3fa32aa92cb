"""The commands of webhooks: webhooks add, list, pause, resume, rotate, ping, deliveries, remove."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import lately, note, plain, print_json, print_table
from holdfast.cli.runner import look, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.platform import Platform
    from holdfast.webhooks import Subscribed, Webhook, WebhookDelivery

webhooks = typer.Typer(name="webhooks", help="Webhooks: add, list, pause, rotate, ping, remove.")
WebhookID = Annotated[UUID, typer.Argument(metavar="WEBHOOK", help="The id of a webhook.")]


@webhooks.command()
def add(
    url: Annotated[str, typer.Argument(help="Where it is told, as https://...")],
    event: Annotated[list[str], typer.Argument(help="Events: model.promoted, model.*, or *.")],
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Have a URL told of events, and print the secret that verifies what it is sent."""

    async def work(platform: Platform) -> Subscribed:
        from holdfast.webhooks import Webhooks

        return await platform.service(Webhooks).subscribe(url, event)

    _print_subscribed(run(data, work), as_json=as_json)


@webhooks.command("list")
def list_webhooks(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List all webhooks, newest first, without their secrets."""

    async def work(platform: Platform) -> Sequence[Webhook]:
        from holdfast.webhooks import Webhooks

        return await platform.service(Webhooks).list()

    found = look(data, work)
    if as_json:
        print_json([_shown(each) for each in found])
    elif not found:
        note("No webhooks yet: `holdfast webhooks add URL EVENT` makes one.")
    else:
        print_table(
            ("webhook", "url", "events", "state"),
            [
                (
                    str(each.id),
                    plain(each.url),
                    ", ".join(each.events),
                    "active" if each.active else "paused",
                )
                for each in found
            ],
        )


@webhooks.command()
def pause(webhook: WebhookID, data: Data = None, traceback: Traceback = False) -> None:
    """Tell a webhook nothing, until `resume`."""
    _set_active(webhook, data, active=False)


@webhooks.command()
def resume(webhook: WebhookID, data: Data = None, traceback: Traceback = False) -> None:
    """Tell a webhook of events again."""
    _set_active(webhook, data, active=True)


@webhooks.command()
def rotate(
    webhook: WebhookID,
    hours: Annotated[float, typer.Option(help="How long the old secret signs too.")] = 24,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Give a webhook another secret, and print it."""

    async def work(platform: Platform) -> Subscribed:
        from holdfast.webhooks import Webhooks

        return await platform.service(Webhooks).rotate(webhook, grace=timedelta(hours=hours))

    _print_subscribed(run(data, work), as_json=as_json)


@webhooks.command()
def ping(webhook: WebhookID, data: Data = None, traceback: Traceback = False) -> None:
    """Have a webhook told of `webhook.ping`, by the next worker that is free."""

    async def work(platform: Platform) -> UUID:
        from holdfast.webhooks import Webhooks

        return (await platform.service(Webhooks).ping(webhook)).id

    note(f"The job {run(data, work)} does it; `holdfast webhooks deliveries` shows how it went.")


@webhooks.command()
def deliveries(
    webhook: WebhookID,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 20,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List the attempts to tell a webhook of events, the latest first."""

    async def work(platform: Platform) -> Sequence[WebhookDelivery]:
        from holdfast.webhooks import Webhooks

        found = (await platform.service(Webhooks).deliveries(webhook, size=limit)).items
        if not as_json:
            now = platform.store.now()
            print_table(
                ("when", "event", "message", "attempt", "seconds", "answer"),
                [
                    (
                        lately(each.at, now),
                        each.event,
                        each.message,
                        str(each.attempt),
                        f"{each.seconds:.2f}",
                        plain(each.error if each.status is None else each.status),
                    )
                    for each in found
                ],
            )
        return found

    found = look(data, work)
    if as_json:
        names = ("event", "message", "attempt", "at", "seconds", "status", "error")
        print_json([{name: getattr(each, name) for name in names} for each in found])


@webhooks.command()
def remove(webhook: WebhookID, data: Data = None, traceback: Traceback = False) -> None:
    """Remove a webhook and its log of deliveries."""

    async def work(platform: Platform) -> None:
        from holdfast.webhooks import Webhooks

        await platform.service(Webhooks).remove(webhook)

    run(data, work)
    note("Removed.")


def _set_active(webhook: UUID, data: Data, *, active: bool) -> None:
    async def work(platform: Platform) -> None:
        from holdfast.webhooks import Webhooks

        await platform.service(Webhooks).set_active(webhook, active=active)

    run(data, work)
    note("It is told of events again." if active else "It is paused.")


def _print_subscribed(found: Subscribed, *, as_json: bool) -> None:
    if as_json:
        print_json({**_shown(found.webhook), "secret": found.secret})
    else:
        note(f"The webhook {found.webhook.id}; its receiver verifies by this secret:")
        typer.echo(found.secret)


def _shown(webhook: Webhook) -> dict[str, object]:
    return {name: getattr(webhook, name) for name in ("id", "url", "events", "active")}
