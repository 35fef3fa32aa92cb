"""Tasks: functions whose jobs are enqueued with checked arguments, and done by workers."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from holdfast.errors import ConfigurationError, InvalidValueError, NoResultError, PermanentError
from holdfast.jobs.job import JobStatus
from holdfast.jobs.new_job import NewJob
from holdfast.jobs.options import EnqueueOptions
from holdfast.jobs.typed_tasks.retry_policy import RetryPolicy
from holdfast.jobs.workers.handler import HandlerOptions, options_of
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from holdfast.jobs.job import Job
    from holdfast.jobs.jobs import Jobs
    from holdfast.jobs.new_job import Enqueued
    from holdfast.jobs.typed_tasks.task_signature import TaskSignature
    from holdfast.jobs.workers.context import Context
    from holdfast.jobs.workers.handler import Handler

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_ENQUEUE = EnqueueOptions()
_RETRY = RetryPolicy()


class Task(Generic[P, R_co]):
    """A function as a kind of job: its parameters behind the context are the payload.

    Made by `task`. *function* is the function itself, for calls without a job.
    """

    def __init__(
        self,
        function: Callable[Concatenate[Context, P], object],
        *,
        name: str,
        retry: RetryPolicy,
        options: EnqueueOptions,
        handler: HandlerOptions,
    ) -> None:
        self.function = function
        self.name = name
        self.options = options
        self._retry = retry
        self._handler = handler
        # As functions say of themselves, so that it is pickled, and shown, by its place.
        self.__module__ = function.__module__
        self.__qualname__ = function.__qualname__
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"<task {self.name!r}>"

    def __reduce__(self) -> str:
        return self.__qualname__

    def new(self, /, *args: P.args, **kwargs: P.kwargs) -> NewJob:
        """Return a job of this task as `enqueue_many` takes it.

        Raises InvalidValueError for an argument that its parameter's type does not hold.
        """
        return NewJob(self.name, self._signature.payload(*args, **kwargs), self.options)

    async def enqueue(self, jobs: Jobs, /, *args: P.args, **kwargs: P.kwargs) -> Enqueued:
        """Store a job of this task in *jobs*; see `Jobs.enqueue`, and `new`."""
        (made,) = await jobs.enqueue_many([self.new(*args, **kwargs)])
        return made

    def using(self, options: EnqueueOptions) -> Task[P, R_co]:
        """Return the same task whose jobs are enqueued as *options* say, else as before."""
        check_kind(options, EnqueueOptions)
        return Task(
            self.function,
            name=self.name,
            retry=self._retry,
            options=options.over(self.options),
            handler=self._handler,
        )

    def result(self, job: Job) -> R_co:
        """Return what the function returned for *job*, as it was stored.

        Raises NoResultError for a job that has not succeeded, InvalidValueError for a result that
        the type does not hold, and for a job of another task.
        """
        if job.task != self.name:
            raise InvalidValueError("Job", "task", f"is {job.task!r}, expected {self.name!r}")
        if job.status is not JobStatus.SUCCEEDED:
            raise NoResultError(job.id, job.status.value, job.error)
        return cast("R_co", self._signature.result(job.result))

    def handler(self) -> Handler:
        """Return the handler by which a worker does the jobs of this task.

        Payloads are validated before the function is called; one that does not fit fails its job
        at once. Raises ConfigurationError for types that can't be stored.
        """
        _ = self._signature
        how = _awaited if inspect.iscoroutinefunction(self.function) else _called
        handler = partial(how, self)
        # Read by the worker; the module is where a child process finds the task.
        handler.handler_options = self._handler  # type: ignore[attr-defined]
        handler.retry_policy = self._retry  # type: ignore[attr-defined]
        handler.__module__ = self.__module__
        return handler

    @cached_property
    def _signature(self) -> TaskSignature:
        # At the first use, when the module that declares the types has been run; msgspec with it.
        from holdfast.jobs.typed_tasks.task_signature import TaskSignature  # noqa: PLC0415 - slow to import

        return TaskSignature(self.name, self.function)

    def _arguments(self, context: Context) -> dict[str, object]:
        try:
            return self._signature.arguments(context.payload)
        except InvalidValueError as error:
            raise PermanentError(str(error)) from error


async def _awaited(task: Task[..., object], context: Context) -> object:
    arguments = task._arguments(context)  # noqa: SLF001 - of this module
    work = cast("Callable[..., Awaitable[object]]", task.function)
    return task._signature.plain_result(await work(context, **arguments))  # noqa: SLF001


def _called(task: Task[..., object], context: Context) -> object:
    arguments = task._arguments(context)  # noqa: SLF001 - of this module
    work = cast("Callable[..., object]", task.function)
    return task._signature.plain_result(work(context, **arguments))  # noqa: SLF001


class TaskDecorator(Protocol):
    """Makes a task of an async function, or of a plain one."""

    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], Awaitable[R]]) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R]) -> Task[P, R]: ...


def task(
    *,
    name: str | None = None,
    queue: str | None = None,
    timeout: timedelta | None = None,
    retry: RetryPolicy = _RETRY,
    enqueue: EnqueueOptions = _ENQUEUE,
    handler: HandlerOptions | None = None,
) -> TaskDecorator:
    """Return a decorator that makes a function a task; its first parameter is the context.

    *name* is the function's name where it is not said. *queue* and *timeout* are short for those
    of *enqueue*, which says how its jobs are enqueued, and *handler*, which says where they run
    (else `runs` says it of the function). Raises ConfigurationError when both say different things.
    """
    check_kind(retry, RetryPolicy, "retry")
    check_kind(enqueue, EnqueueOptions, "enqueue")
    if handler is not None:
        check_kind(handler, HandlerOptions, "handler")
    options = replace(enqueue, max_attempts=enqueue.max_attempts or retry.attempts)
    if queue is not None:
        if enqueue.queue not in (None, queue):
            raise ConfigurationError(f"queue={queue!r}: enqueue says {enqueue.queue!r}")
        options = replace(options, queue=queue)

    def declared(function: Callable[Concatenate[Context, P], object]) -> Task[P, object]:
        where = options_of(cast("Handler", function)) if handler is None else handler
        if timeout is not None:
            if where.timeout not in (None, timeout):
                raise ConfigurationError(f"timeout={timeout}: handler says {where.timeout}")
            where = replace(where, timeout=timeout)
        return Task(
            function,
            name=function.__name__ if name is None else name,
            retry=retry,
            options=options,
            handler=where,
        )

    return cast("TaskDecorator", declared)


def tasks(*given: Task[..., object]) -> dict[str, Handler]:
    """Return the handlers of *given* tasks, by name, as a `Worker` takes them.

    Raises ConfigurationError for two of one name.
    """
    handlers: dict[str, Handler] = {}
    for each in given:
        if each.name in handlers:
            raise ConfigurationError(f"two tasks are named {each.name!r}: give one another name=")
        handlers[each.name] = each.handler()
    return handlers
