"""What can go wrong with a server.

ServicesError
├── MissingError    it is not installed here and can't be: says how to get it
├── StartError      it is installed and does not come up: says what it said last
├── NotReadyError   it does not answer now; a moment later it may
└── StateError      the remembered state can't be used
"""

from __future__ import annotations


class ServicesError(Exception):
    """Root of everything that these tools raise on purpose."""


class MissingError(ServicesError):
    """The server can't be had here; the text says why, *how* says how to get it."""

    def __init__(self, reason: str, how: str) -> None:
        super().__init__(reason)
        self.how = how


class StartError(ServicesError):
    """The server is here and does not come up."""


class NotReadyError(ServicesError):
    """No server of the expected kind answers at the address now."""


class StateError(ServicesError):
    """The remembered state can't be read or used."""
