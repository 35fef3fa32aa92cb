"""Checksums of a release's files, and their signature by an SSH key.

The list is what sha256sum reads; the signature is OpenSSH's (SSHSIG), which `ssh-keygen -Y verify`
checks against the public keys of an allowed_signers file.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tools.release.programs import run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAME = "SHA256SUMS"
NAMESPACE = "holdfast-release"


def write(files: Iterable[Path], folder: Path) -> Path:
    """Write the checksums of *files*, by name, to `SHA256SUMS` in *folder*."""
    lines = []
    for each in sorted(files, key=lambda path: path.name):
        with each.open("rb") as content:
            lines.append(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {each.name}\n")
    target = folder / NAME
    target.write_text("".join(lines), "utf-8")
    return target


def sign(sums: Path, key: Path) -> Path:
    """Sign *sums* with the private SSH *key*, or one of the agent by its public part."""
    signature = sums.with_name(f"{sums.name}.sig")
    signature.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", NAMESPACE, sums])
    return signature
