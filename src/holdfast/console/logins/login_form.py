"""The page of logins, and where one goes from it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import PageHead, page

_HEAD = PageHead(title="Log in")


def login_form(
    request: Request, wanted: str = "", *, refused: str = "", failed: str = "", status: int = 200
) -> Response:
    """Return the page of logins, from which one goes on to *wanted*.

    *refused* says what is wrong with a key that was sent, *failed* why another login did not go.
    """
    context = {"next": wanted, "refused": refused, "failed": failed}
    return page(request, "login.html", _HEAD, context, status=status)


def own_address(site: ConsoleSite, wanted: str) -> str:
    """Return the address of the page *wanted* below the console, that of the first for any other.

    What would lead to another host stays a path of this one.
    """
    path, mark, query = wanted.removeprefix(f"{site.options.path}/").partition("?")
    if path.startswith("/") or "\\" in path or ".." in path.split("/"):
        return site.url()
    found = site.url(path)
    clean = "".join(each for each in query if each.isprintable() and each not in '#"<>\\ ')
    return f"{found}?{clean}" if mark and clean else found
