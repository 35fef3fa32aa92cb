"""What a route asks for by the types of its parameters: repositories, entities, bucket, cache.

To type checkers `Repo[Video]` is `Repository[Video]`; FastAPI finds the way to get one in it.
"""

from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

from fastapi import Depends, params
from starlette.requests import HTTPConnection

from holdfast.cache import Cache as CacheType
from holdfast.errors import ConfigurationError
from holdfast.fastapi.exchange import exchange_of
from holdfast.fastapi.wire.wire_field import key_hints
from holdfast.objects import Bucket as BucketType
from holdfast.records import Entity, Repository
from holdfast.records import Store as StoreType
from holdfast.records.entities.model import model_of

E = TypeVar("E")


@dataclass(frozen=True)
class RepositoryOf:
    """The dependency that gives the repository of *entity*."""

    entity: type[Entity]

    async def __call__(self, connection: HTTPConnection) -> Repository[Entity]:
        """Return it. Raises ConfigurationError for an entity of another store."""
        return exchange_of(connection).resources.store.repository(self.entity)


@dataclass(frozen=True)
class KeyAt:
    """The dependency that gives the key of an *entity* that stands in the path, as *parameters*."""

    entity: type[Entity]
    parameters: tuple[str, ...]

    @cached_property
    def __signature__(self) -> Signature:
        """What FastAPI reads: the key's own types, so that the documentation has them."""
        return Signature(self.keywords())

    def keywords(self) -> list[Parameter]:
        """Return the parameters of the path."""
        hints = zip(self.parameters, key_hints(model_of(self.entity)), strict=True)
        return [Parameter(name, Parameter.KEYWORD_ONLY, annotation=hint) for name, hint in hints]

    async def __call__(self, **path: object) -> object:
        """Return it: a value, or the tuple of a composite key."""
        first, *further = (path[name] for name in self.parameters)
        return (first, *further) if further else first


@dataclass(frozen=True)
class EntityAt:
    """The dependency that gives the *entity* whose key stands in the path, as *parameters*."""

    entity: type[Entity]
    parameters: tuple[str, ...]

    @cached_property
    def __signature__(self) -> Signature:
        """What FastAPI reads: the key's own types, so that the documentation has them."""
        keyword = Parameter.KEYWORD_ONLY
        connection = Parameter("connection", keyword, annotation=HTTPConnection)
        return Signature([connection, *KeyAt(self.entity, self.parameters).keywords()])

    async def __call__(self, connection: HTTPConnection, **path: object) -> Entity:
        """Return it. Raises NotFoundError."""
        repository = exchange_of(connection).resources.store.repository(self.entity)
        return await repository.get_one(await KeyAt(self.entity, self.parameters)(**path))


def entity_at(parameter: str | tuple[str, ...], entity: type[Entity]) -> params.Depends:
    """Return the dependency for the *entity* whose key is the path's *parameter*.

    `Annotated[Project, entity_at("project_id", Project)]`, where `FromPath[Project]` looks for the
    name of the key. Of a composite key *parameter* names one for each field. Raises
    ConfigurationError when it names more or fewer than the key has fields.
    """
    parameters = (parameter,) if isinstance(parameter, str) else parameter
    names = model_of(entity).key_names
    if len(parameters) != len(names):
        raise ConfigurationError(
            f"entity_at: the key of {entity.__name__} is {', '.join(names)}: "
            f"got {', '.join(parameters)}"
        )
    return params.Depends(EntityAt(entity, parameters))


async def opened_store(connection: HTTPConnection) -> StoreType:
    """Return the application's store."""
    return exchange_of(connection).resources.store


async def opened_bucket(connection: HTTPConnection) -> BucketType:
    """Return the application's bucket. Raises ConfigurationError where it has none."""
    return exchange_of(connection).resources.bucket


async def opened_cache(connection: HTTPConnection) -> CacheType[object]:
    """Return the application's cache. Raises ConfigurationError where it has none."""
    return exchange_of(connection).resources.cache


async def given_request_id(connection: HTTPConnection) -> str:
    """Return the id of the request."""
    return exchange_of(connection).request_id


Store: TypeAlias = Annotated[StoreType, Depends(opened_store)]
"""The application's store."""

Bucket: TypeAlias = Annotated[BucketType, Depends(opened_bucket)]
"""The application's bucket."""

Cache: TypeAlias = Annotated[CacheType[object], Depends(opened_cache)]
"""The application's cache."""

RequestID: TypeAlias = Annotated[str, Depends(given_request_id)]
"""The id of the request, as in the header `X-Request-ID` and in problem documents."""

if TYPE_CHECKING:
    Repo: TypeAlias = Annotated[Repository[E], "the application's"]
    FromPath: TypeAlias = Annotated[E, "under the key in the path"]
else:

    class Repo:
        """`Repo[Video]`: the repository of videos, in the request's transaction if it has one."""

        def __class_getitem__(cls, entity: type[Entity]) -> object:
            """Return what FastAPI takes for a dependency on the repository of *entity*."""
            return Annotated[Repository[entity], Depends(RepositoryOf(entity))]

    class FromPath:
        """`FromPath[Video]`: the video whose key is in the path, by the name of its key field.

        None there is answered with 404. `entity_at` is for another name in the path.
        """

        def __class_getitem__(cls, entity: type[Entity]) -> object:
            """Return what FastAPI takes for a dependency on the *entity* of the path."""
            return Annotated[entity, entity_at(model_of(entity).key_names, entity)]
