"""The section of the settings that says by which OpenID provider people log in to the console."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from holdfast.backend_url import parse_url
from holdfast.errors import ConfigurationError
from holdfast.settings.sections import Section
from holdfast.settings.setting_spec import About
from holdfast.settings.value_checks import NUMBER, checked_url, split_names

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")
_URL = "a URL such as https://accounts.example"


def _parse_issuer(value: str) -> object:
    found = parse_url(value, ("http", "https"))
    if "?" in value or "#" in value:
        raise ConfigurationError("an issuer has no query and no fragment")
    return found


def _checked_origin(value: str) -> str:
    if value and not _ORIGIN.fullmatch(value):
        raise PydanticCustomError("origin", "a scheme and a host, without a path", {})
    return value


def _checked_roles(value: tuple[str, ...]) -> tuple[str, ...]:
    from holdfast.access import Role  # noqa: PLC0415 - slow to import

    for each in value:
        group, _, role = each.rpartition("=")
        if not group.strip() or role.strip() not in list(Role):
            raise PydanticCustomError("roles", "a value of the claim, = and a role", {})
    return value


class LoginSection(Section):
    """The section `[login]`: people known by an OpenID provider, beside API keys."""

    issuer: Annotated[
        str,
        AfterValidator(checked_url(_parse_issuer)),
        About(
            what="the OpenID provider by which people log in to the console, as it names itself; "
            "http is for this machine alone",
            expected=_URL,
            unset="people log in by API keys alone",
        ),
    ] = ""
    client_id: Annotated[
        str,
        About(
            what="what the provider calls this server",
            expected="the id of a client",
        ),
    ] = ""
    client_secret: Annotated[
        str,
        About(
            what="the secret that goes with it",
            expected="the secret of a client",
            shown="secret",
            unset="none: a public client, by PKCE alone",
        ),
    ] = ""
    scopes: Annotated[
        tuple[str, ...],
        BeforeValidator(split_names),
        About(
            what="what is asked for beside `openid`, with commas between; many providers tell "
            "groups when asked for `groups`",
            expected="names of scopes",
        ),
    ] = ("profile", "email")
    role_claim: Annotated[
        str,
        Field(min_length=1, max_length=200),
        About(
            what="the claim of the ID token that roles follow from; points lead into what is "
            "nested, as in `realm_access.roles`",
            expected="the name of a claim",
        ),
    ] = "groups"
    roles: Annotated[
        tuple[str, ...],
        BeforeValidator(split_names),
        AfterValidator(_checked_roles),
        About(
            what="which role a value of that claim gives, as in `video-team=operator, "
            "staff=viewer`; the highest counts, and without any nobody is let in",
            expected="pairs such as staff=viewer, with commas between; roles are viewer, operator "
            "and admin",
            unset="none",
        ),
    ] = ()
    hours: Annotated[
        float,
        NUMBER,
        Field(gt=0, le=720),
        About(
            what="hours that such a login lasts at most",
            expected="a number of hours above 0, 720 at most",
        ),
    ] = 12.0
    address: Annotated[
        str,
        AfterValidator(_checked_origin),
        About(
            what="scheme and host by which browsers reach this server, to which the provider "
            "sends them back",
            expected="a scheme and a host, as in https://video.example",
            unset="as the request says",
        ),
    ] = ""
