"""A certificate authority of our own and its certificate for the loopback, made with openssl."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tools.services.process import Owner, setup

if TYPE_CHECKING:
    from pathlib import Path

EXTENSIONS = """\
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName=DNS:localhost,IP:127.0.0.1
"""
DAYS = "3650"


def make(folder: Path) -> bool:
    """Make `ca.crt`, `server.crt` and `server.key` in *folder*, all of them or none.

    What is there stays. False where there is no openssl.
    """
    openssl = shutil.which("openssl")
    if folder.exists():
        return True
    if openssl is None:
        return False
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "server.ext").write_text(EXTENSIONS, encoding="utf-8")
    request = f"{openssl} req -newkey rsa:2048 -nodes"
    steps = (
        (
            f"{request} -x509 -days {DAYS} -addext keyUsage=critical,keyCertSign,cRLSign"
            " -subj /CN=holdfast-authority -keyout ca.key -out ca.crt"
        ),
        f"{request} -subj /CN=localhost -keyout server.key -out server.csr",
        (
            f"{openssl} x509 -req -days {DAYS} -in server.csr -CA ca.crt -CAkey ca.key"
            " -CAcreateserial -extfile server.ext -out server.crt"
        ),
    )
    for step in steps:
        setup(step.split(), folder=partial, owner=Owner())
    partial.rename(folder)
    return True
