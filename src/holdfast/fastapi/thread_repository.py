"""Repositories for plain `def` routes and dependencies, which run on threads of the server."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

from anyio import from_thread
from fastapi import Depends
from starlette.requests import HTTPConnection

from holdfast.errors import ConfigurationError
from holdfast.fastapi.exchange import exchange_of
from holdfast.records import Entity
from holdfast.records import Repository as AsyncRepository
from holdfast.records.sync import Repository as BlockingRepository

E = TypeVar("E")
T = TypeVar("T")


class ThreadRepository(BlockingRepository[E]):
    """The blocking twin of a repository whose store belongs to an event loop.

    Each call is done in the loop while its thread waits, in the request's transaction if it has
    one. It is for threads that the loop's server started; anywhere else it is a
    ConfigurationError.
    """

    def __init__(self, repository: AsyncRepository[E]) -> None:
        self.asynchronous = repository

    def step(self, coroutine: Coroutine[object, None, T]) -> T:
        """Let the event loop run *coroutine* and return what it returns."""
        return _in_loop(coroutine)


def _in_loop(coroutine: Coroutine[object, None, T]) -> T:
    async def awaited() -> T:
        return await coroutine

    try:
        return from_thread.run(awaited)
    except RuntimeError as error:
        if coroutine.cr_frame is None:  # type: ignore[attr-defined]
            raise
        coroutine.close()
        raise ConfigurationError(
            "SyncRepo is for plain `def` routes and dependencies, which run on threads; "
            "in an `async def` use Repo"
        ) from error


@dataclass(frozen=True)
class ThreadRepositoryOf:
    """The dependency that gives the repository of *entity* for a plain `def`."""

    entity: type[Entity]

    async def __call__(self, connection: HTTPConnection) -> ThreadRepository[Entity]:
        """Return it. Raises ConfigurationError for an entity of another store."""
        store = exchange_of(connection).resources.store
        return ThreadRepository(store.repository(self.entity))


if TYPE_CHECKING:
    SyncRepo: TypeAlias = Annotated[ThreadRepository[E], "the application's"]
else:

    class SyncRepo:
        """`SyncRepo[Video]`: the repository of videos, blocking, for a plain `def`."""

        def __class_getitem__(cls, entity: type[Entity]) -> object:
            """Return what FastAPI takes for a dependency on the repository of *entity*."""
            return Annotated[ThreadRepository[entity], Depends(ThreadRepositoryOf(entity))]
