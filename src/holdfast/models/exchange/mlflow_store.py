"""What an MLflow file store says of its registered models, read without MLflow.

The layout is MLflow's: `models/<name>/version-<n>/meta.yaml` beside `tags` and `aliases`; a run is
`<experiment>/<run>` with `metrics`, `params` and `artifacts`, and what MLflow 3 calls a logged
model is `<experiment>/models/<id>` with the same inside. A store may be anybody's: YAML is plain
and bounded, and nothing outside the store's folder is read.
"""

from __future__ import annotations

import math
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from holdfast.errors import ModelFileError, StorageError
from holdfast.extras import needs_extra
from holdfast.models.model_tree import MOST_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from io import BufferedReader

T = TypeVar("T")

_META = "meta.yaml"
_TEXT_BYTES = 64 << 10
_LINE_BYTES = 4 << 10
_VERSION = re.compile(r"version-([1-9][0-9]{0,8})")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_DEPTH = 4  # of YAML: deeper, its parser needs time by the square
_EXACT = 2**53
YEAR_9999 = 253_402_300_799_999
DELETED = "Deleted_Internal"
"""The stage of a version that MLflow holds for deleted."""


class _ModelMeta(msgspec.Struct):
    description: str | None = None


class _VersionMeta(msgspec.Struct):
    creation_timestamp: Annotated[int, msgspec.Meta(ge=0, le=YEAR_9999)] = 0
    description: str | None = None
    current_stage: str | None = None
    source: str | None = None
    storage_location: str | None = None
    run_id: str | None = None
    model_id: str | None = None


class _LoggedMeta(msgspec.Struct):
    source_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class MlflowVersion:
    """A version in an MLflow store: where its files are, and what the store says of it.

    *artifacts* is a path on this machine, or an address where a server's database says one.
    *metrics* are the last values of its run and its logged model, numbers that are not finite
    left out and named in *left_out*; *params* are texts, or numbers where they read as such.
    *created* is milliseconds since 1970.
    """

    number: int
    artifacts: str
    source: str
    created: int
    description: str | None = None
    stage: str | None = None
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """A registered model in an MLflow store: *versions* by number, *aliases* to numbers."""

    name: str
    description: str | None
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    versions: tuple[MlflowVersion, ...]


def read_mlflow_store(folder: Path) -> tuple[MlflowModel, ...]:
    """Return the registered models of the MLflow file store *folder*, by name. Blocks.

    No file of a model is read. Raises ModelFileError for what is no such store, YAML that is more
    than plain values, links, and files of a version that are not in the store; ConfigurationError
    without the extra `mlflow`; StorageError for the disk.
    """
    with _disk(folder):
        root = folder.resolve()
        models = root / "models"
        if not _is_folder(models):
            raise ModelFileError(
                str(folder), "it is no file store of MLflow: it has no folder `models`"
            )
        return tuple(_model(root, each) for each in _folders(models))


def _model(root: Path, folder: Path) -> MlflowModel:
    meta = _meta(folder, _ModelMeta)
    numbered = {
        int(found[1]): each
        for each in _folders(folder)
        if (found := _VERSION.fullmatch(each.name)) is not None
    }
    versions = (
        _version(root, folder.name, number, numbered[number]) for number in sorted(numbered)
    )
    aliases = {
        name: _alias(folder, name, text) for name, text in _texts(folder / "aliases").items()
    }
    return MlflowModel(
        folder.name,
        meta.description,
        _texts(folder / "tags"),
        aliases,
        tuple(each for each in versions if each is not None),
    )


def _alias(folder: Path, name: str, text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text.strip()):
        raise ModelFileError(str(folder), f"the alias {name!r} points at {text!r:.80}, no version")
    return int(text)


def _version(root: Path, name: str, number: int, folder: Path) -> MlflowVersion | None:
    """Return the version in *folder*, None for one that MLflow holds for deleted."""
    meta = _meta(folder, _VersionMeta)
    if meta.current_stage == DELETED:
        return None
    label = f"{name}:{number}"
    source = meta.source or ""
    logged = _logged(root, meta.model_id or logged_model_in(source), label)
    run_id = meta.run_id
    if logged is not None and not run_id:
        run_id = _meta(logged, _LoggedMeta).source_run_id
    places = [_run(root, run_id, label), logged]
    metrics: dict[str, float] = {}
    params: dict[str, object] = {}
    for place in places:
        if place is not None:
            metrics |= _metrics(place / "metrics")
            params |= {key: param_value(text) for key, text in _texts(place / "params").items()}
    finite, left_out = finite_metrics(metrics)
    return MlflowVersion(
        number,
        str(_artifacts(root, label, meta.storage_location or source, places)),
        source,
        meta.creation_timestamp,
        meta.description or None,
        stage_of(meta.current_stage),
        run_id or None,
        _texts(folder / "tags"),
        finite,
        params,
        left_out,
    )


def _run(root: Path, run_id: str | None, label: str) -> Path | None:
    """Return the folder of the run, None where there is none any more."""
    if not run_id:
        return None
    _check_id(run_id, label)
    return next((each / run_id for each in _folders(root) if _is_folder(each / run_id)), None)


def _logged(root: Path, model_id: str | None, label: str) -> Path | None:
    """Return the folder of the logged model, None where there is none any more."""
    if not model_id:
        return None
    _check_id(model_id, label)
    found = (each / "models" / model_id for each in _folders(root))
    return next((each for each in found if _is_folder(each.parent) and _is_folder(each)), None)


def logged_model_in(source: str) -> str | None:
    """Return the logged model that *source* names, as in `models:/m-0123`."""
    found = re.fullmatch(r"models:/(m-[A-Za-z0-9]{1,90})", source)
    return None if found is None else found[1]


def _check_id(text: str, label: str) -> None:
    if not _ID.fullmatch(text):
        raise ModelFileError(label, f"{text!r:.120} can't be the id of a run or a logged model")


def _artifacts(root: Path, label: str, source: str, places: Sequence[Path | None]) -> Path:
    """Return where the version's files are in the store.

    A store that was moved, or is a copy, has the paths of its old place: then what stands after
    the run's or the logged model's `artifacts` counts.
    """
    logged = places[-1]
    if logged is not None and logged_model_in(source) is not None:
        candidates = [logged / "artifacts"]
    else:
        candidates = _candidates(_local_path(label, source), places)
    for each in candidates:
        place = Path(os.path.realpath(each))  # where links, even those in a circle, lead
        if place.is_relative_to(root) and place.exists():
            return place
    raise ModelFileError(label, f"its files, {source!r:.200}, are not in the store")


def _local_path(label: str, source: str) -> str:
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise ModelFileError(label, f"{source!r:.200} is no address: {error}") from None
    if not parts.scheme:
        return source
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise ModelFileError(label, f"its files, {source!r:.200}, are not in the store")
    return unquote(parts.path)


def _candidates(path: str, places: Sequence[Path | None]) -> list[Path]:
    """Return where *path* may lie: as it is, then below *places*, as the old store had it."""
    if not path.isprintable():
        return []
    found = [Path(path)] if path.startswith("/") else []
    for place in places:
        if place is not None:
            _, mark, rest = path.partition(f"/{place.name}/artifacts")
            if mark and (not rest or rest.startswith("/")):
                found.append(place / "artifacts" / rest.strip("/"))
    return found


def _metrics(folder: Path) -> dict[str, float]:
    """Return the last value of each metric: that of the greatest step, then time, then value."""
    return {name: _last_value(file) for name, file in _files(folder)}


def _last_value(file: Path) -> float:
    last: tuple[int, int, float] | None = None
    with _opened(file) as source:
        while line := source.readline(_LINE_BYTES):
            words = line.split()
            if not words:
                continue
            try:
                step = int(words[2]) if len(words) > 2 else 0
                entry = (step, int(words[0]), float(words[1]))
            except (ValueError, IndexError):
                raise ModelFileError(str(file), f"{line!r:.80} is no line of a metric") from None
            if last is None or entry[:2] > last[:2] or (entry[:2] == last[:2] and entry >= last):
                last = entry
    if last is None:
        raise ModelFileError(str(file), "the metric has no value")
    return last[2]


def _texts(folder: Path) -> dict[str, str]:
    """Return what each file below *folder* says, by its path; nothing where there is no folder."""
    return {name: _text(file, _TEXT_BYTES) for name, file in _files(folder)}


def stage_of(text: str | None) -> str | None:
    """Return the stage that MLflow writes as *text*, None for none."""
    return None if text in {None, "", "None"} else text


def param_value(text: str) -> object:
    """Return the parameter *text*, a number where it reads as one that is kept exactly."""
    if not _NUMBER.fullmatch(text):
        return text
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text) if abs(int(text)) <= _EXACT else text
    return float(text) if math.isfinite(float(text)) else text


def _meta(folder: Path, kind: type[T]) -> T:
    """Return what the folder's meta.yaml says.

    Depth is bounded and anchors are refused before anything is built of the text.
    """
    with needs_extra("mlflow", "reading an MLflow store"):
        import yaml  # noqa: PLC0415 - an extra

    file = folder / _META
    text = _text(file, _TEXT_BYTES)
    depth = 0
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEPTH or isinstance(event, yaml.AliasEvent):
                raise ModelFileError(
                    str(file), "it is nested or has anchors; expected plain values"
                )
        return msgspec.convert(yaml.safe_load(text), kind, strict=False)
    except (yaml.YAMLError, msgspec.MsgspecError, ValueError) as error:
        raise ModelFileError(str(file), f"it is not as MLflow writes it: {error}"[:500]) from None


def _text(file: Path, most: int) -> str:
    with _opened(file) as source:
        content = source.read(most + 1)
    if len(content) > most:
        raise ModelFileError(str(file), f"it has more than {most} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ModelFileError(str(file), "it is no text in UTF-8") from None


def finite_metrics(metrics: Mapping[str, float]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return those of *metrics* that are finite, and what is said of the others."""
    finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
    others = sorted(metrics.keys() - finite.keys())
    return finite, tuple(f"the metric {key} is {metrics[key]}" for key in others)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below *folder* by their paths; none where there is no such folder."""
    if not _is_folder(folder):
        return
    waiting, seen = [folder], 0
    while waiting:
        for entry in sorted(waiting.pop().iterdir()):
            seen += 1
            if seen > MOST_FILES:
                raise ModelFileError(str(folder), f"it has more than {MOST_FILES} files")
            if _is_folder(entry):
                waiting.append(entry)
            else:
                yield entry.relative_to(folder).as_posix(), entry


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if _is_folder(each))


def _is_folder(path: Path) -> bool:
    """Whether a folder is there itself, and not by a link."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def _opened(file: Path) -> Iterator[BufferedReader]:
    """Open a plain file; a pipe is not waited for and a link not followed."""
    try:
        plain = stat.S_ISREG(file.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelFileError(str(file), "a file of the store is missing") from None
    if not plain:
        raise ModelFileError(str(file), "it is no plain file")
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as source:
        yield source


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{str(folder)!r}: {error.strerror}") from error
