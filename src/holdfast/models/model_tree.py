"""The files of a model on disk: read, hashed, and named by a manifest."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import orjson

from holdfast.errors import IntegrityError, ModelFileError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.models.model_entities import VersionFile

Progress = Callable[[int, int], None]

MOST_FILES = 10_000
_WINDOW = 1 << 20
_LONGEST_PATH = 1024


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model: its *path* in the model's folder, its SHA-256, its *size* in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class LocalModel:
    """The files of a model below the folder *root*, in the order of their paths."""

    root: Path
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(each.size for each in self.files)


def manifest_of(files: tuple[ModelFile, ...]) -> bytes:
    """Return the manifest: each file's path, SHA-256 and size, as JSON that is always the same.

    Its SHA-256 is the digest of a version; whoever trusts it can trust the files.
    """
    listed = [
        {"path": each.path, "sha256": each.sha256, "size": each.size}
        for each in sorted(files, key=lambda file: file.path)
    ]
    return orjson.dumps({"files": listed}, option=orjson.OPT_SORT_KEYS)


def digest_of(files: tuple[ModelFile, ...]) -> str:
    """Return the SHA-256 of the files' manifest, in hexadecimal."""
    return hashlib.sha256(manifest_of(files)).hexdigest()


def is_single(files: Sequence[ModelFile] | Sequence[VersionFile]) -> bool:
    """Return whether a model with *files* is one file and not a folder, where it is placed."""
    return len(files) == 1 and "/" not in files[0].path


def read_model(path: str | os.PathLike[str], progress: Progress | None = None) -> LocalModel:
    """Return the file, or all files below the folder, at *path*, each read and hashed. Blocks.

    *progress* is called with bytes read and bytes in all. Raises ModelFileError for what is not
    there, an empty folder, and any link, socket, pipe or device in it; StorageError for the disk.
    """
    place = Path(path)
    try:
        found = _listed(place)
        total = sum(size for _, size in found)
        done = 0
        files = []
        for file, size in found:
            sha256, done = _hashed(file, size, (done, total), progress)
            inner = file.name if file == place else file.relative_to(place).as_posix()
            files.append(ModelFile(_checked(inner, str(file)), sha256, size))
    except OSError as error:
        raise StorageError(f"{str(place)!r} can't be read: {error.strerror}") from error
    root = place if place.is_dir() else place.parent
    return LocalModel(root, tuple(sorted(files, key=lambda each: each.path)))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file at *path*, in hexadecimal. Blocks. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_path(path: str) -> str:
    """Return the *path* of a file in a model. Raises ModelFileError when it leaves the folder."""
    return _checked(path, path)


def _listed(place: Path) -> list[tuple[Path, int]]:
    mode = _mode(place)
    if stat.S_ISREG(mode):
        return [(place, place.stat().st_size)]
    if not stat.S_ISDIR(mode):
        raise ModelFileError(str(place), _what(mode))
    found: list[tuple[Path, int]] = []
    waiting = [place]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                state = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(state.st_mode):
                    waiting.append(Path(entry.path))
                elif stat.S_ISREG(state.st_mode):
                    found.append((Path(entry.path), state.st_size))
                else:
                    raise ModelFileError(entry.path, _what(state.st_mode))
        if len(found) > MOST_FILES:
            raise ModelFileError(str(place), f"it has more than {MOST_FILES} files")
    if not found:
        raise ModelFileError(str(place), "the folder has no file")
    return sorted(found)


def _mode(place: Path) -> int:
    try:
        return place.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise ModelFileError(str(place), "there is no such file or folder") from None


def _what(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "it is a symbolic link; register what it points at"
    return "it is neither a file nor a folder"


def _hashed(
    file: Path, size: int, so_far: tuple[int, int], progress: Progress | None
) -> tuple[str, int]:
    done, total = so_far
    digest = hashlib.sha256()
    read = 0
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as source:
        while chunk := source.read(_WINDOW):
            digest.update(chunk)
            read += len(chunk)
            if progress is not None:
                progress(done + read, max(total, done + read))
    if read != size:
        raise IntegrityError(f"{str(file)!r} changed while it was read; try again when it is done")
    return digest.hexdigest(), done + read


def _checked(path: str, shown: str) -> str:
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or "\\" in path or not {"..", "."}.isdisjoint(parts):
        raise ModelFileError(shown, f"the path {path!r} leaves the model's folder")
    if not path.isprintable() or len(path) > _LONGEST_PATH:
        raise ModelFileError(
            shown, f"its path has characters that can't be shown, or more than {_LONGEST_PATH}"
        )
    return path
