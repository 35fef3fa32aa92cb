"""The receiver of a webhook: what its URL may say, and which addresses may be connected to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Self, TypeAlias
from urllib.parse import urlsplit

from holdfast.errors import ConfigurationError, InvalidValueError, PermanentError
from holdfast.webhooks.webhook_entities import URL_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Network

Address: TypeAlias = IPv4Address | IPv6Address

_PRINTABLE = re.compile(r"[!-~]+")
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?)+", re.IGNORECASE)
_PORTS = {"https": 443, "http": 80}
_NAT64 = IPv6Network("64:ff9b::/96")
# Special ones beyond those that each supported Python's ipaddress knows (IANA's registries).
_SPECIAL = tuple(
    ip_network(each)
    for each in (
        "168.63.129.16/32",  # Azure's metadata, the only one at a public address
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "100::/64",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)


@dataclass(frozen=True, slots=True)
class Receiver:
    """The parts of a receiver's URL; *target* is path and query, as a request has them."""

    host: str
    port: int
    secure: bool
    target: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the receiver at *url*.

        Raises InvalidValueError for one that is not `https://` or `http://` with a host, or holds a
        user, a password, a fragment, a blank, or a letter outside ASCII (percent-encode it).
        """
        if len(url) > URL_LENGTH or not _PRINTABLE.fullmatch(url):
            raise _invalid(f"expected at most {URL_LENGTH} printable letters of ASCII")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _invalid(str(error)) from None
        host = parts.hostname or ""
        if parts.scheme not in _PORTS or not host:
            raise _invalid("expected https:// and a host")
        if "@" in parts.netloc or "#" in url:
            raise _invalid("it holds a user or a fragment, which are not sent")
        if _literal(host) is None and not _HOST.fullmatch(host):
            raise _invalid("its host is no name and no address")
        if port == 0:
            raise _invalid("its port is 0")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(host, port or _PORTS[parts.scheme], parts.scheme == "https", target)

    @property
    def address(self) -> Address | None:
        """The address that the URL names itself, None where it has a name to be resolved."""
        return _literal(self.host)

    @property
    def authority(self) -> str:
        """Host and port, as the header `host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self._scheme] else f"{host}:{self.port}"

    @property
    def _scheme(self) -> str:
        return "https" if self.secure else "http"


@dataclass(frozen=True, slots=True)
class ReceiverNetworks:
    """Which addresses may be connected to: public ones, and those in the networks *allowed*."""

    allowed: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str]) -> Self:
        """Return those that *names* say, such as 10.1.0.0/16. Raises ConfigurationError."""
        try:
            return cls(tuple(ip_network(name) for name in names))
        except ValueError as error:
            raise ConfigurationError(f"networks of webhooks: {error}") from None

    def permits(self, address: Address, *, secure: bool) -> bool:
        """Return whether *address* may be connected to, with TLS (*secure*) or without.

        Without, it must be a loopback address in a network that is allowed. An address that stands
        for one of IPv4 (mapped, NAT64, 6to4, Teredo) is only as good as that one.
        """
        meant = _meant(address)
        known = any(meant in network or address in network for network in self.allowed)
        if not secure:
            return known and meant.is_loopback
        return known or (_is_public(meant) and _is_public(_carrier(address)))

    def check(self, receiver: Receiver, address: Address) -> None:
        """Raise PermanentError when *receiver* may not be connected to at *address*."""
        if not self.permits(address, secure=receiver.secure):
            how = "https" if receiver.secure else "http, which is for loopback addresses there"
            raise PermanentError(
                f"{receiver.host} is at {address}: not in a network that is allowed for {how}; "
                "see the setting webhooks.networks"
            )


def _meant(address: Address) -> Address:
    """Return what a connection to *address* reaches: of a mapped one or NAT64, that of IPv4."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address
    return address


def _carrier(address: Address) -> Address:
    """Return whose host a tunnel to *address* ends at, 6to4 or Teredo; else what is meant by it."""
    if isinstance(address, IPv6Address):
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
    return _meant(address)


def _is_public(address: Address) -> bool:
    special = address.is_multicast or address.is_reserved
    return address.is_global and not special and not any(address in each for each in _SPECIAL)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _invalid(reason: str) -> InvalidValueError:
    return InvalidValueError("Webhook", "url", reason)
