"""Answers with pages: a template in the console's frame, or the way to another page."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, RedirectResponse, Response

from holdfast.console.console_site import site_of
from holdfast.console.static_files import asset_url
from holdfast.console.template_filters import FILTERS
from holdfast.console.visits.visit import (
    Notice,
    drop_notice,
    form_token,
    is_known,
    keep_visit,
    leave_notice,
    notice_left,
    theme_of,
    visit_of,
)
from holdfast.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Environment
    from starlette.requests import Request

    from holdfast.access import Caller


@dataclass(frozen=True, slots=True)
class Crumb:
    """A step of the way to a page, without the console itself: its title and address."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class PageHead:
    """What the frame shows of a page.

    *title* stands in the browser's tab and as the heading, *section* is the entry of the
    navigation that is lit, None for none, *crumbs* lead there. *wide* takes the whole width of the
    screen.
    """

    title: str
    section: str | None = None
    crumbs: Sequence[Crumb] = ()
    wide: bool = False


def page(
    request: Request,
    template: str,
    head: PageHead,
    context: Mapping[str, object] | None = None,
    *,
    status: int = 200,
) -> Response:
    """Return the page that *template* makes of *context*, in the frame.

    A template extends `frame.html` and fills its block `content`. Besides *context* it has `site`,
    `head`, `caller` (None before the login), `may_search`, `form_token` and the filters of
    `template_filters`.
    """
    site = site_of(request)
    caller: Caller | None = getattr(request.state, "caller", None)
    notice = notice_left(request)
    sections = [] if caller is None else site.sections_of(caller)
    shown = (
        environment()
        .get_template(template)
        .render(
            {
                **(context or {}),
                "site": site,
                "head": head,
                "caller": caller,
                "sections": sections,
                "may_search": any(each.name == "search" for each in sections),
                "form_token": form_token(request),
                "notice": notice,
                "theme": theme_of(request),
                "request_path": request.url.path
                + (f"?{request.url.query}" if request.url.query else ""),
            }
        )
    )
    response = HTMLResponse(shown, status)
    if not is_known(request):
        keep_visit(response, request, visit_of(request))
    if notice is not None:
        drop_notice(response, request)
    return response


def part(template: str, context: Mapping[str, object]) -> str:
    """Return what *template* makes of *context*, without the frame: a part of a page."""
    return environment().get_template(template).render(context)


def moved(request: Request, url: str, notice: Notice | None = None) -> Response:
    """Return the answer to a form: the way to *url*, where *notice* is shown.

    *url* has to be one of `ConsoleSite.url`, never what a visitor sent.
    """
    response = RedirectResponse(url, 303)
    if notice is not None:
        leave_notice(response, request, notice)
    return response


@cache
def environment() -> Environment:
    """Return what renders the console's templates: everything is escaped, and a gap is an error."""
    with needs_extra("console", "the console"):
        from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415 - an extra

    folder = files("holdfast.console") / "templates"

    def load(name: str) -> str:
        return folder.joinpath(*name.split("/")).read_text(encoding="utf-8")

    made = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(FILTERS)
    made.globals["asset"] = asset_url
    made.globals["unique_id"] = lambda: f"i{secrets.token_hex(4)}"
    return made
