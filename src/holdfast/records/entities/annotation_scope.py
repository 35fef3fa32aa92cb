"""Where an annotation's names are looked up, and the entity to which a relation's leads."""

from __future__ import annotations

import ast
import sys
import typing
from functools import cache
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Scope:
    """Where an annotation's names are looked up: the module and the place of definition."""

    def __init__(self, cls: type, local: Mapping[str, object]) -> None:
        self.cls = cls
        self.local = dict(local)

    def resolve(self, hint: object) -> object:
        """Return what *hint*, an annotation or a name, stands for. Raises NameError."""
        if isinstance(hint, typing.ForwardRef):
            hint = hint.__forward_arg__
        if not isinstance(hint, str):
            return hint
        module = sys.modules.get(self.cls.__module__)  # none where it was run from its text alone
        names = {} if module is None else vars(module)
        return eval(hint, names, {**self.local, self.cls.__name__: self.cls})  # noqa: S307 - the class's own annotation

    def resolve_type(self, hint: object, of: str) -> type:
        """Return the entity that *hint* names. Raises ConfigurationError, which names *of*."""
        try:
            resolved = self.resolve(hint)
        except (NameError, AttributeError) as error:
            raise ConfigurationError(f"{of}: {error}; is it imported at run time?") from None
        if not isinstance(resolved, type) or not hasattr(resolved, "__holdfast__"):
            raise ConfigurationError(f"{of}: {resolved!r} is not an entity")
        return resolved


def target_of(scope: Scope, hint: object, of: str) -> Callable[[], type]:
    """Return what finds the entity to which *hint* of the relation *of* leads, once it is asked."""

    @cache  # what was found: to read the annotation is a quarter of a query by a relation
    def resolve() -> type:
        try:
            found = _entity_named(scope, hint)
        except (SyntaxError, NameError, AttributeError) as error:
            raise ConfigurationError(f"{of}: {error}; is it imported at run time?") from None
        return scope.resolve_type(found, of)

    return resolve


_AROUND = ("One", "Many", "Optional", "Union", "Annotated")


def _entity_named(scope: Scope, hint: object) -> object:
    """Return what *hint* leads to: an entity, One or Many of it, or one of these or None.

    All of it, or any part, may be text, which is read and not evaluated as a whole: there need be
    no future import, and a name in it may come later. Raises SyntaxError, NameError and, for a
    name that a module lacks, AttributeError.
    """
    if isinstance(hint, typing.ForwardRef):
        hint = hint.__forward_arg__
    if isinstance(hint, str):
        return _of_expression(scope, ast.parse(hint.strip(), mode="eval").body)
    arms = [arm for arm in typing.get_args(hint) if arm is not type(None)]
    return _entity_named(scope, arms[0]) if arms else hint


def _of_expression(scope: Scope, node: ast.expr) -> object:
    match node:
        case ast.Constant(value=str() as text):
            return _entity_named(scope, text)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            is_none = isinstance(left, ast.Constant) and left.value is None
            return _of_expression(scope, right if is_none else left)
        case ast.Subscript(value=around, slice=inner) if (
            ast.unparse(around).rpartition(".")[2] in _AROUND
        ):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            named = [
                part
                for part in parts
                if not (isinstance(part, ast.Constant) and part.value is None)
            ]
            return _of_expression(scope, named[0] if named else inner)
        case _:
            return scope.resolve(ast.unparse(node))
