"""One way of a browser to an OpenID provider and back, bound to that browser.

The browser keeps one secret, in a cookie of its own. The state, the nonce and the verifier of PKCE
are MACs by it, so an answer fits the browser that asked, and nothing has to be kept here meanwhile.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

from holdfast.access.token_form import draw


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """An attempt to log in; the *secret* is the browser's."""

    secret: str = field(default_factory=draw, repr=False)

    @property
    def state(self) -> str:
        """What comes back with the answer."""
        return self._mac("state")

    @property
    def nonce(self) -> str:
        """What stands in the ID token."""
        return self._mac("nonce")

    @property
    def verifier(self) -> str:
        """What shows that the code was asked for here (RFC 7636)."""
        return self._mac("verifier")

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier, by the method S256."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def has_state(self, given: str) -> bool:
        """Return whether an answer with the state *given* is one to this attempt."""
        return hmac.compare_digest(given.encode(), self.state.encode())

    def _mac(self, purpose: str) -> str:
        return hmac.new(self.secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()
