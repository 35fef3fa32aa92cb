"""Two servers that speak S3 and differ where it matters: MinIO and the Versity gateway."""

from __future__ import annotations

import base64
import hashlib

from tools.services.failure import NotReadyError
from tools.services.http import request
from tools.services.programs.go import GoModule
from tools.services.server import PASSWORD, USER, Launch, Server, Site

# MinIO encrypts at rest only with a key; one made from its own name will do for made-up data.
KEY = base64.b64encode(hashlib.sha256(b"holdfast test servers").digest()).decode()


def ping(url: str) -> None:
    """An unsigned request that is answered in S3's own way: refused in XML, usually."""
    answer = request(url, "GET", "/")
    if answer.status >= 500 or b"<" not in answer.body[:100]:
        raise NotReadyError(f"answered {answer.status}, which is not S3: {answer.body[:100]!r}")


def _prepare(site: Site) -> None:
    for name in ("data", "versions"):
        site.owner.give(site.folder / name)


def _plan_minio(site: Site) -> tuple[Launch, ...]:
    address = f"127.0.0.1:{site.ports['minio']}"
    command = (site.program("minio"), "server", str(site.folder / "data"), "--address", address)
    env = {
        "MINIO_ROOT_USER": USER,
        "MINIO_ROOT_PASSWORD": PASSWORD,
        "MINIO_KMS_SECRET_KEY": f"holdfast:{KEY}",
        "MINIO_CI_CD": "1",  # a folder on the system's own disk is fine
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }
    return (Launch("minio", command, site.folder, env),)


def _plan_versity(site: Site) -> tuple[Launch, ...]:
    versions, data = site.folder / "versions", site.folder / "data"
    address = f"127.0.0.1:{site.ports['versity']}"
    backend = ("posix", "--versioning-dir", str(versions), str(data))
    command = (site.program("versitygw"), "--port", address, *backend)
    env = {"ROOT_ACCESS_KEY": USER, "ROOT_SECRET_KEY": PASSWORD}
    return (Launch("versity", command, site.folder, env),)


def _minio_urls(site: Site) -> dict[str, str]:
    return {"minio": f"http://{USER}:{PASSWORD}@127.0.0.1:{site.ports['minio']}"}


def _versity_urls(site: Site) -> dict[str, str]:
    return {"versity": f"http://{USER}:{PASSWORD}@127.0.0.1:{site.ports['versity']}"}


MINIO = Server(
    name="minio",
    source=GoModule(
        program="minio",
        path="github.com/minio/minio",
        version="v0.0.0-20260212201848-7aac2a2c5b7c",  # the last community release
        needs_go=(1, 24),
    ),
    ports=("minio",),
    plan=_plan_minio,
    urls=_minio_urls,
    ping=ping,
    prepare=_prepare,
)

VERSITY = Server(
    name="versity",
    source=GoModule(
        program="versitygw",
        path="github.com/versity/versitygw/cmd/versitygw",
        version="v1.8.0",
        needs_go=(1, 24),
    ),
    ports=("versity",),
    plan=_plan_versity,
    urls=_versity_urls,
    ping=ping,
    prepare=_prepare,
)
