"""Two open emulators of DynamoDB, in memory: dynoxide, and the server of moto."""

from __future__ import annotations

import json
from pathlib import Path

from tools.services.address import parse
from tools.services.failure import NotReadyError
from tools.services.http import request
from tools.services.programs.cargo import Crate
from tools.services.programs.pypi import PythonPackage
from tools.services.server import PASSWORD, USER, Launch, Server, Site

SCOPE = "20260101/us-east-1/dynamodb/aws4_request"
# moto says each request aloud; its log would grow by megabytes with every run of the tests.
SERVE = """\
import logging
import sys

from moto.server import main

logging.getLogger("werkzeug").setLevel(logging.ERROR)
main(sys.argv[1:])
"""


def ping(url: str) -> None:
    """It lists its tables. Emulators ask who signed, and do not check the signature."""
    user = parse(url).user or USER
    credential = f"AWS4-HMAC-SHA256 Credential={user}/{SCOPE}, SignedHeaders=host, Signature=0"
    headers = {
        "Authorization": credential,
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Date": "20260101T000000Z",
        "X-Amz-Target": "DynamoDB_20120810.ListTables",
    }
    body = json.dumps({"Limit": 1}).encode()
    answer = request(url, "POST", "/", body=body, headers=headers)
    if answer.status != 200 or b'"TableNames"' not in answer.body:
        said = answer.body[:100]
        raise NotReadyError(f"answered {answer.status}, which is not DynamoDB: {said!r}")


def _plan_dynoxide(site: Site) -> tuple[Launch, ...]:
    """SQLite keeps it in memory; it ignores *folder*, which tells the process from others."""
    database = f"file:holdfast?mode=memory&folder={site.folder}"
    where = ("--host", "127.0.0.1", "--port", str(site.ports["dynoxide"]))
    command = (site.program("dynoxide"), *where, "--db-path", database)
    return (Launch("dynoxide", command, site.folder),)


def _plan_moto(site: Site) -> tuple[Launch, ...]:
    script = site.folder / "serve.py"
    where = ("-H", "127.0.0.1", "-p", str(site.ports["moto"]))
    command = (site.program("python"), str(script), *where)
    return (Launch("moto", command, site.folder, files={script.name: SERVE}),)


def _url(port: int) -> str:
    return f"http://{USER}:{PASSWORD}@127.0.0.1:{port}"


DYNOXIDE = Server(
    name="dynoxide",
    source=Crate(
        program="dynoxide",
        package="dynoxide-rs",
        version="3.2.0",
        features=("native-sqlite", "http-server", "cli"),
        needs_rust=(1, 88),
    ),
    ports=("dynoxide",),
    plan=_plan_dynoxide,
    urls=lambda site: {"dynoxide": _url(site.ports["dynoxide"])},
    ping=ping,
)

MOTO = Server(
    name="moto",
    source=PythonPackage(
        package="moto", version="5.2.5", lock=Path(__file__).with_name("moto.lock")
    ),
    ports=("moto",),
    plan=_plan_moto,
    urls=lambda site: {"moto": _url(site.ports["moto"])},
    ping=ping,
)
