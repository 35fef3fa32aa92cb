"""What is said of a version when it is registered, checked, and made into what search finds."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

MOST_METRICS = 500
CONFIG_BYTES = 256 << 10
"""The largest training configuration, as JSON."""
MOST_LEAVES = 1_000
"""Values of a training configuration by which a version can be found, at most."""
_LONGEST_NAME = 180
_TERM = 200
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@ -]*")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output: its *name*, element *type* and *shape*, where a name is a free size."""

    name: str
    type: str
    shape: tuple[int | str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """What a model takes and gives."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDetails:
    """What is known of a version beside its files.

    *semantic_version* names it beside its number. *metrics* are finite numbers, *config* is the
    training configuration as JSON, *tags* are texts. *parents* are references to versions it was
    made from, *datasets* names or addresses of data, *job_id* the job that made it.
    """

    semantic_version: str | None = None
    description: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    signature: ModelSignature | None = None
    parents: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    job_id: UUID | None = None

    def __post_init__(self) -> None:
        if len(self.metrics) > MOST_METRICS:
            raise _invalid("metrics", f"has {len(self.metrics)}; expected {MOST_METRICS} at most")
        for name, value in self.metrics.items():
            _check_name("metrics", name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value):
                raise _invalid("metrics", f"{name} is {value!r}; expected a finite number")
        for name, text in self.tags.items():
            _check_name("tags", name)
            if not isinstance(text, str) or len(text) > 1_000:
                raise _invalid("tags", f"{name} is {text!r:.80}; expected text, 1000 at most")
        for name in self.datasets:
            if not isinstance(name, str) or not 0 < len(name) <= _TERM:
                raise _invalid("datasets", f"{name!r:.80}: expected a name, {_TERM} at most")
        _check_config(self.config)


def figures_of(details: VersionDetails) -> dict[str, float]:
    """Return the numbers by which the version is found, by name."""
    found = {f"metrics.{name}": float(value) for name, value in details.metrics.items()}
    for path, value in _leaves(details.config):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found[f"config.{path}"] = float(value)
    return {name: value for name, value in found.items() if len(name) <= _TERM}


def terms_of(name: str, details: VersionDetails) -> list[str]:
    """Return the texts by which the version of the model *name* is found."""
    found = {tag_term(key, value) for key, value in details.tags.items()}
    for path, value in _leaves(details.config):
        if isinstance(value, (str, bool)):
            found.add(config_term(path, value))
    texts = (name, details.description or "", *details.tags.values())
    found |= {word_term(word) for text in texts for word in words_of(text)}
    return sorted(found)


def tag_term(name: str, value: str) -> str:
    """Return the term of the tag *name* with *value*."""
    return _bounded(f"tag:{name}={value}")


def config_term(path: str, value: str | bool) -> str:
    """Return the term of the *value*, a text or truth, at *path* in a configuration."""
    return _bounded(f"config:{path}={orjson.dumps(value).decode()}")


def word_term(word: str) -> str:
    """Return the term of a word."""
    return _bounded(f"word:{word}")


def words_of(text: str) -> list[str]:
    """Return the words of *text* in small letters; `_`, signs and spaces part them."""
    return [word.lower() for word in _WORD.findall(text)]


def flat(content: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield all that is not itself a mapping, by its path with dots."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _leaves(config: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    return ((path, value) for path, value in flat(config) if len(path) <= _LONGEST_NAME)


def _bounded(term: str) -> str:
    """Return *term*; one that is too long keeps its beginning and gets a checksum."""
    if len(term) <= _TERM:
        return term
    return f"{term[: _TERM - 65]}#{hashlib.sha256(term.encode()).hexdigest()}"


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise _invalid(
            what,
            f"the name {name!r:.80}: expected letters, digits, spaces and _ - . / @, "
            f"{_LONGEST_NAME} at most",
        )


def _check_config(config: Mapping[str, object]) -> None:
    try:
        size = len(orjson.dumps(dict(config)))
    except (TypeError, ValueError) as error:
        raise _invalid("config", f"is not JSON: {error}") from error
    if size > CONFIG_BYTES:
        raise _invalid("config", f"has {size} bytes as JSON; expected {CONFIG_BYTES} at most")
    if sum(1 for _ in flat(config)) > MOST_LEAVES:
        raise _invalid("config", f"has more than {MOST_LEAVES} values")


def _invalid(name: str, reason: str) -> InvalidValueError:
    return InvalidValueError("ModelVersion", name, reason)
