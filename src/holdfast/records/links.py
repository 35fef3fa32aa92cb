"""The links of a many-to-many relation, made and removed by the keys of what they link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

from holdfast.errors import ConflictError, DuplicateError, InvalidQueryError, NotFoundError
from holdfast.records import validation
from holdfast.records.driver_requests import Select
from holdfast.records.entities.model import Model, model_of
from holdfast.records.entities.relation import ALL_ROWS, Many
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import Compare, In, Operator, Order, Predicate
from holdfast.records.result_types import LinkChanges
from holdfast.records.rows.row_key import has_key, key_order
from holdfast.records.search.indexed_session import plain_session
from holdfast.records.transactions.own_transaction import in_own_transaction
from holdfast.records.transactions.transaction import current
from holdfast.records.write_order import at_its_place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from holdfast.records.repository import Repository
    from holdfast.records.store import Store

E = TypeVar("E")
T = TypeVar("T")


class Links(Generic[E]):
    """The links that a relation goes by: `store.links(Video.tags)`, or from there `Tag.videos`.

    Each call does all of its work or none, in the transaction around it or in one of its own, and
    can be repeated: what is linked already stays as it is, and what is not linked is nothing to
    disconnect. Keys are given as `get` takes them, those of the relation's owner first. Links are
    rows of the link entity, written as by its repository: write hooks are told of them, and its
    other fields have their defaults.
    """

    def __init__(self, relation: Many[E], store: Store) -> None:
        link = relation.link if isinstance(relation, Many) else None
        if link is None:
            raise InvalidQueryError(
                f"links() takes a relation through a link entity, such as many(through=VideoTag): "
                f"got {relation!r}"
            )
        if relation.rows != ALL_ROWS or relation.nested:
            raise InvalidQueryError(f"links() takes the whole of {relation!r}: a part is for load=")
        self.store = store
        self._owner: Model[object] = model_of(relation.owner)
        self._target: Model[object] = model_of(relation.target)
        self._link = link
        self._model: Model[object] = model_of(link.entity)
        self._near = Column(self._model.name, link.near)
        self._far = Column(self._model.name, link.far)
        self._rows: Repository[object] = store.repository(link.entity)

    async def connect(self, key: object, others: Iterable[object]) -> tuple[object, ...]:
        """Link the row under *key* with those under *others*; return those that were not linked.

        Any number may do this at once: there is one link for each two, and no error, and one of
        the calls made it. Raises ForeignKeyError where a row is not there.
        """
        near, wanted = self._owner.check_key(key), self._keys("connect", others)
        self._check_made_of_keys()
        if not wanted:
            return ()

        async def work() -> tuple[object, ...]:
            return await self._add(near, wanted, await self._linked(near, wanted))

        return await (work() if len(wanted) == 1 else self._whole(work))

    async def disconnect(self, key: object, others: Iterable[object]) -> tuple[object, ...]:
        """Remove the links of the row under *key* with *others*; return those that were linked."""
        near, wanted = self._owner.check_key(key), self._keys("disconnect", others)
        if not wanted:
            return ()

        async def work() -> tuple[object, ...]:
            there = set(await self._linked(near, wanted, held=True))
            gone = tuple(each for each in wanted if each in there)
            await self._remove(near, gone)
            return gone

        return await self._whole(work)

    async def replace(self, key: object, others: Iterable[object]) -> LinkChanges:
        """Link the row under *key* with *others* and with nothing else; return what changed.

        Calls for the same *key* wait for one another, so that of two at once one set is left, and
        no mixture: the row is locked as by an update. Links that stay keep their fields. Raises
        NotFoundError where it is not there, and ForeignKeyError where one of the others is not.
        """
        near, wanted = self._owner.check_key(key), self._keys("replace", others)
        self._check_made_of_keys()

        async def work() -> LinkChanges:
            await self._hold(near)
            there = await self._linked(near, held=True)
            gone = tuple(each for each in there if each not in wanted)
            await self._remove(near, gone)
            return LinkChanges(await self._add(near, wanted, there), gone)

        return await self._whole(work)

    def _keys(self, verb: str, others: Iterable[object]) -> dict[object, int]:
        """Return the keys of *others* as row values, each once, with its place among them."""
        wanted: dict[object, int] = {}
        for place, other in enumerate(validation.several(verb, others)):
            wanted.setdefault(self._target.check_key(other), place)
        return wanted

    def _check_made_of_keys(self) -> None:
        """Raise InvalidQueryError where a link needs more than the two keys to be made."""
        if self._model.adapter is not None:
            return  # which has defaults of its own, and says what is missing
        for spec in self._model.fields:
            given = spec.name in self._link.pair or not spec.in_constructor
            if not (given or spec.declaration.has_default):
                name = self._model.name
                raise InvalidQueryError(
                    f"{name}.{spec.name} has no default, so a link can't be made of two keys: add "
                    f"it by store.repository({name})"
                )

    async def _hold(self, near: object) -> None:
        """Keep others from replacing the links of *near* until the transaction ends."""
        owner = self._owner
        if not await self._held(owner, has_key(owner, near), key_order(owner)):
            raise NotFoundError(owner.name, near)

    async def _linked(
        self, near: object, among: Iterable[object] = (), *, held: bool = False
    ) -> list[object]:
        """Return what *near* is linked with, in the order of the keys: all, or of those *among*."""
        where, order = self._links_of(near, tuple(among)), Order(self._far)
        if held:
            found = await self._held(self._model, where, (order, *key_order(self._model)))
        else:
            found = await self._rows.find(where, order_by=order)
        return [vars(link)[self._far.name] for link in found]

    async def _held(
        self, model: Model[object], where: Predicate, order: tuple[Order, ...]
    ) -> list[object]:
        """Return the living rows of *model* that fit, held on every backend: see `Select`."""
        if model.living is not None:
            where &= model.living
        select = Select(model, where, order, lock="update")
        return await plain_session(self.store).find(select)

    async def _add(
        self, near: object, wanted: Mapping[object, int], there: Collection[object]
    ) -> tuple[object, ...]:
        """Link *near* with those *wanted* that are not *there*.

        Return those that nobody else linked in the meantime.
        """
        new = wanted.keys() - set(there)
        if not new:
            return ()
        make: Callable[..., object] = self._model.entity
        # In one order, so that callers who name the same two rows wait and don't block each other.
        ordered = sorted(new, key=lambda each: cast("str", each))
        links = [make(**{self._near.name: near, self._far.name: far}) for far in ordered]
        added: set[object] = set()
        batch = await self._rows.add_many(links, atomic=False)
        for far, outcome in zip(ordered, batch.results, strict=True):
            if not isinstance(outcome, ConflictError):
                added.add(far)
            elif not isinstance(outcome, DuplicateError) or set(outcome.fields) != self._link.pair:
                raise at_its_place(outcome, [wanted[each] for each in ordered])
        return tuple(each for each in wanted if each in added)

    async def _remove(self, near: object, others: Sequence[object]) -> None:
        if others:
            await self._rows.delete_where(self._links_of(near, tuple(others)))

    def _links_of(self, near: object, others: tuple[object, ...]) -> Predicate:
        of_near = Compare(self._near, Operator.EQ, near)
        return of_near & In(self._far, others) if others else of_near

    async def _whole(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do *work* as a part of the transaction around it, or in one of its own."""
        if current(self.store.driver) is None:
            store = self.store
            return await in_own_transaction(
                store.transaction, work, blocking=store.affinity.blocking
            )
        async with self.store.transaction():
            return await work()
