"""References to versions, as people write them: `name@prod`, `name:7`, `name:^2.1`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from holdfast.errors import InvalidValueError
from holdfast.models.model_entities import NAME_LENGTH
from holdfast.models.semantic_version import is_range, semantic_version

ReferenceKind = Literal["newest", "alias", "number", "semantic", "range", "digest"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_ALIAS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class ModelReference:
    """What a reference says: the model's *name* ('' for a digest), and *value* of its *kind*."""

    kind: ReferenceKind
    name: str
    value: str


def parse_reference(text: str) -> ModelReference:
    """Return what *text* refers to. Raises InvalidValueError that lists the forms.

    A name alone, or `name:latest`, is the newest version that is not deprecated.
    """
    digest = _DIGEST.fullmatch(text)
    if digest is not None:
        return ModelReference("digest", "", digest[1])
    name, at, alias = text.partition("@")
    if at:
        return ModelReference("alias", check_model_name(name), check_alias(alias))
    name, colon, version = text.partition(":")
    check_model_name(name)
    if not colon or version == "latest":
        return ModelReference("newest", name, "")
    if _NUMBER.fullmatch(version):
        return ModelReference("number", name, version)
    if is_range(version):
        return ModelReference("range", name, version)
    try:
        return ModelReference("semantic", name, semantic_version(version).precedence)
    except InvalidValueError:
        raise InvalidValueError(
            "ModelVersion",
            "reference",
            f"{text!r:.120}: expected name, name@alias, name:7, name:2.1.0, name:^2.1 or "
            "sha256:...",
        ) from None


def check_model_name(name: str) -> str:
    """Return *name*. Raises InvalidValueError unless a model may be called so."""
    if not isinstance(name, str) or len(name) > NAME_LENGTH or not _NAME.fullmatch(name):
        raise InvalidValueError(
            "RegisteredModel",
            "name",
            f"{name!r:.120}: expected letters, digits and . _ - inside, {NAME_LENGTH} at most",
        )
    return name


def check_alias(name: str) -> str:
    """Return *name*. Raises InvalidValueError unless an alias may be called so.

    `latest` is taken, and a name of digits alone would be a number.
    """
    if not isinstance(name, str) or not _ALIAS.fullmatch(name) or name == "latest":
        raise InvalidValueError(
            "ModelAlias",
            "name",
            f"{name!r:.120}: expected letters, digits and . _ - inside, 100 at most, not `latest`",
        )
    return name
