"""An OpenID provider, for logins: oidc-provider, in memory, with people who are made up."""

from __future__ import annotations

import json
from pathlib import Path

from tools.services.failure import NotReadyError
from tools.services.http import request
from tools.services.programs.npm import NpmPackage
from tools.services.server import PASSWORD, Launch, Server, Site

_FOLDER = Path(__file__).with_name("openid_provider")


def ping(url: str) -> None:
    """It says what it is, in the document of discovery, which is longer than what is read."""
    answer = request(url, "GET", "/.well-known/openid-configuration")
    if answer.status != 200 or json.dumps(url).encode() not in answer.body:
        raise NotReadyError(f"answered {answer.status}, not as the issuer {url}")


def _plan(site: Site) -> tuple[Launch, ...]:
    script = site.folder / "provider.mjs"
    given = (site.program("oidc-provider"), str(site.ports["openid"]), PASSWORD)
    text = (_FOLDER / "provider.mjs").read_text(encoding="utf-8")
    command = (site.program("node"), str(script), *given)
    return (Launch("openid", command, site.folder, files={script.name: text}),)


OPENID = Server(
    name="openid",
    source=NpmPackage(
        package="oidc-provider", version="9.13.3", folder=_FOLDER, main="lib/index.js"
    ),
    ports=("openid",),
    plan=_plan,
    urls=lambda site: {"openid": f"http://127.0.0.1:{site.ports['openid']}"},
    ping=ping,
)
