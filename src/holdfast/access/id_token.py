"""The ID token of OpenID Connect: who signed it, and whether what it claims is for us, and now.

The rules are those of OpenID Connect Core 1.0, section 3.1.3.7.
"""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import jwt

from holdfast.errors import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    JSONObject: TypeAlias = Mapping[str, object]

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Signatures that are taken: by a key of which the provider shows the public half."""
SKEW = timedelta(minutes=1)
"""By how much the provider's clock may differ from ours."""
_SUBJECT = re.compile(r"[\x20-\x7e]{1,255}")  # ASCII, as the standard has it, and printable


@dataclass(frozen=True, slots=True)
class ExpectedToken:
    """What a token has to claim: whose it is (*issuer*), for which *client_id*, to which asking."""

    issuer: str
    client_id: str
    nonce: str


def signing_key(token: str, keys: Sequence[JSONObject]) -> jwt.PyJWK | None:
    """Return the one of *keys*, a JSON Web Key Set's, that *token* names; None where it has none.

    Raises UnauthenticatedError for what is no token, or is signed in a way that is not taken.
    """
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise _refused("it is no token") from error
    algorithm, name = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise _refused(f"it is signed by {algorithm!r:.40}")
    fitting = [
        each
        for each in keys
        if each.get("use", "sig") == "sig"
        and each.get("alg", algorithm) == algorithm
        and (name is None or each.get("kid") == name)
    ]
    if len(fitting) != 1:
        return None  # without a name, one of several is not guessed
    try:
        return jwt.PyJWK(dict(fitting[0]), algorithm)
    except jwt.PyJWTError as error:
        raise _refused(f"its key can't be used: {type(error).__name__}") from None


def verified_claims(
    token: str, key: jwt.PyJWK, expected: ExpectedToken, now: datetime
) -> JSONObject:
    """Return what *token* claims, if *key* has signed it and it is what is *expected*, *now*.

    Raises UnauthenticatedError, which says what is wrong, and nothing of what it claims.
    """
    claims = _signed(token, key)
    if claims.get("iss") != expected.issuer:
        raise _refused("another issuer has made it")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in named:
        raise _refused("it is for another client")
    party = claims.get("azp", None if len(named) > 1 else expected.client_id)
    if party != expected.client_id:
        raise _refused("another client has asked for it")
    if not now < _time(claims, "exp") + SKEW:
        raise _refused("it is over")
    if now < max(_time(claims, "iat"), _time(claims, "nbf", optional=True)) - SKEW:
        raise _refused("it is of the future")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode(), expected.nonce.encode()
    ):
        raise _refused("it answers another login")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise _refused("it names nobody")
    return claims


def _signed(token: str, key: jwt.PyJWK) -> JSONObject:
    checks = jwt.PyJWS(options={"enforce_minimum_key_length": True})
    try:
        content = checks.decode(token, key, algorithms=[key.algorithm_name])
        claims = json.loads(content)
    except jwt.PyJWTError as error:
        raise _refused("its signature is not good") from error
    except (ValueError, RecursionError):
        raise _refused("what it says is no JSON") from None
    if not isinstance(claims, dict):
        raise _refused("what it says is no JSON object")
    return claims


def _time(claims: JSONObject, name: str, *, optional: bool = False) -> datetime:
    given = claims.get(name, 0 if optional else None)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise _refused(f"it has no time {name}")
    try:
        return datetime.fromtimestamp(given, tz=UTC)
    except (ValueError, OverflowError, OSError):
        raise _refused(f"its time {name} is none") from None


def _refused(reason: str) -> UnauthenticatedError:
    return UnauthenticatedError(f"the ID token is not taken: {reason}")
