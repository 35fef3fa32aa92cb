"""An exported version through skopeo, an OCI reader and writer of somebody else's, and back.

    python tests/models/skopeo_trip.py

skopeo checks every digest as it copies the layout to a folder of blobs, which must be the files of
the version under their SHA-256; it writes a layout of its own from these, which must come in as a
version with the same digest; and a damaged blob must be refused by it. Needs the program `skopeo`,
which is installed where it is missing. The exit code is 1 when something differs.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from pathlib import Path

from tools.services.installer import Installer
from tools.services.programs.debian import DebianPackages

from holdfast.models import ModelRegistry, VersionDetails, export_layout, import_layout
from holdfast.platform import open_platform
from holdfast.settings import Settings

SKOPEO = DebianPackages(debian=("skopeo",), binaries=("skopeo",))
FILES = {"MLmodel": b"flavors: {}\n", "deep/weights.bin": bytes(range(256)) * 40_000}


async def trip(program: Path, folder: Path) -> None:
    policy = folder / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    model = folder / "model"
    for path, content in FILES.items():
        (model / path).parent.mkdir(parents=True, exist_ok=True)
        (model / path).write_bytes(content)

    def copied(source: str, target: str) -> bool:
        command = [str(program), "--policy", str(policy), "copy", "--quiet", source, target]
        return subprocess.run(command, check=False).returncode == 0

    async with open_platform(Settings(data=folder / "data")) as platform:
        registry = platform.service(ModelRegistry)
        details = VersionDetails(metrics={"mAP": 0.9}, tags={"team": "vision"})
        version = (await registry.register("vehicles", model, details)).version
        await export_layout(registry, version, folder / "out")
        assert copied(f"oci:{folder}/out", f"dir:{folder}/blobs"), "skopeo refuses the layout"
        for file in await registry.files(version):
            assert (folder / "blobs" / file.sha256).read_bytes() == FILES[file.path], file.path
        assert copied(f"dir:{folder}/blobs", f"oci:{folder}/back:v1"), "skopeo wrote no layout"
        came = (await import_layout(registry, "again", folder / "back")).version
        assert (came.digest, came.metrics, came.tags) == (
            version.digest,
            version.metrics,
            version.tags,
        )
        largest = max(await registry.files(version), key=lambda file: file.size)
        (folder / "out" / "blobs" / "sha256" / largest.sha256).write_bytes(b"damaged")
        assert not copied(f"oci:{folder}/out", f"dir:{folder}/bad"), "skopeo checks no digest"


def main() -> None:
    program = Installer([SKOPEO], print).programs(SKOPEO)["skopeo"]
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(trip(program, Path(folder)))
    print("skopeo read what was exported, and what it wrote came in with the same digest")


if __name__ == "__main__":
    main()
