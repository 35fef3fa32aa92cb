"""A store: an open backend with the entities that live in it."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TypeVar

from holdfast.errors import (
    ConfigurationError,
    InvalidQueryError,
    LockTimeoutError,
    SerializationError,
    TransactionError,
)
from holdfast.records.driver import TransactionOptions
from holdfast.records.loading import reference
from holdfast.records.model import Model, model_of
from holdfast.records.relation import Many
from holdfast.records.repository import Repository
from holdfast.records.structure import checked_verify, verify_structure
from holdfast.records.transaction import Savepoint, Transaction, current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from types import TracebackType

    from holdfast.records.driver import Driver, Isolation
    from holdfast.records.structure import Verify

E = TypeVar("E")
T = TypeVar("T")

_PAUSE = 0.01  # seconds, before the first new attempt; then twice as long each time
_LONGEST = 1.0


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


class Store:
    """Entities in one backend: `async with open_store(url, [Project, Video]) as store`."""

    def __init__(
        self,
        driver: Driver,
        entities: Iterable[type],
        *,
        clock: Callable[[], datetime] = utc_now,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        verify: Verify = "exact",
    ) -> None:
        self.driver = driver
        self._verify: Verify = checked_verify(verify)
        self.now = clock
        self._pause = pause
        self.models = models_of(entities)
        self._known = {id(model) for model in self.models}

    async def __aenter__(self) -> Self:
        try:
            await self.driver.open(self.models)
            await verify_structure(self.driver, self.driver.name, self._verify)
        except BaseException:
            await self.driver.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of connections and threads. Idempotent."""
        await self.driver.close()

    def repository(self, entity: type[E]) -> Repository[E]:
        """Return the repository of *entity*. Raises ConfigurationError for a foreign one."""
        return Repository(entity, self)

    def require(self, model: Model[E]) -> None:
        """Raise ConfigurationError unless *model* is one of this store's."""
        if id(model) not in self._known:
            names = ", ".join(known.name for known in self.models)
            raise ConfigurationError(
                f"{model.name} does not live in this store, which was opened with: {names}"
            )

    def transaction(
        self, *, isolation: Isolation | None = None, read_only: bool = False
    ) -> Transaction | Savepoint:
        """Return a transaction to enter; inside another one of this store, a part of it.

        Raises TransactionError when the inner one asks for what the outer one does not give.
        """
        outer = current(self.driver)
        if outer is None:
            return Transaction(self.driver, TransactionOptions(isolation, read_only))
        if isolation is not None and isolation != outer.options.isolation:
            raise TransactionError(
                f"a transaction inside another can't ask for isolation={isolation!r}; "
                "ask for it in the outer one"
            )
        if outer.options.read_only and not read_only:
            raise TransactionError("a transaction that writes can't stand inside a read-only one")
        return outer.savepoint()

    async def retrying(
        self,
        work: Callable[[], Awaitable[T]],
        *,
        attempts: int = 5,
        isolation: Isolation | None = None,
    ) -> T:
        """Return what *work* returns, done in a transaction, and done again when that clashed.

        It is done anew, from its beginning, when the transaction ends in SerializationError or
        LockTimeoutError, up to *attempts* times in all, with growing random pauses between; so it
        should change nothing but the store. Raises TransactionError inside a transaction, which
        could not be done again alone.
        """
        if current(self.driver) is not None:
            raise TransactionError("retrying inside a transaction: retry the outer one instead")
        if attempts < 1:
            raise InvalidQueryError(f"attempts={attempts}: expected 1 or more")
        for attempt in range(1, attempts + 1):
            try:
                async with self.transaction(isolation=isolation):
                    return await work()
            except (SerializationError, LockTimeoutError):
                if attempt == attempts:
                    raise
            await self._pause(random.uniform(0, min(_LONGEST, _PAUSE * 2**attempt)))  # noqa: S311
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def create_schema(self) -> None:
        """Create what is missing of the entities' structure; what is there is left as it is."""
        await self.driver.create_schema()

    async def drop_schema(self) -> None:
        """Remove the entities' structure with all rows in it."""
        await self.driver.drop_schema()


def models_of(entities: Iterable[type]) -> tuple[Model[object], ...]:
    """Return the models of *entities*, each once.

    Raises ConfigurationError when they don't fit together in one store.
    """
    models: tuple[Model[object], ...] = tuple(
        dict.fromkeys(model_of(entity) for entity in entities)
    )
    _check_models(models)
    return models


def _check_models(models: tuple[Model[object], ...]) -> None:
    tables: dict[str, str] = {}
    for model in models:
        table = model.table.lower()  # SQLite and MariaDB can't tell Foo and foo apart
        if table in tables:
            raise ConfigurationError(
                f"{model.name} and {tables[table]} both live in the table {model.table!r}"
            )
        tables[table] = model.name
    for model in models:
        for spec in model.references:
            assert spec.reference is not None
            target: Model[object] = model_of(spec.reference.target())
            if target not in models:
                raise ConfigurationError(
                    f"{model.name}.{spec.name} refers to {target.name}, "
                    "which the store was not opened with; add it to the entities"
                )
            if target.key.type.kind is not spec.type.kind:
                raise ConfigurationError(
                    f"{model.name}.{spec.name} is a {spec.type.kind.value}, "
                    f"but the key of {target.name} is a {target.key.type.kind.value}"
                )
        for relation in model.relations.values():
            target = model_of(relation.target)
            if target not in models:
                raise ConfigurationError(
                    f"{relation!r} leads to {target.name}, which the store was not opened with"
                )
            reference(target if isinstance(relation, Many) else model, relation)
