"""The visit: the cookie by which a browser is known again, and what is derived from it.

It has the token of a login's session once there is one, and random bits before. The token of forms
is a MAC by it, so that no other site can know one. A notice for the next page lies in a cookie of
its own, with a MAC too: another host of the same domain could else put words into our mouth.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import msgspec

from holdfast.console.console_site import site_of

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

VISIT_COOKIE = "holdfast_console"
THEME_COOKIE = "holdfast_theme"
_NOTICE_COOKIE = "holdfast_notice"
_NOTICE_AGE = 60  # seconds in which the next page has to be asked for
_MOST_NOTICE = 1000  # characters
_MOST_COOKIE = 3_800  # bytes; browsers drop a cookie above 4,096 with its name and attributes
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,128}")
_SAME = re.compile(r"light|dark")

Tone: TypeAlias = Literal["good", "bad", "plain"]


@dataclass(frozen=True, slots=True)
class Undo:
    """What takes back what was just done: a form with *fields*, sent to *url*.

    *url* has to be one of `ConsoleSite.url`; its route asks for its own role, as of any form.
    """

    url: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Notice:
    """A line about what was just done, for the next page. Its text is shown as text.

    *undo* is offered as a button beside it; it is left out where it has too many words for a
    cookie.
    """

    text: str
    tone: Tone = "good"
    undo: Undo | None = None


def visit_of(connection: HTTPConnection) -> str:
    """Return the token of the visit; a new one where the browser brought none."""
    state = connection.state
    if not hasattr(state, "visit"):
        given = connection.cookies.get(VISIT_COOKIE, "")
        state.visit = given if _TOKEN.fullmatch(given) else secrets.token_urlsafe(32)
    return cast("str", state.visit)


def is_known(connection: HTTPConnection) -> bool:
    """Return whether the browser has the visit's cookie already."""
    return connection.cookies.get(VISIT_COOKIE) == visit_of(connection)


def form_token(connection: HTTPConnection) -> str:
    """Return what each form of the visit has to bring."""
    return _mac(visit_of(connection), "form")


def keep_visit(response: Response, connection: HTTPConnection, token: str) -> None:
    """Let the browser of *connection* bring *token* from now on."""
    _set(response, connection, VISIT_COOKIE, token)


def end_visit(response: Response, connection: HTTPConnection) -> None:
    """Let the browser forget the visit."""
    for name in (VISIT_COOKIE, _NOTICE_COOKIE):
        response.delete_cookie(name, path=site_of(connection).options.path)


def theme_of(connection: HTTPConnection) -> str:
    """Return `light` or `dark` where the visitor chose, else an empty text."""
    given = connection.cookies.get(THEME_COOKIE, "")
    return given if _SAME.fullmatch(given) else ""


def keep_theme(response: Response, connection: HTTPConnection, theme: str) -> None:
    """Let the browser of *connection* keep *theme*; what is neither light nor dark is auto."""
    if _SAME.fullmatch(theme):
        _set(response, connection, THEME_COOKIE, theme, age=365 * 86_400)
    else:
        response.delete_cookie(THEME_COOKIE, path=site_of(connection).options.path)


def leave_notice(response: Response, connection: HTTPConnection, notice: Notice) -> None:
    """Let the next page that is shown say *notice*."""
    said = Notice(notice.text[:_MOST_NOTICE], notice.tone, notice.undo)
    content = _packed(said)
    if len(content) > _MOST_COOKIE:
        content = _packed(replace(said, undo=None))
    signed = f"{_mac(visit_of(connection), content)}.{content}"
    _set(response, connection, _NOTICE_COOKIE, signed, age=_NOTICE_AGE)


def notice_left(connection: HTTPConnection) -> Notice | None:
    """Return the notice for this page, None where there is none of ours."""
    mac, dot, content = connection.cookies.get(_NOTICE_COOKIE, "").partition(".")
    if not dot or not _is_mac(mac, visit_of(connection), content):
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(content), type=Notice)
    except (binascii.Error, msgspec.MsgspecError):
        return None


def drop_notice(response: Response, connection: HTTPConnection) -> None:
    """Let the browser forget the notice, once it was shown."""
    response.delete_cookie(_NOTICE_COOKIE, path=site_of(connection).options.path)


def is_form_token(connection: HTTPConnection, given: str) -> bool:
    """Return whether *given* is the token of the visit's forms."""
    return is_known(connection) and _is_mac(given, visit_of(connection), "form")


def _is_mac(given: str, visit: str, text: str) -> bool:
    return hmac.compare_digest(given.encode(), _mac(visit, text).encode())


def _packed(notice: Notice) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(notice)).decode()


def _mac(visit: str, text: str) -> str:
    return hmac.new(visit.encode(), text.encode(), hashlib.sha256).hexdigest()


def _set(
    response: Response,
    connection: HTTPConnection,
    name: str,
    value: str,
    *,
    age: int | None = None,
) -> None:
    site = site_of(connection)
    if age is None:
        age = int(site.options.session_life.total_seconds())
    response.set_cookie(
        name,
        value,
        max_age=age,
        path=site.options.path,
        secure=connection.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
