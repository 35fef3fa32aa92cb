"""Redis, plain and by TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tools.services import certificate
from tools.services.address import parse
from tools.services.programs.debian import DebianPackages
from tools.services.redis_protocol import RedisError, authority, session
from tools.services.server import Launch, Server, Site

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = DebianPackages(debian=("redis-server",), binaries=("redis-server",))
COMMON = """\
bind 127.0.0.1
protected-mode yes
daemonize no
set-proc-title no
logfile ""
"""
KEEPS_NOTHING = 'save ""\nappendonly no\n'
CERTIFICATES = "certificates"


def ping(url: str) -> None:
    """PONG, or a question for the password when *url* has none to give."""
    address = parse(url)
    with session(address.host, address.port, tls=authority(address)) as ask:
        try:
            if address.password:
                ask("AUTH", *filter(None, (address.user, address.password)))
            ask("PING")
        except RedisError as refusal:
            if not str(refusal).startswith("NOAUTH"):
                raise


def _prepare(site: Site) -> None:
    certificate.make(site.folder / CERTIFICATES)


def _plan(site: Site) -> tuple[Launch, ...]:
    lines = f"port {site.ports['redis']}\ndir {quoted(site.folder)}\n{KEEPS_NOTHING}"
    certificates = site.folder / CERTIFICATES
    if _has_tls(site):
        lines += (
            f"tls-port {site.ports['redis-tls']}\n"
            f"tls-cert-file {quoted(certificates / 'server.crt')}\n"
            f"tls-key-file {quoted(certificates / 'server.key')}\n"
            f"tls-ca-cert-file {quoted(certificates / 'ca.crt')}\n"
            "tls-auth-clients no\n"
        )
    return (launch(site, "redis", site.folder, lines),)


def _urls(site: Site) -> dict[str, str]:
    urls = {"redis": f"redis://127.0.0.1:{site.ports['redis']}/0"}
    if _has_tls(site):
        trusted = site.folder / CERTIFICATES / "ca.crt"
        place = f"127.0.0.1:{site.ports['redis-tls']}"
        urls["redis-tls"] = f"rediss://{place}/0?ca={quote(str(trusted))}"
    return urls


def _has_tls(site: Site) -> bool:
    return (site.folder / CERTIFICATES).exists()


def launch(site: Site, name: str, folder: Path, lines: str, *flags: str) -> Launch:
    """Return one redis-server, whose configuration in *folder* ends with *lines*."""
    path = folder / "redis.conf"
    command = (site.program("redis-server"), str(path), *flags)
    return Launch(name, command, folder, files={path.name: COMMON + lines})


def quoted(path: Path) -> str:
    """As Redis's configuration takes a path that may hold spaces."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


REDIS = Server(
    name="redis",
    source=SOURCE,
    ports=("redis", "redis-tls"),
    plan=_plan,
    urls=_urls,
    ping=ping,
    prepare=_prepare,
    extra=("redis-tls",),
)
