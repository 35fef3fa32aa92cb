"""The commands of API keys: keys issue, list, rotate, revoke."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import lately, note, print_json, print_table
from holdfast.cli.runner import run

if TYPE_CHECKING:
    from holdfast.access import ApiKey, IssuedKey
    from holdfast.platform import Platform

keys = typer.Typer(name="keys", help="API keys: issue, list, rotate and revoke them.")
KeyID = Annotated[UUID, typer.Argument(metavar="KEY", help="The id of a key.")]


@keys.command()
def issue(  # noqa: PLR0913, PLR0917 - options of a command
    name: Annotated[str, typer.Argument(help="Whom the key is for.")],
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "viewer",
    project: Annotated[
        list[UUID] | None, typer.Option(help="A project that it reaches; all without.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="After how many days it runs out; never without.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Issue a key, and print its secret: it can't be shown again."""
    from holdfast.access import Role

    if role not in list(Role):
        raise typer.BadParameter(f"expected one of {', '.join(Role)}, got {role!r}")

    async def work(platform: Platform) -> IssuedKey:
        from holdfast.access import ApiKeys

        lifetime = None if days is None else timedelta(days=days)
        return await platform.service(ApiKeys).issue(
            name, Role(role), projects=project, lifetime=lifetime
        )

    _print_issued(run(data, work), as_json=as_json)


@keys.command("list")
def list_keys(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List all keys, newest first; of their secrets nothing is known."""

    async def work(platform: Platform) -> None:
        from holdfast.access import ApiKeys

        found = await platform.service(ApiKeys).list()
        now = platform.store.now()
        if as_json:
            print_json([_shown(key) for key in found])
        elif not found:
            note("No keys yet: `holdfast keys issue NAME --role admin` makes one.")
        else:
            print_table(
                ("key", "name", "role", "projects", "issued", "state"),
                [
                    (
                        str(key.id),
                        key.name,
                        key.role.value,
                        "all" if key.projects is None else str(len(key.projects)),
                        lately(key.created_at, now),
                        "revoked"
                        if key.revoked_at
                        else "over"
                        if key.expires_at and key.expires_at <= now
                        else "good",
                    )
                    for key in found
                ],
            )

    run(data, work)


@keys.command()
def rotate(
    key: KeyID,
    hours: Annotated[float, typer.Option(help="How long the old secret is good yet.")] = 24,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Give a key another secret, and print it."""

    async def work(platform: Platform) -> IssuedKey:
        from holdfast.access import ApiKeys

        return await platform.service(ApiKeys).rotate(key, grace=timedelta(hours=hours))

    _print_issued(run(data, work), as_json=as_json)


@keys.command()
def revoke(
    key: KeyID, data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """End a key, at once and for good."""

    async def work(platform: Platform) -> ApiKey:
        from holdfast.access import ApiKeys

        return await platform.service(ApiKeys).revoke(key)

    revoked = run(data, work)
    if as_json:
        print_json(_shown(revoked))
    else:
        note(f"The key {revoked.id} of {revoked.name} is revoked.")


def _print_issued(issued: IssuedKey, *, as_json: bool) -> None:
    if as_json:
        print_json({**_shown(issued.key), "secret": issued.secret})
        return
    note(f"The key {issued.key.id}; its secret, shown only now:")
    typer.echo(issued.secret)


def _shown(key: ApiKey) -> dict[str, object]:
    return {
        name: getattr(key, name)
        for name in ("id", "name", "role", "projects", "created_at", "expires_at", "revoked_at")
    }
