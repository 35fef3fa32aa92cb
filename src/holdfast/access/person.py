"""A person as an OpenID provider tells of them: who it is, and which role follows from a claim."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.access.api_key import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    JSONObject = Mapping[str, object]

_SHOWN = 80  # characters of the name that somebody chose
_MOST_SUBJECT = 100  # characters of a subject; of a longer one a digest is shown


@dataclass(frozen=True, slots=True)
class Person:
    """Who logs in: the *subject* is the provider's for that person alone, and for good.

    *name* is what the audit and pages say: what the person is called, and the subject, for what
    one is called may change, and two may be called the same. *role* is None for somebody who may
    not come in. *id_token* is what showed all this.
    """

    issuer: str
    subject: str
    name: str
    role: Role | None
    id_token: str = field(repr=False)


def name_of(claims: JSONObject) -> str:
    """Return what the audit and pages call whom *claims* tell of, in 200 characters at most."""
    subject = str(claims["sub"])
    if len(subject) > _MOST_SUBJECT:
        subject = f"sha256:{hashlib.sha256(subject.encode()).hexdigest()}"
    for claim in ("preferred_username", "email", "name"):
        given = claims.get(claim)
        if isinstance(given, str) and (shown := _printable(given)):
            return f"{shown} ({subject})"
    return subject


def role_of(claims: JSONObject, claim: str, roles: Mapping[str, Role]) -> Role | None:
    """Return the highest of *roles* that a value of *claim* gives, None for none.

    The claim is text or a list of it. It is looked for by its whole name first, then by its steps.
    """
    found = claims.get(claim)
    if found is None:
        found = claims
        for step in claim.split("."):
            found = found.get(step) if isinstance(found, dict) else None
    values = found if isinstance(found, list) else [found]
    given = [roles[each] for each in values if isinstance(each, str) and each in roles]
    return max(given, key=list(Role).index, default=None)


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isprintable()).strip()[:_SHOWN]
