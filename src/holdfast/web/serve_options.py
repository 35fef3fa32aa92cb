"""What tunes a server of the platform, and how it is told to each of its processes."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from holdfast.errors import ConfigurationError
from holdfast.option_checks import check_whole
from holdfast.web.shield import LOOPBACK_NAMES, host_name

_VARIABLE = "_HOLDFAST_SERVE"  # not HOLDFAST_: it is nobody's setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Where to listen, for whom, and what runs beside.

    The server answers to loopback names, to its *host*, and to *allowed_hosts*. *keys* asks
    everybody for an API key; without it the programs of this machine need none, and a server that
    others can reach is refused. *work* runs jobs in the same process. *data* takes precedence over
    the setting.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    processes: int = 1
    reload: bool = False
    work: bool = True
    keys: bool = False
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    data: str | None = None

    def __post_init__(self) -> None:
        if not self.keys and not self._is_local():
            raise ConfigurationError(
                f"others can reach {self.host}:{self.port}, so each has to show an API key: "
                "give --keys, and issue one with `holdfast keys issue NAME --role admin`"
            )
        check_whole(self, "processes")
        for origin in self.allowed_origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise ConfigurationError(
                    f"allowed origin {origin!r}: expected a scheme and a host, "
                    "as in https://console.example"
                )

    def _is_local(self) -> bool:
        return _is_loopback(self.host) and not self.allowed_hosts

    @property
    def hosts(self) -> frozenset[str]:
        """The names that the server answers to, without ports."""
        own = f"[{self.host}]" if ":" in self.host else self.host
        return LOOPBACK_NAMES | {host_name(each) for each in (own, *self.allowed_hosts)}

    @property
    def data_folder(self) -> Path | None:
        """The data folder, None for that of the settings."""
        return None if self.data is None else Path(self.data)


def hand_on(options: ServeOptions) -> None:
    """Leave *options* for `handed_on`, in this process and those that it starts."""
    os.environ[_VARIABLE] = msgspec.json.encode(options).decode()


def handed_on() -> ServeOptions:
    """Return the options that `hand_on` left."""
    return msgspec.json.decode(os.environ[_VARIABLE], type=ServeOptions)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
