"""An exported version through skopeo, and layouts of ORAS: readers and writers of somebody else's.

    python tests/models/layout_trips.py

skopeo checks every digest as it copies the layout to a folder of blobs, which must be the files of
the version under their SHA-256; it writes a layout of its own from these, which must come in as a
version with the same digest; and a damaged blob must be refused by it. ORAS writes a folder as an
archive, and files as they are, which must come in as the files they were. Both programs are
installed where they are missing. The exit code is 1 when something differs.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from pathlib import Path

from tools.services.installer import Installer
from tools.services.programs.debian import DebianPackages
from tools.services.programs.go import GoModule

from holdfast.models import ModelRegistry, VersionDetails, export_layout, import_layout
from holdfast.platform import open_platform
from holdfast.settings import Settings

SKOPEO = DebianPackages(debian=("skopeo",), binaries=("skopeo",))
ORAS = GoModule("oras", "oras.land/oras/cmd/oras", "v1.3.6", (1, 24))
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


async def oras_trip(program: Path, folder: Path) -> None:
    for path, content in FILES.items():
        (folder / "m" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "m" / path).write_bytes(content)
    (folder / "notes.txt").write_text("as it is")

    def pushed(target: str, *files: str) -> Path:
        command = [str(program), "push", "--no-tty", "--oci-layout", f"{target}:v1", *files]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        return folder / target

    raw = "application/vnd.cncf.model.weight.v1.raw"
    layouts = [
        pushed("packed", "m", "notes.txt"),
        pushed("modelpack", *(f"m/{path}:{raw}" for path in FILES), f"notes.txt:{raw}"),
    ]
    async with open_platform(Settings(data=folder / "data")) as platform:
        registry = platform.service(ModelRegistry)
        for layout in layouts:
            came = (await import_layout(registry, layout.name, layout)).version
            place = await registry.download(came, folder / f"placed-{layout.name}")
            for path, content in FILES.items():
                assert (place / "m" / path).read_bytes() == content, path
            assert (place / "notes.txt").read_text() == "as it is"


def main() -> None:
    installer = Installer([SKOPEO, ORAS], print)
    trips = ((trip, installer.programs(SKOPEO)["skopeo"]),
             (oras_trip, installer.programs(ORAS)["oras"]))  # fmt: skip
    for each, program in trips:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(each(program, Path(folder)))
    print("skopeo read what was exported, and what it wrote came in with the same digest;")
    print("what ORAS wrote, packed and not, came in as the files that they were")


if __name__ == "__main__":
    main()
