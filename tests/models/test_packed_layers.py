"""Layers that are archives, of modctl, ORAS and images of containers: unpacked within bounds."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import replace

import pytest

from holdfast.errors import IntegrityError, ModelFileError
from holdfast.models import UnpackLimits, import_layout
from holdfast.models.exchange.oci_layout import read_layout, unpack_layout

pytestmark = pytest.mark.anyio
WEIGHTS = "application/vnd.cncf.model.weight.v1.tar"
CONFIG = "application/vnd.cncf.model.weight.config.v1.tar+gzip"
OCI = "application/vnd.oci.image.layer.v1.tar"
TITLE, FILE_PATH = "org.opencontainers.image.title", "org.cncf.model.filepath"


def entry(name, content=b"", kind=tarfile.REGTYPE, size=None, **fields):
    """A header, and what stands behind it; *size* is what the header says."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content) if size is None else size
    for key, value in fields.items():
        setattr(info, key, value)
    padding = b"\0" * (-len(content) % 512)
    return info.tobuf(tarfile.GNU_FORMAT) + content + padding


def record(text):
    """A record of an extended header, with its own length in front."""
    length = len(text) + 3
    length += len(str(length)) - 1
    return f"{length} {text}\n".encode()


def archive(*entries):
    return b"".join(entries) + bytes(1024)


def written(files, **options):
    """An archive as Python writes it, with folders."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", **options) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


def layout(folder, *layers):
    """A layout with *layers*, each a media type, a blob and annotations."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(kind, content, annotations=None):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        said = {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}
        return said | ({"annotations": annotations} if annotations else {})

    manifest = {
        "schemaVersion": 2,
        "config": put("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [put(*each) for each in layers],
    }
    described = put("application/vnd.oci.image.manifest.v1+json", json.dumps(manifest).encode())
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    return folder


LONG = "deep/" * 40 + "weights.bin"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
async def test_archives_come_in_as_the_files_that_they_hold(registry, tmp_path, form):
    name = "deep/" * 30 + "weights.bin" if form == tarfile.USTAR_FORMAT else LONG
    plain = written({"./deep/": b"", f"./{name}": b"w" * 2_000_000}, format=form)
    # Two members of gzip behind one another, as pigz writes them.
    packed = written({"config.json": b"{}", "vocabulary-ä.txt": b"a"}, format=form)
    members = gzip.compress(packed[:700]) + gzip.compress(packed[700:])
    folder = layout(
        tmp_path / "layout",
        (WEIGHTS, plain, {FILE_PATH: name}),
        (CONFIG, members),
        (OCI, b"as it is", {TITLE: "notes.txt"}),
        (OCI, written({"models/a.bin": b"a"}, format=form)),
    )
    version = (await import_layout(registry, "packed", folder)).version
    await registry.download(version, tmp_path / "placed")
    found = {
        str(each.relative_to(tmp_path / "placed")): each.read_bytes()
        for each in (tmp_path / "placed").rglob("*")
        if each.is_file()
    }
    assert found == {
        name: b"w" * 2_000_000,
        "config.json": b"{}",
        "vocabulary-ä.txt": b"a",
        "notes.txt": b"as it is",
        "models/a.bin": b"a",
    }


async def test_a_folder_of_oras_is_checked_twice(registry, tmp_path):
    content = written({"m/a.bin": b"a"})
    said = {
        TITLE: "m",
        "io.deis.oras.content.unpack": "true",
        "io.deis.oras.content.digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }
    good = layout(tmp_path / "good", (f"{OCI}+gzip", gzip.compress(content), said))
    version = (await import_layout(registry, "oras", good)).version
    assert [each.path for each in await registry.files(version)] == ["m/a.bin"]
    said["io.deis.oras.content.digest"] = f"sha256:{'0' * 64}"
    bad = layout(tmp_path / "bad", (f"{OCI}+gzip", gzip.compress(content), said))
    with pytest.raises(IntegrityError, match="something else"):
        await import_layout(registry, "bad", bad)


GIB = 1 << 30
LIMITS = UnpackLimits(files=3, size=1 << 20, small=1 << 19, ratio=10, entries=5)
ZEROS = gzip.compress(bytes(2 << 20))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (archive(entry("x", kind=tarfile.SYMTYPE, linkname="/etc/passwd")), "link"),
        (archive(entry("x", kind=tarfile.LNKTYPE, linkname="../../x")), "link"),
        (archive(entry("x", kind=tarfile.CHRTYPE)), "device"),
        (archive(entry("x", kind=tarfile.FIFOTYPE)), "device"),
        (archive(entry("x", kind=tarfile.GNUTYPE_SPARSE)), "sparse"),
        (archive(entry("h", b"21 GNU.sparse.major=1", kind=b"x"), entry("x")), "damaged"),
        (archive(entry("h", record("GNU.sparse.major=1"), kind=b"x"), entry("x")), "sparse"),
        (archive(entry("../escaped", b"x")), "leaves"),
        (archive(entry("deep/../../escaped", b"x")), "leaves"),
        (archive(entry("/etc/escaped", b"x")), "leaves"),
        (archive(entry("./", b"x"), entry("", b"x")), "leaves"),
        (archive(entry("h", record("path=../escaped"), kind=b"x"), entry("x", b"x")), "leaves"),
        (archive(entry("h", b"../escaped\0", kind=b"L"), entry("x", b"x")), "leaves"),
        (archive(entry("h", b"\xff\0", kind=b"L"), entry("x", b"x")), "UTF-8"),
        (archive(entry("a\x01b", b"x")), "can't be shown"),
        (archive(entry("deep/.wh.weights.bin")), "removes"),
        (archive(entry("a", b"1"), entry("./a", b"2")), "twice"),
        (archive(entry("a", b"1"), entry("a/b", b"2")), "a file and a folder"),
        (archive(entry("a/b", b"1"), entry("a", b"2")), "a file and a folder"),
        (archive(*(entry(name, b"1") for name in "abcd")), "more than 3 files"),
        (archive(*(entry(f"{name}/", kind=b"5") for name in "abcdef")), "more than 5 entries"),
        (archive(*[entry("h", record("path=a"), kind=b"x")] * 9), "more than 8 headers"),
        (entry("a", b"x", size=8 * GIB), "more than"),
        (archive(entry("h", record("size=9999999"), kind=b"x"), entry("a")), "more than"),
        (archive(entry("h", record("size=-9"), kind=b"x"), entry("a")), "more than"),
        (archive(entry("h", record("size=ab"), kind=b"x"), entry("a")), "a size is"),
        (archive(entry("h", b"", kind=b"x", size=GIB)), "a header of it"),
        (archive(entry("h", b"99999 path=a\n", kind=b"x"), entry("a")), "damaged"),
        (archive(entry("h", b"0 path=a\n", kind=b"x"), entry("a")), "damaged"),
        (archive(entry("a", b"x" * 600))[:900], "in the middle"),
        (entry("a", b"x"), "in the middle"),
        (b"no tar at all".ljust(1024), "no tar"),
        (archive(), "no file"),
        (ZEROS, "more than"),
        (gzip.compress(archive(entry("a", size=2 << 20) + bytes(2 << 20))), "more than"),
        (gzip.compress(archive(entry("a", b"x")) + bytes(2 << 20)), "more than"),
        (gzip.compress(archive(entry("a", bytes(700_000)))), "more than 524288"),
        (gzip.compress(archive(entry("a", b"x")), mtime=0)[:-6], "no gzip"),
        (gzip.compress(archive(entry("a", b"x")), mtime=0) + b"more", "no gzip"),
    ],
)  # fmt: skip
async def test_a_hostile_archive_is_refused_before_it_does_harm(registry, tmp_path, content, said):
    kind = f"{WEIGHTS}+gzip" if content[:2] == b"\x1f\x8b" else WEIGHTS
    folder = layout(tmp_path / "layout", (kind, content))
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ModelFileError, match=said):
        unpack_layout(read_layout(folder), target, LIMITS)
    left = [each for each in target.rglob("*") if each.is_file() or each.is_symlink()]
    assert sum(each.lstat().st_size for each in left) < 1000
    assert not any(each.is_symlink() for each in left)
    assert {each.name for each in tmp_path.iterdir()} <= {"layout", "target", "bucket"}


async def test_limits_hold_for_all_archives_together(tmp_path):
    files = [(WEIGHTS, archive(entry(f"{each}.bin", bytes(400_000)))) for each in range(3)]
    folder = layout(tmp_path / "layout", *files)
    (tmp_path / "target").mkdir()
    with pytest.raises(ModelFileError, match="more than"):
        unpack_layout(read_layout(folder), tmp_path / "target", LIMITS)
    (tmp_path / "again").mkdir()
    more = replace(LIMITS, size=2 << 20)
    assert len(unpack_layout(read_layout(folder), tmp_path / "again", more)) == 3


async def test_what_is_packed_otherwise_is_refused_by_name(registry, tmp_path):
    for number, kind in enumerate([f"{WEIGHTS}+zstd", "application/octet-stream"]):
        folder = layout(tmp_path / f"layout{number}", (kind, b"x"))
        with pytest.raises(ModelFileError, match="only raw, tar"):
            await import_layout(registry, "other", folder)
    folder = layout(tmp_path / "damaged", (WEIGHTS, archive(entry("a", b"x"))))
    (content,) = (
        each for each in (folder / "blobs" / "sha256").iterdir() if each.stat().st_size == 2048
    )
    content.write_bytes(archive(entry("a", b"y")))
    with pytest.raises(IntegrityError, match="not what its digest says"):
        await import_layout(registry, "other", folder)
    assert (await registry.list()).items == []
