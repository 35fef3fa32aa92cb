"""The OpenID provider by which people log in: discovery, the way there, the code and the keys.

OpenID Connect Core 1.0 with the authorization code flow, PKCE by S256, Discovery 1.0, and logout as
RP-Initiated Logout 1.0 has it. Two documents of the provider's are kept for an hour.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode, urlsplit

from holdfast.access.id_token import ExpectedToken, signing_key, verified_claims
from holdfast.access.person import Person, name_of, role_of
from holdfast.access.provider_requests import asked, is_safe
from holdfast.clock import utc_now
from holdfast.errors import ConfigurationError, UnauthenticatedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import jwt

    from holdfast.access.api_key import Role
    from holdfast.access.login_attempt import LoginAttempt
    from holdfast.access.provider_requests import ProviderAnswer

    JSONObject = Mapping[str, object]

FRESH = timedelta(hours=1)
"""For how long the document of discovery and the keys are taken as they were."""
KEYS_PAUSE = timedelta(minutes=1)
"""How often keys are asked for at most, when a token names one that is not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """The *issuer*, what it knows us as, and which *roles* follow from the values of a claim.

    Without a *client_secret* it is a public client. *scopes* are asked for beside `openid`.
    """

    issuer: str
    client_id: str
    roles: Mapping[str, Role]
    client_secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ("profile", "email")
    role_claim: str = "groups"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a provider says of itself: its addresses, and how it is spoken to.

    *end_session* is '' where it offers no logout. *names_itself*: its answers carry the issuer.
    """

    authorization: str
    token: str
    keys: str
    end_session: str
    names_itself: bool
    takes_basic: bool


class OpenIDProvider:
    """A provider as one client of it, in one event loop; *now* tells the time."""

    def __init__(self, options: ProviderOptions, *, now: Callable[[], datetime] = utc_now) -> None:
        parts = urlsplit(options.issuer)
        self.options = options
        self.name = parts.netloc
        self._clear = parts.scheme == "http"
        if not is_safe(options.issuer, clear=True):
            raise ConfigurationError(
                f"login.issuer={options.issuer!r}: expected https, or http to this machine"
            )
        self._now = now
        self._lock = asyncio.Lock()
        self._discovery: Discovery | None = None
        self._discovered_at: datetime | None = None
        self._keys: list[JSONObject] = []
        self._keys_at: datetime | None = None

    async def discovery(self) -> Discovery:
        """Return what the provider says of itself.

        Raises UnavailableError where it does not answer, and ConfigurationError when what answers
        is not the issuer.
        """
        async with self._lock:
            at = self._discovered_at
            if self._discovery is None or at is None or self._now() - at >= FRESH:
                place = f"{self.options.issuer.rstrip('/')}/.well-known/openid-configuration"
                self._discovery = self._read(place, await asked(place))
                self._discovered_at = self._now()
            return self._discovery

    async def login_url(self, attempt: LoginAttempt, answer_url: str) -> str:
        """Return where a browser goes to log in, from which it comes back to *answer_url*.

        Raises UnavailableError and ConfigurationError.
        """
        found = await self.discovery()
        return _with_query(
            found.authorization,
            {
                "response_type": "code",
                "client_id": self.options.client_id,
                "redirect_uri": answer_url,
                "scope": " ".join(dict.fromkeys(("openid", *self.options.scopes))),
                "state": attempt.state,
                "nonce": attempt.nonce,
                "code_challenge": attempt.challenge,
                "code_challenge_method": "S256",
            },
        )

    async def person(self, attempt: LoginAttempt, answer: Mapping[str, str], url: str) -> Person:
        """Return who has logged in, by the *answer* that the browser brought to *url*.

        Raises UnauthenticatedError for an answer to another attempt, a code that is not good, and
        a token that is not; UnavailableError and ConfigurationError where the provider can't tell.
        """
        if not attempt.has_state(answer.get("state", "")):
            raise UnauthenticatedError("the answer belongs to another login, or came too late")
        found = await self.discovery()
        issuer = answer.get("iss", None if found.names_itself else self.options.issuer)
        if issuer != self.options.issuer:
            raise UnauthenticatedError("the answer is another provider's")  # RFC 9207
        if "error" in answer or not answer.get("code"):
            raise UnauthenticatedError(f"the provider said {_word(answer.get('error', ''))}")
        token = await self._redeem(found, attempt, answer["code"], url)
        expected = ExpectedToken(self.options.issuer, self.options.client_id, attempt.nonce)
        key = await self._key(found, token)
        claims = verified_claims(token, key, expected, self._now())
        role = role_of(claims, self.options.role_claim, self.options.roles)
        return Person(self.options.issuer, str(claims["sub"]), name_of(claims), role, token)

    async def logout_url(self, id_token: str, back: str) -> str:
        """Return where a browser logs out of the provider too, '' where that is not offered.

        It comes *back* afterwards, if the provider knows that address. Raises UnavailableError and
        ConfigurationError.
        """
        found = await self.discovery()
        if not found.end_session:
            return ""
        asking = {"client_id": self.options.client_id, "post_logout_redirect_uri": back}
        hint = {"id_token_hint": id_token} if id_token else {}
        return _with_query(found.end_session, hint | asking)

    async def _redeem(self, found: Discovery, attempt: LoginAttempt, code: str, url: str) -> str:
        own = self.options
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": url,
            "code_verifier": attempt.verifier,
        }
        basic = None
        if own.client_secret and found.takes_basic:
            basic = (quote_plus(own.client_id), quote_plus(own.client_secret))  # RFC 6749, 2.3.1
        else:
            form["client_id"] = own.client_id
            if own.client_secret:
                form["client_secret"] = own.client_secret
        answer = await asked(found.token, form=form, basic=basic)
        said = answer.content.get("error")
        if said == "invalid_grant":
            raise UnauthenticatedError("the code is not good, or was used before")
        token = answer.content.get("id_token")
        if answer.status != 200 or not isinstance(token, str):
            raise UnavailableError(
                f"{self.name} gives no ID token: {answer.status} {_word(str(said or ''))}"
            )
        return token

    async def _key(self, found: Discovery, token: str) -> jwt.PyJWK:
        """Return the key that has to have signed *token*; keys are asked for again if it is new."""
        async with self._lock:
            if self._keys_are_older(FRESH):
                await self._fetch_keys(found)
            key = signing_key(token, self._keys)
            if key is None and self._keys_are_older(KEYS_PAUSE):
                await self._fetch_keys(found)
                key = signing_key(token, self._keys)
        if key is None:
            raise UnauthenticatedError("the ID token is not taken: it names an unknown key")
        return key

    def _keys_are_older(self, age: timedelta) -> bool:
        return self._keys_at is None or self._now() - self._keys_at >= age

    async def _fetch_keys(self, found: Discovery) -> None:
        answer = await asked(found.keys)
        given = answer.content.get("keys")
        if answer.status != 200 or not isinstance(given, list):
            raise UnavailableError(f"{self.name} shows no keys: {answer.status}")
        self._keys = [each for each in given if isinstance(each, dict)]
        self._keys_at = self._now()

    def _read(self, place: str, answer: ProviderAnswer) -> Discovery:
        content = answer.content
        if answer.status != 200 or not content:
            raise UnavailableError(f"{place} answers {answer.status}, and says no discovery")
        if content.get("issuer") != self.options.issuer:
            raise ConfigurationError(
                f"login.issuer={self.options.issuer!r}: the provider there names itself "
                f"{content.get('issuer')!r:.200}"
            )
        methods = content.get("token_endpoint_auth_methods_supported")
        return Discovery(
            self._place(content, "authorization_endpoint"),
            self._place(content, "token_endpoint"),
            self._place(content, "jwks_uri"),
            self._place(content, "end_session_endpoint", optional=True),
            names_itself=content.get("authorization_response_iss_parameter_supported") is True,
            takes_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        )

    def _place(self, content: JSONObject, name: str, *, optional: bool = False) -> str:
        given = content.get(name, "" if optional else None)
        if given == "" and optional:
            return ""
        if not isinstance(given, str) or not is_safe(given, clear=self._clear):
            raise ConfigurationError(
                f"{self.name} says no {name} that may be asked: {given!r:.200}"
            )
        return given


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _word(code: str) -> str:
    """Return an error's code as it may be shown."""
    kept = "".join(
        each for each in code[:60] if each.isascii() and (each.isalnum() or each in "_.")
    )
    return kept or "no reason"
