"""The console as its pages find it: the platform, the sections, and the addresses of its pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlencode

from holdfast.access import LoginSessions, Role
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import APIRouter
    from starlette.requests import HTTPConnection

    from holdfast.access import Caller
    from holdfast.access.gate import Gate
    from holdfast.access.openid_provider import OpenIDProvider
    from holdfast.console.buckets.usage_counts import UsageCounts
    from holdfast.console.console_options import ConsoleOptions
    from holdfast.console.uploads.upload_sessions import UploadSessions
    from holdfast.platform import Platform


@dataclass(frozen=True, slots=True)
class ConsoleSite:
    """One console. *sections* are those that its platform has something for, in order.

    *uploads* are the unfinished ones of all its pages, *usage* what was counted in buckets.
    *provider* is by whom people log in without a key, None for nobody. *cursor_secrets* sign the
    cursors in its addresses where the application around it has no secret of its own.
    """

    platform: Platform
    options: ConsoleOptions
    gate: Gate
    sessions: LoginSessions
    sections: tuple[ConsoleSection, ...]
    uploads: UploadSessions
    usage: UsageCounts
    provider: OpenIDProvider | None = None
    cursor_secrets: tuple[str, ...] = ()

    def url(self, path: str = "", query: Mapping[str, object] | None = None) -> str:
        """Return the address of the page *path* of the console, as in `records/videos`.

        What stands in *path* is quoted but for its slashes; nulls in *query* are left out.
        """
        found = f"{self.options.path}/{quote(path)}"
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return f"{found}?{urlencode(given, doseq=True)}" if given else found

    def has_service(self, kind: type) -> bool:
        """Return whether the platform has a service that is a *kind*."""
        return any(isinstance(each, kind) for each in self.platform.parts.services.values())

    def sections_of(self, caller: Caller) -> list[ConsoleSection]:
        """Return the sections that *caller* may see."""
        return [
            each
            for each in self.sections
            if caller.role.includes(each.role) and (each.by_project or caller.projects is None)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSection:
    """One entry of the navigation, and the pages below it.

    *name* is its path in the console, *icon* one of `templates/icons.html`. *routes* makes its
    router, whose routes each say who may use them and begin with the name. *role* is what its
    first page asks for, and *by_project* whether a key limited to projects finds its own there.
    *needs* are services without which it is left out. One that is not *listed* is found by the
    search alone.
    """

    name: str
    title: str
    icon: str
    routes: Callable[[ConsoleSite], APIRouter]
    role: Role = Role.VIEWER
    by_project: bool = False
    needs: tuple[type, ...] = ()
    listed: bool = True

    def fits(self, platform: Platform) -> bool:
        """Return whether *platform* has what the section shows."""
        services = platform.parts.services.values()
        return all(any(isinstance(each, kind) for each in services) for kind in self.needs)


def site_of(connection: HTTPConnection) -> ConsoleSite:
    """Return the console that *connection* came to. Raises ConfigurationError outside of one."""
    found = getattr(connection.app.state, "console", None)
    if found is None:
        raise ConfigurationError("this page belongs to no console: add_console mounts one")
    return cast("ConsoleSite", found)
