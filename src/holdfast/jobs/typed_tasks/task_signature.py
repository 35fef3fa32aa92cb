"""The signature of a task: its arguments as a job's payload and back, and so its result.

Values are plain JSON in the store. msgspec converts what it knows (numbers, texts, times, UUIDs,
enums, dataclasses, structs, lists and dicts of these), pydantic what is its own.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.jobs.typed_tasks.json_types import plain_of, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)
_ALLOWED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class TaskSignature:
    """The parameters of *function* behind its context, and what it returns.

    Raises ConfigurationError for a function that takes no context, for parameters without a name
    of their own (`*args`, `**kwargs`), and for types that can't be found or that neither library
    knows.
    """

    def __init__(self, task: str, function: Callable[..., object]) -> None:
        self.task = task
        signature = _signature(function)
        first, *own = signature.parameters.values() or (None,)
        if first is None or first.kind not in _POSITIONAL:
            raise ConfigurationError(f"the task {task!r}: its first parameter is for the context")
        self._signature = signature.replace(parameters=own)
        types = _types(task, function, [each.name for each in own])
        for each in own:
            if each.kind not in _ALLOWED:
                raise ConfigurationError(
                    f"the task {task!r}: the parameter {each} has no name that a payload could use"
                )
        self._needed = frozenset(each.name for each in own if each.default is each.empty)
        try:
            self._arguments = msgspec.defstruct(
                f"the payload of {task!r}",
                [
                    (name, kind)
                    if name in self._needed
                    else (name, kind | msgspec.UnsetType, msgspec.UNSET)
                    for name, kind in types.items()
                    if name != "return"
                ],
                kw_only=True,
                forbid_unknown_fields=True,
            )
            self._result: Any = types["return"]
            msgspec.inspect.type_info(self._arguments)
            msgspec.inspect.type_info(self._result)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"the task {task!r}: {error}") from None

    def payload(self, /, *args: object, **kwargs: object) -> dict[str, object]:
        """Return the arguments as the payload of a job; what was left out stays so.

        Raises TypeError for arguments that the function does not take, as a call does, and
        InvalidValueError for a value that its parameter's type does not hold.
        """
        given = self._signature.bind(*args, **kwargs).arguments
        plain = {name: self._plain("payload", value) for name, value in given.items()}
        self.arguments(plain)
        return plain

    def arguments(self, payload: Mapping[str, object]) -> dict[str, object]:
        """Return the arguments that *payload* holds. Raises InvalidValueError."""
        try:
            found = value_of(payload, self._arguments)
        except ValueError as error:
            raise InvalidValueError("Job", "payload", f"for {self.task!r}: {error}") from None
        values = {name: getattr(found, name) for name in self._arguments.__struct_fields__}
        return {name: value for name, value in values.items() if value is not msgspec.UNSET}

    def plain_result(self, value: object) -> object:
        """Return what the function returned, as JSON. Raises InvalidValueError."""
        return self._plain("result", value)

    def result(self, plain: object) -> object:
        """Return what the function returned, of the JSON in a job. Raises InvalidValueError."""
        try:
            return value_of(plain, self._result)
        except ValueError as error:
            raise InvalidValueError("Job", "result", f"of {self.task!r}: {error}") from None

    def _plain(self, field: str, value: object) -> object:
        try:
            return plain_of(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidValueError("Job", field, f"for {self.task!r}: {error}") from None


def _signature(function: Callable[..., object]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        from annotationlib import Format  # noqa: PLC0415 - where there is one

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def _types(task: str, function: Callable[..., object], names: list[str]) -> dict[str, Any]:
    """Return the types of the parameters *names* and of what is returned.

    The context's type may be one that only type checkers import, so it is not looked for.
    """
    signature = _signature(function)
    said = {name: signature.parameters[name].annotation for name in names}
    said["return"] = signature.return_annotation
    holder = type("_Annotated", (), {"__annotations__": {}})
    holder.__annotations__ = {
        name: Any if kind is inspect.Signature.empty else kind for name, kind in said.items()
    }
    places = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return get_type_hints(holder, globalns=places, include_extras=True)
    except (NameError, AttributeError) as error:
        raise ConfigurationError(
            f"the task {task!r}: {error}; the types of a task are imported where it runs"
        ) from None
