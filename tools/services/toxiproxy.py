"""Toxiproxy: made by HTTP, proxies before any server, whose connections suffer as told."""

from __future__ import annotations

from tools.services.failure import NotReadyError
from tools.services.http import request
from tools.services.programs.go import GoModule
from tools.services.server import Launch, Server, Site


def ping(url: str) -> None:
    """Its control API says which version it is."""
    answer = request(url, "GET", "/version")
    if answer.status != 200:
        raise NotReadyError(f"GET /version answered {answer.status}; expected 200")


def _plan(site: Site) -> tuple[Launch, ...]:
    proxies = site.folder / "proxies.json"
    where = ("-host", "127.0.0.1", "-port", str(site.ports["toxiproxy"]))
    command = (site.program("toxiproxy-server"), *where, "-config", str(proxies))
    return (Launch("toxiproxy", command, site.folder, files={proxies.name: "[]\n"}),)


def _urls(site: Site) -> dict[str, str]:
    return {"toxiproxy": f"http://127.0.0.1:{site.ports['toxiproxy']}"}


TOXIPROXY = Server(
    name="toxiproxy",
    source=GoModule(
        program="toxiproxy-server",
        path="github.com/Shopify/toxiproxy/v2/cmd/server",
        version="v2.5.0",
        needs_go=(1, 18),
    ),
    ports=("toxiproxy",),
    plan=_plan,
    urls=_urls,
    ping=ping,
)
