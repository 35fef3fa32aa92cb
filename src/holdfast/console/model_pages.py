"""Models: their versions, metrics over time and side by side, aliases with their history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.line_plot import NARROW, WIDE, LinePlot, line_plot
from holdfast.console.page import Crumb, PageHead, moved, page
from holdfast.console.page_urls import asked_cursor, page_urls
from holdfast.console.template_filters import indented
from holdfast.console.visits.forgery_check import FormSent
from holdfast.console.visits.visit import Notice, Undo
from holdfast.errors import GateError
from holdfast.models import ModelRegistry, ModelVersion
from holdfast.models.model_entities import ModelAlias

_PAGE = 50
_MOVES = 10
_ALIKE = 5  # times that one metric of a plot may be as large as another
_METRICS = 4  # of a plot, and of the columns of a list
_Cursor = Annotated[str, Query(alias="_cursor", max_length=4000)]


def model_page_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the pages of models."""
    router = APIRouter()
    registry = site.platform.service(ModelRegistry)
    _add_pages(router, site, registry)
    _add_changes(router, site, registry)
    return router


def _add_pages(router: APIRouter, site: ConsoleSite, registry: ModelRegistry) -> None:
    @router.get("/models", dependencies=[allow(Role.VIEWER)])
    async def all_models(request: Request, cursor: _Cursor = "") -> Response:
        """List the models, each with its aliases."""
        found = await registry.list(size=_PAGE, cursor=asked_cursor(site, cursor))
        named: dict[UUID, list[str]] = defaultdict(list)
        if found.items:
            ids = [each.id for each in found]
            for alias in await site.platform.store.repository(ModelAlias).find(
                ModelAlias.model_id.in_(ids),
                ~ModelAlias.version_id.is_null(),
                order_by=ModelAlias.name.asc(),
            ):
                named[alias.model_id].append(alias.name)
        context = {
            "models": found.items,
            "aliases": named,
            **page_urls(site, "models", {}, found),
        }
        return page(request, "models.html", PageHead("Models", "models"), context)

    @router.get("/models/{name}", dependencies=[allow(Role.VIEWER)])
    async def one(name: str, request: Request, caller: AskedBy, cursor: _Cursor = "") -> Response:
        """Show a model: versions, metrics over them, aliases and where they pointed."""
        model = await registry.model(name)
        found = await registry.versions(name, size=_PAGE, cursor=asked_cursor(site, cursor))
        aliases = await registry.aliases(name)
        pointing: dict[UUID | None, list[str]] = defaultdict(list)
        for alias in aliases:
            pointing[alias.version_id].append(alias.name)
        metrics = _metric_names(found.items)
        context = {
            "model": model,
            "versions": found.items,
            "metrics": metrics,
            "figure": _figure,
            "plots": _metric_plots(found.items, metrics),
            "aliases": aliases,
            "pointing": pointing,
            "moves": {
                each.name: (await registry.history(name, each.name))[:_MOVES] for each in aliases
            },
            **page_urls(site, f"models/{name}", {}, found),
            "may_move": caller.role.includes(Role.OPERATOR),
        }
        head = PageHead(name, "models", [Crumb("Models", site.url("models"))])
        return page(request, "model.html", head, context)

    @router.get("/models/{name}/compare", dependencies=[allow(Role.VIEWER)])
    async def compare(name: str, request: Request, a: int, b: int) -> Response:
        """Show what differs between two versions."""
        first = await registry.resolve(f"{name}:{a}")
        second = await registry.resolve(f"{name}:{b}")
        diff = await registry.compare(first, second)
        parts = [
            ("Metrics", diff.metrics), ("Configuration", diff.config), ("Tags", diff.tags),
            ("Files", diff.files),
        ]  # fmt: skip
        context = {"first": first, "second": second, "parts": parts, "shown": _plain, "name": name}
        head = PageHead(f"Versions {a} and {b}", "models", _crumbs(site, name))
        return page(request, "model_compare.html", head, context)

    @router.get("/models/{name}/versions/{number}", dependencies=[allow(Role.VIEWER)])
    async def version(name: str, number: int, request: Request, caller: AskedBy) -> Response:
        """Show a version: metrics, configuration, files, what it comes from."""
        found = await registry.resolve(f"{name}:{number}")
        return await _version_page(site, request, caller, registry, found)


def _add_changes(router: APIRouter, site: ConsoleSite, registry: ModelRegistry) -> None:
    @router.post("/models/{name}/aliases", dependencies=[allow(Role.OPERATOR)])
    async def promote(name: str, request: Request, caller: AskedBy, form: FormSent) -> Response:
        """Point an alias at a version, if its gates let it."""
        number = form.text("number")
        found = await registry.resolve(f"{name}:{number}")
        gates = [each for each in form.text("gates").split(",") if each.strip()]
        alias = form.text("alias").strip()
        try:
            move = await registry.promote(found, alias, reason=form.text("reason"), gates=gates)
        except GateError as error:
            return await _version_page(site, request, caller, registry, found, refused=error)
        undo = None
        if move.from_number is not None and move.from_number != move.to_number:
            fields = {"alias": alias, "expected": number, "reason": "undone"}
            undo = Undo(site.url(f"models/{name}/rollback"), fields)
        notice = Notice(f"{alias} points at version {number}.", undo=undo)
        return moved(request, site.url(f"models/{name}"), notice)

    @router.post("/models/{name}/rollback", dependencies=[allow(Role.OPERATOR)])
    async def roll_back(name: str, request: Request, form: FormSent) -> Response:
        """Point an alias where it pointed before, if it points where the page said."""
        alias = form.text("alias")
        expected = form.text("expected")
        if not expected.isascii() or not expected.isdigit():
            raise HTTPException(400, "expected the number that the alias points at")
        move = await registry.rollback(
            name, alias, expected=int(expected), reason=form.text("reason")
        )
        notice = Notice(f"{alias} points at version {move.to_number} again.")
        return moved(request, site.url(f"models/{name}"), notice)

    @router.post(
        "/models/{name}/versions/{number}/deprecation", dependencies=[allow(Role.OPERATOR)]
    )
    async def deprecate(name: str, number: int, request: Request, form: FormSent) -> Response:
        """Mark a version as not to be chosen any more, or take that back."""
        found = await registry.resolve(f"{name}:{number}")
        deprecated = form.text("deprecated") == "yes"
        await registry.deprecate(found, form.text("reason"), deprecated=deprecated)
        said = "It is deprecated." if deprecated else "It may be chosen again."
        return moved(request, site.url(f"models/{name}/versions/{number}"), Notice(said))


async def _version_page(
    site: ConsoleSite,
    request: Request,
    caller: AskedBy,
    registry: ModelRegistry,
    version: ModelVersion,
    *,
    refused: GateError | None = None,
) -> Response:
    label = await registry.label(version)
    name = label.rpartition(":")[0]
    aliases = await registry.aliases(name)
    context = {
        "version": version,
        "name": name,
        "pointing": [each.name for each in aliases if each.version_id == version.id],
        "metrics": dict(sorted(version.metrics.items())),
        "config": indented(version.config) if version.config else "",
        "contents": indented(version.contents) if version.contents else "",
        "files": await registry.files(version),
        "lineage": await registry.lineage(version),
        "tags": {key: _plain(value) for key, value in sorted(version.tags.items())},
        "refused": refused,
        "may_move": caller.role.includes(Role.OPERATOR),
    }
    head = PageHead(f"Version {version.number}", "models", _crumbs(site, name))
    return page(request, "model_version.html", head, context, status=409 if refused else 200)


def _crumbs(site: ConsoleSite, name: str) -> list[Crumb]:
    return [Crumb("Models", site.url("models")), Crumb(name, site.url(f"models/{name}"))]


def _metric_names(versions: Sequence[ModelVersion]) -> list[str]:
    """Return the metrics that most of *versions* have, at most four."""
    counts: dict[str, int] = defaultdict(int)
    for version in versions:
        for name in version.metrics:
            if _figure(version, name) is not None:
                counts[name] += 1
    return sorted(counts, key=lambda name: (-counts[name], name))[:_METRICS]


def _figure(version: ModelVersion, name: str) -> float | None:
    value = version.metrics.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _metric_plots(versions: Sequence[ModelVersion], names: Sequence[str]) -> Mapping[str, LinePlot]:
    """Return plots of the metrics over the versions, oldest first, by what they show.

    Metrics share a plot where they are about as large, for a line far below another is flat. There
    is none for fewer than two versions.
    """
    if len(versions) < 2:
        return {}
    oldest_first = list(reversed(versions))
    numbers = [str(each.number) for each in oldest_first]
    series = {name: [_figure(each, name) for each in oldest_first] for name in names}
    size = {name: max(abs(each or 0.0) for each in line) for name, line in series.items()}
    groups: list[list[str]] = []
    for name in sorted(names, key=lambda name: -size[name]):
        if groups and size[name] * _ALIKE >= size[groups[-1][0]]:
            groups[-1].append(name)
        else:
            groups.append([name])
    groups.sort(key=lambda group: min(map(names.index, group)))
    width = WIDE if len(groups) == 1 else NARROW
    plots: dict[str, LinePlot] = {}
    for group in groups:
        lines = {name: series[name] for name in names if name in group}
        plot = line_plot(lines, numbers, dotted=True, width=width)
        if plot is not None:
            plots[", ".join(lines)] = plot
    return plots


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
