"""Handlers: the functions that do the work, where each runs, and what came of it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias, TypeVar

from holdfast.errors import ConfigurationError
from holdfast.jobs.workers.context import Context

Handler: TypeAlias = Callable[[Context], object]
"""An async function, or a plain one, of a `Context`; what it returns is the job's result."""

F = TypeVar("F", bound=Callable[..., object])

_LEAST_MEMORY = 64 << 20  # an interpreter with this library in it


def check_timeout(timeout: timedelta | None) -> None:
    """Raise ConfigurationError for a *timeout* that is not a positive timedelta or None."""
    if timeout is not None and not (isinstance(timeout, timedelta) and timeout > timedelta(0)):
        raise ConfigurationError(f"timeout={timeout!r}: expected a positive timedelta")


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerOptions:
    """Where a handler runs, and what it may take.

    *executor* "worker" is the worker's own process: an async function runs on its event loop, a
    plain one on a thread. "process" is a child process, for work that takes the CPU: it is killed
    at its *timeout*, and by *memory* (bytes of data, on Linux) an allocation beyond raises
    MemoryError in it. In the worker, an async function is cancelled at its timeout; a thread can't
    be ended: its job fails, and the function is told by `context.cancelled`.

    Raises ConfigurationError for what can't be.
    """

    executor: Literal["worker", "process"] = "worker"
    timeout: timedelta | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.executor not in ("worker", "process"):
            raise ConfigurationError(f"executor={self.executor!r}: expected 'worker' or 'process'")
        check_timeout(self.timeout)
        if self.memory is None:
            return
        if self.executor != "process":
            raise ConfigurationError("memory: only a handler with executor='process' has a limit")
        if sys.platform != "linux":
            raise ConfigurationError("memory: the limit of a process is kept on Linux alone")
        if self.memory < _LEAST_MEMORY:
            raise ConfigurationError(f"memory={self.memory}: expected {_LEAST_MEMORY} or more")

    @property
    def seconds(self) -> float | None:
        """The timeout in seconds, None for none."""
        return None if self.timeout is None else self.timeout.total_seconds()


_DEFAULTS = HandlerOptions()


def runs(
    *,
    executor: Literal["worker", "process"] = "worker",
    timeout: timedelta | None = None,
    memory: int | None = None,
) -> Callable[[F], F]:
    """Return a decorator that says of a handler where it runs; see `HandlerOptions`.

    The function itself is returned, with its attribute `handler_options` set. Raises
    ConfigurationError.
    """
    options = HandlerOptions(executor=executor, timeout=timeout, memory=memory)

    def declared(handler: F) -> F:
        handler.handler_options = options  # type: ignore[attr-defined]
        return handler

    return declared


def options_of(handler: Handler) -> HandlerOptions:
    """Return what a handler's attribute `handler_options` says, the defaults where there is none.

    Any callable may have that attribute. Raises ConfigurationError when it is something else.
    """
    options = getattr(handler, "handler_options", _DEFAULTS)
    if not isinstance(options, HandlerOptions):
        raise ConfigurationError(f"{handler!r}.handler_options: expected HandlerOptions")
    return options


def check_handlers(handlers: Mapping[str, Handler]) -> None:
    """Raise ConfigurationError unless *handlers* are functions of one argument, by task."""
    if not isinstance(handlers, Mapping):
        raise ConfigurationError(
            f"handlers={handlers!r}: expected functions by the tasks that they do, as in "
            '{"resize": resize}'
        )
    for task, handler in handlers.items():
        if not isinstance(task, str):
            raise ConfigurationError(f"handlers: {task!r}: expected the name of a task")
        if not callable(handler):
            raise ConfigurationError(
                f"the handler of {task!r} is {handler!r}: expected a function of the context"
            )
        try:
            inspect.signature(handler).bind(None)
        except TypeError:
            raise ConfigurationError(
                f"the handler of {task!r}: {handler!r} does not take one argument, the context"
            ) from None
        except ValueError:
            pass  # some of C's tell nothing


@dataclass(frozen=True, slots=True)
class Returned:
    """A handler ended by itself, with *value*."""

    value: object


@dataclass(frozen=True, slots=True)
class Raised:
    """A handler ended by raising *error*, or was ended because of it."""

    error: BaseException


Outcome: TypeAlias = Returned | Raised


def is_async(handler: Handler) -> bool:
    """Return whether calling *handler* gives an awaitable."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - an object may have an async one
    )


def described(error: BaseException) -> str:
    """Return an error's type and message, also when it can't say its message."""
    try:
        message = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # noqa: BLE001 - somebody else's __str__
        message = f"(its message raises {type(broken).__name__})"
    return f"{type(error).__name__}: {message}"
