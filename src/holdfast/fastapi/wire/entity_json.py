"""JSON of entities, written from their values without a model of each in between.

Making a pydantic model of each of 50 rows costs more than reading them (`benchmarks/api.py`).
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from pydantic import TypeAdapter

from holdfast.records import Entity, Page
from holdfast.records.entities.model import model_of
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.fastapi.wire.wire_model import OutModel
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E", bound=Entity)

_encode = msgspec.json.Encoder().encode


class EntityJSON(Generic[E]):
    """Writes entities as the JSON that the model *out* has of them."""

    def __init__(self, out: type[OutModel[E]]) -> None:
        self._out = out
        self._pages: TypeAdapter[Page[Any]] = TypeAdapter(Page[out])  # type: ignore[valid-type]
        self._values = _values_of(out) if _is_plain(out) else None

    def one(self, entity: E, *, loaded: bool = False) -> bytes:
        """Return *entity* as JSON; *loaded* where relations of it were, which are then shown."""
        if self._values is None or loaded:
            return self._out.of(entity).model_dump_json().encode("utf-8")
        return _encode(self._values(entity))

    def page(self, page: Page[E], *, loaded: bool = False) -> bytes:
        """Return *page* as JSON; *loaded* where relations of its entities were."""
        if self._values is None or loaded:
            shown = [self._out.of(entity) for entity in page.items]
            return self._pages.dump_json(Page(shown, page.next, page.previous, page.total))
        values = self._values
        return _encode(
            {
                "items": [values(entity) for entity in page.items],
                "next": page.next,
                "previous": page.previous,
                "total": page.total,
            }
        )


def _is_plain(out: type[OutModel[Any]]) -> bool:
    """Return whether the JSON of *out* is that of the entity's values as msgspec writes them."""
    fields = model_of(out.__of__).by_name
    return out.__derived__ and all(_is_written_alike(fields[name]) for name in out.__shown__)


def _is_written_alike(spec: FieldSpec) -> bool:
    if spec.type.kind is Kind.TIMEDELTA:  # msgspec says PT5400S where pydantic says PT1H30M
        return False
    return spec.type.kind is not Kind.JSON or spec.type.load is None


def _values_of(out: type[OutModel[Any]]) -> Callable[[Any], dict[str, object]]:
    """Return the function from an entity to the values that *out* shows, by name."""
    model, names = model_of(out.__of__), out.__shown__
    if model.adapter is None and not model.relations and len(names) == len(model.fields):
        return vars
    if len(names) < 2:  # itemgetter of one is no tuple
        return lambda entity: {name: vars(entity)[name] for name in names}
    values = itemgetter(*names)
    return lambda entity: dict(zip(names, values(vars(entity)), strict=True))
