"""Settings: what is in force and from where, and the API keys. For administrators."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from uuid import UUID

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import ApiKeys, Role
from holdfast.access.gate import allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import Crumb, PageHead, moved, page
from holdfast.console.visits.forgery_check import FormSent
from holdfast.console.visits.visit import Notice
from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.settings.in_force import misspelt_variables, settings_in_force
from holdfast.settings.resolution import SPECS, resolve_settings

_ELSEWHERE = "the program, or an earlier start"
_LIVES = {"": "for good", "1": "1 day", "30": "30 days", "365": "a year"}


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting: the *value* in force, as it may be shown, and where it comes from."""

    name: str
    variable: str
    value: str
    unset: str
    origin: str
    is_default: bool


def setting_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of settings and keys."""
    router = APIRouter(dependencies=[allow(Role.ADMIN)])
    keys = site.platform.service(ApiKeys)

    @router.get("/settings")
    async def settings(request: Request) -> Response:
        """Show every setting that is in force, and from where."""
        context = {
            "settings": await asyncio.to_thread(_shown, site),  # it reads files
            "misspelt": misspelt_variables(),
            "domains": [each.name for each in site.platform.domains],
        }
        return page(request, "settings.html", PageHead("Settings", "settings"), context)

    @router.get("/settings/keys")
    async def all_keys(request: Request) -> Response:
        """List the API keys, without anything of their secrets."""
        return await _keys_page(site, request, keys)

    @router.post("/settings/keys")
    async def issue(request: Request, form: FormSent) -> Response:
        """Issue a key, and show its secret this once."""
        life = form.text("life")
        role = next((each for each in Role if each.value == form.text("role")), None)
        if life not in _LIVES or role is None:
            raise HTTPException(400, "expected a role and one of the lives of the form")
        lifetime = timedelta(days=int(life)) if life else None
        try:
            issued = await keys.issue(form.text("name").strip(), role, lifetime=lifetime)
        except InvalidValueError as error:
            return await _keys_page(site, request, keys, fault=error.reason)
        return await _keys_page(site, request, keys, secret=issued.secret, name=issued.key.name)

    @router.post("/settings/keys/{key_id}/rotation")
    async def rotate(key_id: UUID, request: Request) -> Response:
        """Give a key another secret, and show it this once; the old one is good for a day."""
        issued = await keys.rotate(key_id)
        return await _keys_page(site, request, keys, secret=issued.secret, name=issued.key.name)

    @router.post("/settings/keys/{key_id}/revocation")
    async def revoke(key_id: UUID, request: Request) -> Response:
        """End a key, at once and for good, and the logins by it."""
        key = await keys.revoke(key_id)
        notice = Notice(f"The key {key.name} is revoked.")
        return moved(request, site.url("settings/keys"), notice)

    @router.post("/settings/people/{session_id}/end")
    async def end_login(session_id: UUID, request: Request) -> Response:
        """End a person's login, at once; the provider may let that person in again."""
        session = await site.sessions.end(session_id)
        notice = Notice(f"The login of {session.name} is ended.")
        return moved(request, site.url("settings/keys"), notice)

    return router


async def _keys_page(
    site: ConsoleSite,
    request: Request,
    keys: ApiKeys,
    *,
    secret: str = "",
    name: str = "",
    fault: str = "",
) -> Response:
    context = {
        "keys": await keys.list(),
        "people": [] if site.provider is None else await site.sessions.people(),
        "now": site.platform.store.now(),
        "roles": list(Role),
        "lives": _LIVES,
        "secret": secret,
        "name": name,
        "fault": fault,
    }
    head = PageHead("API keys", "settings", [Crumb("Settings", site.url("settings"))])
    return page(request, "keys.html", head, context, status=422 if fault else 200)


def _shown(site: ConsoleSite) -> list[ShownSetting]:
    """Return the settings in force, each with the place that gives it that value now.

    A value that no place gives any more was set by the program, or changed there since the start.
    """
    in_force = site.platform.settings
    try:
        resolved = resolve_settings(data=in_force.data)
        places = {each.name: each for each in settings_in_force(resolved)}
    except ConfigurationError:  # what the places say now would not do; what is in force does
        places = {}
    found: list[ShownSetting] = []
    for path, spec in SPECS.items():
        value = spec.show(attrgetter(path)(in_force))
        place = places.get(path)
        same = place is not None and place.value == value
        origin = (
            str(place.origin) if place is not None and same else "the program, or an earlier start"
        )
        unset = spec.about.unset.replace("`", "").replace("*", "")
        found.append(
            ShownSetting(path, spec.variable, value, unset, origin, is_default=origin == "default")
        )
    return found
