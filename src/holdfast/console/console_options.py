"""What tunes the console: where it is mounted, how long a login lasts, whom it believes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from holdfast.access.login_sessions import LIFE
from holdfast.errors import ConfigurationError

_PATH = re.compile(r"(/[A-Za-z0-9_-]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """How a console is mounted.

    *path* is where it stands in the application. *session_life*: how long a login lasts at most.
    *is_open* lets everybody who can reach it do all, without a key: for a server that answers to
    its own machine alone. *origins* are those whose pages may write here, besides its own.
    *media_origins* are hosts of a bucket from which a page may load pictures and videos, and to
    which it may upload, as in `https://s3.example`.
    """

    path: str = "/console"
    session_life: timedelta = LIFE
    is_open: bool = False
    origins: frozenset[str] = frozenset()
    media_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path):
            raise ConfigurationError(f"path={self.path!r}: expected one such as '/console'")
        if self.session_life <= timedelta(0):
            raise ConfigurationError(f"session_life={self.session_life}: expected above 0")
        for origin in (*self.origins, *self.media_origins):
            if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+", origin):
                raise ConfigurationError(
                    f"origin {origin!r}: expected a scheme and a host, as in https://s3.example"
                )
