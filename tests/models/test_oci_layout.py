"""Versions as OCI image layouts: the same digests out and in, and nothing that is not verified."""

import hashlib
import json

import pytest

from holdfast.errors import IntegrityError, ModelFileError
from holdfast.models import VersionDetails, export_layout, import_layout

pytestmark = pytest.mark.anyio


@pytest.fixture
async def layout(registry, weights, tmp_path):
    weights(b"one", "deep/weights.bin")
    folder = weights(b"{}", "config.json").parent
    details = VersionDetails(metrics={"mAP": 0.9}, tags={"team": "vision"}, config={"a": [1]})
    version = (await registry.register("vehicles", folder, details)).version
    digest = await export_layout(registry, version, tmp_path / "layout")
    return version, digest, tmp_path / "layout"


def blob(folder, digest):
    content = (folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
    return content


async def test_a_layout_has_each_file_as_a_layer_under_its_own_digest(registry, layout):
    version, digest, folder = layout
    assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads((folder / "index.json").read_text())["manifests"]
    assert described["digest"] == digest
    assert described["size"] == len(blob(folder, digest))
    manifest = json.loads(blob(folder, digest))
    assert manifest["schemaVersion"] == 2
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    files = {file.path: f"sha256:{file.sha256}" for file in await registry.files(version)}
    layers = {
        each["annotations"]["org.cncf.model.filepath"]: each["digest"]
        for each in manifest["layers"]
    }
    assert layers == files
    assert blob(folder, layers["deep/weights.bin"]) == b"one"
    config = json.loads(blob(folder, manifest["config"]["digest"]))
    assert config["descriptor"]["name"] == "vehicles"
    assert config["modelfs"]["diffIds"] == [each["digest"] for each in manifest["layers"]]


async def test_a_layout_comes_in_as_the_version_that_went_out(registry, layout):
    version, _, folder = layout
    came = (await import_layout(registry, "again", folder)).version
    assert (came.digest, came.metrics, came.tags, came.config) == (
        version.digest, version.metrics, version.tags, version.config,
    )  # fmt: skip
    with pytest.raises(ModelFileError, match="already"):
        await export_layout(registry, came, folder)


def changed(folder, change):
    """Change the manifest, and name it anew in the index."""
    index = json.loads((folder / "index.json").read_text())
    manifest = json.loads(blob(folder, index["manifests"][0]["digest"]))
    change(manifest)
    content = json.dumps(manifest).encode()
    digest = hashlib.sha256(content).hexdigest()
    (folder / "blobs" / "sha256" / digest).write_bytes(content)
    index["manifests"][0] |= {"digest": f"sha256:{digest}", "size": len(content)}
    (folder / "index.json").write_text(json.dumps(index))


def layer(**change):
    return lambda manifest: manifest["layers"][0].update(change)


def path(text):
    return layer(annotations={"org.cncf.model.filepath": text})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (path("../escaped"), "leaves"),
        (path("/etc/passwd"), "leaves"),
        (path(""), "leaves"),
        (path("deep/weights.bin"), "twice"),
        (layer(mediaType="application/vnd.cncf.model.weight.v1.tar"), "in the middle"),
        (layer(digest="sha256:" + "0" * 64), "missing"),
        (layer(digest="sha256:../../etc"), "no layout"),
        (layer(size=-1), "no layout"),
        (lambda manifest: manifest.update(layers=[]), "0 layers"),
        (
            lambda manifest: manifest.update(annotations={"dev.holdfast.model.details": "{"}),
            "damaged",
        ),
    ],
)
async def test_a_layout_that_says_too_much_is_refused(registry, layout, change, said):
    changed(layout[2], change)
    with pytest.raises(ModelFileError, match=said):
        await import_layout(registry, "again", layout[2])
    assert [each.name for each in (await registry.list()).items] == ["vehicles"]


async def test_damaged_and_linked_blobs_are_refused(registry, layout, tmp_path):
    _, digest, folder = layout
    blobs = folder / "blobs" / "sha256"
    file = blobs / hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"two")
    with pytest.raises(IntegrityError):
        await import_layout(registry, "again", folder)
    file.unlink()
    (tmp_path / "secret").write_bytes(b"one")
    file.symlink_to(tmp_path / "secret")
    with pytest.raises(ModelFileError, match="plain"):
        await import_layout(registry, "again", folder)
    (blobs / digest.removeprefix("sha256:")).write_bytes(b"{}")
    with pytest.raises(IntegrityError):
        await import_layout(registry, "again", folder)
