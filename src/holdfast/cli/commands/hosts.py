"""The commands of hosts: hosts request, return, list, requests, template, tend, autoscale, ..."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import orjson
import typer

from holdfast.cli.exit_codes import Exit
from holdfast.cli.given_files import given_text
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import fields_of, lately, note, plain, print_json, print_table
from holdfast.cli.runner import look, run
from holdfast.errors import InvalidValueError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.hosts import HostPool, HostRequest, Machine, Scaled, Template
    from holdfast.platform import Platform

hosts = typer.Typer(
    name="hosts", help="Workers and other machines: request, return, list, autoscale."
)
Minutes = Annotated[
    float, typer.Option("--within", help="Minutes after which it is given up.", min=0.01)
]
MachineID = Annotated[UUID, typer.Argument(metavar="MACHINE", help="The id of a machine.")]
RequestID = Annotated[UUID, typer.Argument(metavar="REQUEST", help="The id of a request.")]


@hosts.command()
def request(
    number: Annotated[int, typer.Argument(help="How many machines more.", min=1)],
    template: Annotated[
        list[str] | None, typer.Option(help="Of this template; may be said again.")
    ] = None,
    within: Minutes = 10,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Ask for machines, and wait for them. Without templates these are workers on this host."""

    async def work(platform: Platform) -> tuple[HostRequest, Sequence[Machine]]:
        pool = _pool(platform)
        made = await pool.request(
            number, templates=template or (), within=timedelta(minutes=within)
        )
        done = await pool.wait(made.id)
        return done, await pool.machines_of(done)

    _say_request(*run(data, work), as_json=as_json)


@hosts.command("return")
def give_back(
    machine: Annotated[
        list[UUID] | None, typer.Argument(metavar="MACHINE...", help="The ids of machines.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that live.")] = False,
    within: Minutes = 10,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Give machines back, and wait until they have ended: a worker finishes its job first."""
    if bool(machine) is everything:
        raise typer.BadParameter("name machines, or say --all")

    async def work(platform: Platform) -> tuple[HostRequest, Sequence[Machine]] | None:
        pool = _pool(platform)
        wanted = machine or [each.id for each in await pool.machines.get_live()]
        if not wanted:
            return None
        made = await pool.give_back(wanted, within=timedelta(minutes=within))
        done = await pool.wait(made.id)
        return done, await pool.machines_of(done)

    ended = run(data, work)
    if ended is None:
        note("No machine lives.")
    else:
        _say_request(*ended, as_json=as_json)


@hosts.command("list")
def list_machines(
    ended: Annotated[bool, typer.Option("--ended", help="Also those that have ended.")] = False,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List the machines that live, and how they stand."""

    async def work(platform: Platform) -> Sequence[Machine]:
        pool = _pool(platform)
        if ended:
            return (await pool.machines.get_all(size=1000)).items
        return await pool.machines.get_live()

    found = look(data, work)
    if as_json:
        print_json([fields_of(each) for each in found])
    elif not found:
        note("No machines: `holdfast hosts request 1` asks for one.")
    else:
        print_table(
            ("machine", "template", "instance", "status", "why"),
            [
                (
                    str(each.id),
                    plain(each.template),
                    plain(each.instance_id or ""),
                    each.status.value,
                    plain(each.diagnosis or ""),
                )
                for each in found
            ],
            folded=("why",),
        )


@hosts.command()
def requests(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List the latest requests, newest first."""

    async def work(platform: Platform) -> None:
        found = (await _pool(platform).requests.get_all()).items
        if as_json:
            print_json([fields_of(each) for each in found])
            return
        now = platform.store.now()
        print_table(
            ("request", "kind", "status", "got", "made", "why"),
            [
                (
                    str(each.id),
                    each.kind.value,
                    each.status.value,
                    f"{each.fulfilled}/{each.requested}",
                    lately(each.created_at, now),
                    plain(each.diagnosis or ""),
                )
                for each in found
            ],
            right=("got",),
            folded=("why",),
        )

    look(data, work)


@hosts.command()
def cancel(asked: RequestID, data: Data = None, traceback: Traceback = False) -> None:
    """Cancel a request; what it has acquired is shut down."""

    async def work(platform: Platform) -> None:
        await _pool(platform).cancel(asked)

    run(data, work)
    note("Cancelled.")


@hosts.command()
def templates(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List the templates, by name."""

    async def work(platform: Platform) -> Sequence[Template]:
        return (await _pool(platform).templates.get_all(size=1000)).items

    found = look(data, work)
    if as_json:
        print_json([fields_of(each) for each in found])
        return
    print_table(
        ("template", "provider", "live", "most", "weight", "attributes"),
        [
            (
                plain(each.name),
                plain(each.provider_type),
                str(each.live),
                str(each.max_number),
                str(each.weight),
                plain(orjson.dumps(each.attributes).decode()),
            )
            for each in found
        ],
        right=("live", "most", "weight"),
        folded=("attributes",),
    )


@hosts.command()
def template(  # noqa: PLR0913, PLR0917 - options of a command
    name: Annotated[str, typer.Argument(help="What it is called.")],
    most: Annotated[int, typer.Option(help="How many machines it may have.", min=0)] = 4,
    weight: Annotated[int, typer.Option(help="Its part beside other templates.", min=1)] = 1,
    provider: Annotated[str, typer.Option(help="The type of its provider.")] = "process",
    attributes: Annotated[str, typer.Option(help="What it is like, a JSON object.")] = "{}",
    remove: Annotated[bool, typer.Option("--remove", help="Remove it instead.")] = False,
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Add a template, or change the one that is called so, or remove it."""
    described = _json_object(attributes, "--attributes")

    async def work(platform: Platform) -> str:
        from holdfast.hosts import Template

        pool = _pool(platform)
        if remove:
            await pool.remove_template(name)
            return "Removed."
        known = await pool.templates.get_by_name(name)
        if known is None:
            await pool.add_template(
                Template(
                    name=name,
                    provider_type=provider,
                    max_number=most,
                    weight=weight,
                    attributes=described,
                )
            )
            return "Added."
        await pool.templates.patch(
            known.id,
            Template.provider_type.to(provider),
            Template.max_number.to(most),
            Template.weight.to(weight),
            Template.attributes.to(described),
        )
        return "Changed."

    note(run(data, work))


@hosts.command()
def tend(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """Bring records and providers together once, and work on active requests."""

    async def work(platform: Platform) -> dict[str, object]:
        told = await _pool(platform).tend()
        seen = told.reconciled
        return {
            "strangers": seen.strangers,
            "gone": seen.gone,
            "orphans": seen.orphans,
            "unreached": seen.unreached,
            "requests": [each.id for each in told.requests],
        }

    told = run(data, work)
    if as_json:
        print_json(told)
    else:
        for what, ids in told.items():
            note(f"{what}: {len(ids) if isinstance(ids, list) else ids}")


@hosts.command("write-off")
def write_off(
    provider: Annotated[str, typer.Argument(help="Its name, as `holdfast hosts list --json`.")],
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Record that the machines of a provider are gone, as their host will not come back."""

    async def work(platform: Platform) -> int:
        return await _pool(platform).write_off(provider)

    note(f"Written off: {run(data, work)}.")


@hosts.command()
def autoscale(  # noqa: PLR0913, PLR0917 - options of a command
    most: Annotated[int, typer.Option(help="Workers at most.", min=0)] = 4,
    least: Annotated[int, typer.Option(help="Workers at least.", min=0)] = 0,
    jobs_each: Annotated[int, typer.Option(help="Jobs for each worker.", min=1)] = 5,
    queue: Annotated[str, typer.Option(help="The queue of jobs.")] = "default",
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 10,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Keep as many workers as the queue of jobs needs, until stopped.

    More come at once; fewer are kept once three looks have needed fewer.
    """

    async def work(platform: Platform) -> None:
        from holdfast.hosts import Autoscaler, ScalingPolicy

        calm = 1 if once else 3
        policy = ScalingPolicy(queue=queue, least=least, most=most, jobs_each=jobs_each, calm=calm)
        pool = _pool(platform)
        scaler = Autoscaler(pool, platform.store, policy)
        while True:
            await pool.tend()
            _say_look(await scaler.look(), as_json=as_json)
            if once:
                return
            await asyncio.sleep(every)

    run(data, work)


@hosts.command()
def factory(
    script: Annotated[str, typer.Argument(metavar="SCRIPT", help="Such as requestMachines.")],
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="Its input, JSON; - is standard input.")
    ] = None,
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Answer a script of the HostFactory contract, as JSON.

    getAvailableTemplates, requestMachines, requestReturnMachines, getRequestStatus,
    getReturnRequests.
    """
    given = {} if file is None else _json_object(_text_of(file), str(file))

    async def work(platform: Platform) -> dict[str, object]:
        from holdfast.hosts import HostFactory

        scripts = HostFactory(_pool(platform)).scripts
        if script not in scripts:
            raise NotFoundError("script", script)
        return await scripts[script](given)

    print_json(run(data, work))


def _pool(platform: Platform) -> HostPool:
    from holdfast.hosts import HostPool

    return platform.service(HostPool)


def _say_request(request: HostRequest, machines: Sequence[Machine], *, as_json: bool) -> None:
    """Tell how a request ended; the exit code says whether it got all that it asked for."""
    from holdfast.hosts import RequestStatus

    if as_json:
        print_json({**fields_of(request), "machines": [fields_of(each) for each in machines]})
    else:
        why = f": {plain(request.diagnosis)}" if request.diagnosis else ""
        note(f"{request.status}, {request.fulfilled} of {request.requested}{why}")
        for each in machines:
            typer.echo(f"{each.id}  {plain(each.instance_id or '')}  {each.status}")
    if request.status is not RequestStatus.COMPLETE:
        raise typer.Exit(Exit.UNAVAILABLE)


def _say_look(look: Scaled, *, as_json: bool) -> None:
    if as_json:
        names = ("jobs", "workers", "wanted")
        print_json({name: getattr(look, name) for name in names})
    elif look.request is None:
        note(f"{look.jobs} jobs, {look.workers} workers")
    else:
        kind = look.request.kind.value
        note(f"{look.jobs} jobs, {look.workers} workers, {look.wanted} wanted: {kind}")


def _text_of(file: Path) -> str:
    return sys.stdin.read() if str(file) == "-" else given_text(file)


def _json_object(text: str, name: str) -> dict[str, object]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidValueError("input", name, f"is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidValueError("input", name, "expected a JSON object")
    return found
