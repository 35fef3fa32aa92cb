"""Annotations in the body of a class: which there are, and what they spell."""

from __future__ import annotations

import inspect
import sys
import typing


def annotations_of(cls: type) -> dict[str, object]:
    """Return the annotations of *cls* alone, unresolved where they are text."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - exists from 3.14 on

        return dict(annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF))
    return dict(inspect.get_annotations(cls))


def spells_class_variable(hint: object) -> bool:
    """Return whether the annotation *hint* is that of an attribute of the class alone."""
    if isinstance(hint, typing.ForwardRef):
        hint = hint.__forward_arg__
    if isinstance(hint, str):
        return hint.partition("[")[0].rpartition(".")[2] == "ClassVar"
    return hint is typing.ClassVar or typing.get_origin(hint) is typing.ClassVar
