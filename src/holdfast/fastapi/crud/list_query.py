"""Lists of entities as clients ask for them: filters, order, pages, each allowed by name.

`class VideoQuery(ListQuery[Video], filters=[Video.duration.between], sorts=[Video.created_at])`
is a model for query parameters: `?duration__gte=60&sort=-created_at&size=50&cursor=...`.
"""

from __future__ import annotations

import types
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field
from pydantic import create_model as create_pydantic_model

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.fastapi.crud.filter_parameter import (
    FilterParameter,
    filter_parameters,
    named_parameter,
)
from holdfast.fastapi.crud.page_cursors import sealed_page, unsealed_cursor
from holdfast.fastapi.crud.page_links import add_links
from holdfast.fastapi.exchange import current_exchange
from holdfast.fastapi.problems.known_names import names_taken_once
from holdfast.fastapi.wire.wire_type import ModelMetaclass
from holdfast.records import Entity, Order, Page
from holdfast.records.entities.field import Field as EntityField
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.operands import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdfast.fastapi.exchange import Exchange
    from holdfast.fastapi.wire.wire_model import OutModel
    from holdfast.records import Predicate, Relation, Repository
    from holdfast.records.argument_types import Condition

E = TypeVar("E", bound=Entity)
O = TypeVar("O", bound="OutModel[Any]")  # noqa: E741

LARGEST_PAGE = 200
MOST_PREDICATES = 100
_CURSOR_LENGTH = 4000
_METHODS = ("where", "order_by", "page")
_NONE: Mapping[str, object] = types.MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a list may be asked for."""

    filters: dict[str, FilterParameter] = field(default_factory=dict)
    sorts: dict[str, Order] = field(default_factory=dict)
    first: str = ""
    """The default order."""


class QueryType(ModelMetaclass):
    """The metaclass of list queries: makes the parameters from what is allowed."""

    def __new__(  # noqa: PLR0913, PYI034 - what a class statement may say; a metaclass has no Self
        metacls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        entity: type[Entity] | None = None,
        filters: Iterable[object] = (),
        named: Mapping[str, object] = _NONE,
        sorts: Iterable[object] = (),
        largest: int = LARGEST_PAGE,
        **others: Any,
    ) -> QueryType:
        """Make the class. Raises ConfigurationError for what is no filter or sort."""
        make: Any = super().__new__
        if entity is not None:
            named = {"__module__": bases[0].__module__, **namespace, "__of__": entity}
            return cast("QueryType", make(metacls, name, bases, named))
        kind: Any = bases[0] if bases else None
        wanted = getattr(kind, "__of__", None)
        if wanted is None or getattr(kind, "__allowed__", None) is not None:
            if filters or named or sorts:
                raise ConfigurationError(
                    f"{name}: filters, named and sorts go with ListQuery[Entity]"
                )
            return cast("QueryType", make(metacls, name, bases, namespace, **others))
        asked = [each for given in filters for each in filter_parameters(wanted, given)]
        asked += [named_parameter(wanted, called, given) for called, given in named.items()]
        allowed = Allowed(_by_name(asked), *_sorts(wanted, sorts))
        parameters = _parameters(allowed, largest)
        below: Any = make(metacls, name, bases, {"__module__": namespace["__module__"]})
        below.__allowed__ = allowed
        below = create_pydantic_model(f"{name}Parameters", __base__=below, **parameters)
        return cast("QueryType", make(metacls, name, (below, *bases[1:]), namespace, **others))


def _by_name(parameters: Iterable[FilterParameter]) -> dict[str, FilterParameter]:
    found: dict[str, FilterParameter] = {}
    for each in parameters:
        if each.name in _METHODS or (each.called and each.name in found):
            raise ConfigurationError(f"a filter has a name that is taken: {each.name}")
        found[each.name] = each
    return found


def _sorts(entity: type[Entity], sorts: Iterable[object]) -> tuple[dict[str, Order], str]:
    """Return the orders by name, and the name of the default one."""
    by_name: dict[str, Order] = {}
    first = ""
    for given in sorts:
        order = given.asc() if isinstance(given, EntityField) else given
        if (
            not isinstance(order, Order)
            or not isinstance(order.operand, Column)
            or model_of(entity).by_name.get(order.operand.name) is not order.operand.spec
        ):
            raise ConfigurationError(
                f"{given!r} is not a sort: expected such as {entity.__name__}.title or "
                f"{entity.__name__}.title.desc()"
            )
        name = order.operand.name
        first = first or (f"-{name}" if order.descending else name)
        by_name[name] = Order(order.operand, descending=False, first=order.first)
        by_name[f"-{name}"] = Order(order.operand, descending=True, first=order.first)
    return by_name, first


def _parameters(allowed: Allowed, largest: int) -> dict[str, Any]:
    lists = sum(each.several for each in allowed.filters.values())
    most = (MOST_PREDICATES - len(allowed.filters) + lists) // max(lists, 1)
    if most < 1:
        raise ConfigurationError(f"more than {MOST_PREDICATES} filters of one list")
    found: dict[str, Any] = {
        name: (each.hint(most), Field(default_factory=_absent))
        for name, each in allowed.filters.items()
    }
    if allowed.sorts:
        one: Any = Literal[tuple(allowed.sorts)]
        found["sort"] = (list[one], Field(default_factory=list, max_length=len(allowed.sorts)))
    found["size"] = (int, Field(min(50, largest), ge=1, le=largest))
    found["cursor"] = (str, Field(default_factory=_absent, min_length=1, max_length=_CURSOR_LENGTH))
    found["total"] = (bool, False)
    clash = {"sort", "size", "cursor", "total"} & set(allowed.filters)
    if clash:
        raise ConfigurationError(
            f"a filter has the name of a parameter of every list: {', '.join(sorted(clash))}"
        )
    return found


def _absent() -> Any:
    """Stand for a parameter that is not there; unlike a default, it has no place in the schema."""
    return None


class ListQuery(BaseModel, Generic[E], metaclass=QueryType):
    """What a client asks of a list: filters, all of which must hold, `sort`, `size`, `cursor`.

    In a route it is `q: Annotated[VideoQuery, Query()]`. `named=` has filters by names of one's
    own, as in `{"longer_than": Video.duration.__gt__}`. A parameter that is no filter is a field of
    the class, from which an overridden `where` makes a condition. The first of `sorts=` is the
    default order; the key breaks ties. `total=true` asks for how many fit. An unknown parameter
    and a wrong value are refused by name. Parameters that can be given several times share what
    100 predicates leave for them.
    """

    model_config = ConfigDict(extra="forbid")

    if TYPE_CHECKING:
        __of__: type[Entity]
        __allowed__: Allowed
        size: int
        total: bool

        def __init_subclass__(
            cls,
            *,
            filters: Sequence[object] = (),
            named: Mapping[str, object] = _NONE,
            sorts: Sequence[object] = (),
            largest: int = LARGEST_PAGE,
        ) -> None: ...
    else:

        def __class_getitem__(cls, entity):  # noqa: ANN001, ANN204
            if not (isinstance(entity, type) and issubclass(entity, Entity)):
                return super().__class_getitem__(entity)
            return types.new_class(f"{cls.__name__}[{entity.__name__}]", (cls,), {"entity": entity})

    def where(self) -> list[Predicate]:
        """Return the conditions that the client set. Raises InvalidValueError."""
        return [
            parameter.predicate(getattr(self, name))
            for name, parameter in self.__allowed__.filters.items()
            if name in self.model_fields_set
        ]

    def order_by(self) -> list[Order]:
        """Return the order that the client asked for, or the list's own."""
        allowed = self.__allowed__
        asked = getattr(self, "sort", ()) or ([allowed.first] if allowed.first else [])
        by_field: dict[str, str] = {}
        for name in asked:  # the first word on a field is its last: the rest would change nothing
            by_field.setdefault(name.removeprefix("-"), name)
        return [allowed.sorts[name] for name in by_field.values()]

    @overload
    async def page(
        self,
        repository: Repository[E],
        out: None = None,
        *,
        where: Sequence[Condition] = (),
        load: Sequence[Relation] = (),
    ) -> Page[E]: ...
    @overload
    async def page(
        self,
        repository: Repository[E],
        out: type[O],
        *,
        where: Sequence[Condition] = (),
        load: Sequence[Relation] = (),
    ) -> Page[O]: ...
    async def page(
        self,
        repository: Repository[E],
        out: type[O] | None = None,
        *,
        where: Sequence[Condition] = (),
        load: Sequence[Relation] = (),
    ) -> Page[E] | Page[O]:
        """Return the page that the client asked for, its entities as *out* when that is given.

        *where* holds too, whatever the client asks. The answer gets `Link` headers to the pages
        beside it. Raises InvalidCursorError for a cursor that this list did not give.
        """
        exchange = current_exchange.get()
        if exchange is not None:
            self._refuse_repeated(exchange)
        cursor: str | None = getattr(self, "cursor", None)
        found = await repository.page(
            *self.where(),
            *where,
            order_by=self.order_by(),
            size=self.size,
            cursor=unsealed_cursor(cursor),
            total=self.total,
            load=load,
        )
        shown: Page[Any] = found if out is None else found.map(out.of)
        page = sealed_page(shown)
        if exchange is not None:
            add_links(exchange, page.next, page.previous)
        return page

    def _refuse_repeated(self, exchange: Exchange) -> None:
        """Raise InvalidValueError for a parameter that *exchange* has twice and takes once.

        FastAPI takes the last one, so the client would be told of rows that it did not ask for.
        """
        said = exchange.scope["query_string"].decode("ascii", "replace")
        asked = Counter(name for name, _ in parse_qsl(said, keep_blank_values=True))
        repeated = {name: times for name, times in asked.items() if times > 1}
        if not repeated:
            return
        for name in names_taken_once(type(self)):
            if name in repeated:
                raise InvalidValueError(
                    "query", name, f"is given {repeated[name]} times, and takes one value"
                )


def list_query(
    entity: type[E],
    *,
    filters: Sequence[object] = (),
    named: Mapping[str, object] = _NONE,
    sorts: Sequence[object] = (),
) -> type[ListQuery[E]]:
    """Return `ListQuery[entity]` as a class of its own, where none is written down."""

    def body(namespace: dict[str, Any]) -> None:
        namespace["__module__"] = entity.__module__

    base: Any = ListQuery
    words = {"filters": filters, "named": named, "sorts": sorts}
    made: Any = types.new_class(f"{entity.__name__}Query", (base[entity],), words, body)
    return cast("type[ListQuery[E]]", made)
