"""How an entity lies in DynamoDB: its table, its indexes, and its rows as items.

A field is the attribute of its name. Beside them an item has, with names that no field can have:

- ``~key``, of a composite key: its values as a JSON list of texts, without blanks, which is the
  primary key then;
- ``~revision``, a text that every write replaces;
- ``~referred:table.field``, how many rows of that table point at it by that field;
- ``~expires``, where rows expire: seconds since 1970, by which the service removes the item;
- ``~index:field``, for a field that an index goes by and whose values no index could take as they
  are: its text that sorts, after ``=``, or ``~`` alone for a null, which so comes last;
- ``~sort:name``, where an index goes by one composed attribute (`table_index`).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import orjson

from holdfast.errors import ConfigurationError, InvalidValueError, StoredValueError
from holdfast.records.drivers.dynamodb.attribute_codec import (
    AttributeValue,
    Item,
    decoder,
    encoder,
)
from holdfast.records.drivers.dynamodb.expiry import EXPIRES, expiry_value
from holdfast.records.drivers.dynamodb.item_size import LARGEST_ITEM, item_size, value_size
from holdfast.records.drivers.dynamodb.table_index import (
    LONGEST_SORTED,
    TableIndex,
    indexes_of,
    key_letter,
)
from holdfast.records.entities.model import model_of
from holdfast.records.rows.hydration import (
    NO_VALUE,
    converted,
    from_own_rows,
    from_rows,
    hydrator,
)
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.records.entities.model import Model, Row
    from holdfast.records.options import IndexForm
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

COMPOSED_KEY = "~key"
REVISION = "~revision"
_LONGEST_KEY = 2048  # bytes of a key
_MOST_INDEXES = 20


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as it was read: its values, its revision, and how many rows point at it by what."""

    row: Row
    revision: str | None
    referred: dict[str, int]


def new_revision() -> str:
    """Return a revision that no other write has."""
    return secrets.token_urlsafe(12)


def counter_name(child: Model[object], spec: FieldSpec) -> str:
    """Return the attribute that counts the rows of *child* that point at an item by *spec*."""
    return f"~referred:{child.table}.{spec.name}"


def target_of(spec: FieldSpec) -> Model[object]:
    """Return the model that the reference *spec* points at."""
    assert spec.reference is not None
    return model_of(spec.reference.target())


class TableLayout(Generic[E]):
    """One model's table. Raises ConfigurationError for indexes that the service can't have."""

    def __init__(
        self,
        model: Model[E],
        name: str,
        expires: FieldSpec | None = None,
        *,
        form: IndexForm = "native",
    ) -> None:
        self.model = model
        self.name = name
        self.expires = expires
        self.indexes = indexes_of(cast("Model[object]", model), form)
        self.composed = {one.composed: one for one in self.indexes if one.composed is not None}
        """The indexes that go by a composed attribute, by its name."""
        attributes = {each.name: each for one in self.indexes for each in one.own_attributes}
        self.copies = tuple(each for each in attributes.values() if each.copied)
        self._texts = [
            each for each in attributes.values() if each.copied or each.spec.type.kind is Kind.STR
        ]
        self._encoders = [(spec.name, encoder(spec)) for spec in model.fields]
        self._composed = len(model.keys) > 1
        self._text_key = self._composed or model.key.type.kind is Kind.STR
        self.key_name = COMPOSED_KEY if self._composed else model.key.name
        """The attribute that is the primary key: the key's one field, or what composes several."""
        self._key_encoders = [encoder(spec) for spec in model.keys]
        self._key_decoders = [(key_letter(spec), decoder(spec)) for spec in model.keys]
        self._names = [spec.name for spec in model.fields]
        self._required = [at for at, spec in enumerate(model.fields) if not spec.type.nullable]
        self._decoders = [decoder(spec) for spec in model.fields]
        if len(self.indexes) > _MOST_INDEXES:
            raise ConfigurationError(
                f"{model.name}: {len(self.indexes)} indexes, references included; DynamoDB has "
                f"{_MOST_INDEXES} for a table"
            )

    @property
    def key_letter(self) -> str:
        """The type of the primary key, as tables declare it."""
        return "S" if self._composed else key_letter(self.model.key)

    def key_of(self, key: object) -> Item:
        """Return the primary key of the row under *key*."""
        return {self.key_name: self.encode_key(key)}

    def may_be_key(self, key: object) -> bool:
        """Return whether a row can have the key: none is empty, or too long."""
        return not self._text_key or 1 <= value_size(self.encode_key(key)) <= _LONGEST_KEY

    def encode_key(self, key: object) -> AttributeValue:
        """Return the key as an attribute value."""
        if not self._composed:
            return self._key_encoders[0](key)
        parts = zip(self._key_encoders, self.model.key_parts(key), strict=True)
        values = [encode(part) for encode, part in parts]
        return {"S": orjson.dumps([text for each in values for text in each.values()]).decode()}

    def decode_key(self, value: AttributeValue) -> object:
        """Return the key that the attribute *value* is."""
        if not self._composed:
            return self._key_decoders[0][1](value)
        texts = orjson.loads(cast("str", value["S"]))
        pairs = zip(self._key_decoders, texts, strict=True)
        return tuple(decode({letter: text}) for (letter, decode), text in pairs)

    def item(self, row: Row) -> Item:
        """Return *row* as an item, without what is counted. Raises InvalidValueError."""
        item = {
            name: encode(value)
            for (name, encode), value in zip(self._encoders, row, strict=True)
            if value is not None
        }
        for each in self.copies:
            item[each.name] = each.encode(row[each.spec.position])
        for name, index in self.composed.items():
            item[name] = {"S": index.sort_text(row)}
        if self._composed:
            item[COMPOSED_KEY] = self.encode_key(self.model.key_of(row))
        if self.expires is not None and (moment := row[self.expires.position]) is not None:
            item[EXPIRES] = expiry_value(moment)
        item[REVISION] = {"S": new_revision()}
        self.check(item)
        return item

    def check(self, item: Item) -> None:
        """Raise InvalidValueError for what the service would refuse to keep."""
        # As JSON an item is never shorter, and that is told much faster.
        size = len(orjson.dumps(item))
        if size > LARGEST_ITEM and (size := item_size(item)) > LARGEST_ITEM:
            fields = [name for name in self._names if name in item]
            largest = max(fields, key=lambda name: value_size(item[name]))
            raise InvalidValueError(
                self.model.name,
                largest,
                f"the item would have {size} bytes, of which this is the largest part; DynamoDB "
                f"keeps at most {LARGEST_ITEM}",
            )
        if self._text_key and value_size(item[self.key_name]) > _LONGEST_KEY:
            names = ", ".join(self.model.key_names)
            raise InvalidValueError(
                self.model.name, names, f"a key has at most {_LONGEST_KEY} bytes"
            )
        for each in self._texts:
            if value_size(item[each.name]) > LONGEST_SORTED:
                raise InvalidValueError(
                    self.model.name,
                    each.spec.name,
                    f"an index goes by it, and takes at most {LONGEST_SORTED - each.copied} bytes",
                )

        for name, index in self.composed.items():
            if (size := value_size(item[name])) > LONGEST_SORTED:
                raise InvalidValueError(
                    self.model.name,
                    ", ".join(each.spec.name for each in index.sort),
                    f"an index goes by them together, which have {size} bytes; it takes at most "
                    f"{LONGEST_SORTED}",
                )

    def stored(self, item: Item) -> StoredRow:
        """Return what *item* holds. Raises StoredValueError."""
        (row,) = self.rows((item,))
        revision = item.get(REVISION)
        referred = {
            name: int(cast("str", value["N"]))
            for name, value in item.items()
            if name.startswith("~referred:")
        }
        return StoredRow(row, None if revision is None else str(revision.get("S")), referred)

    def rows(self, items: Iterable[Item]) -> list[Row]:
        """Return the rows that *items* hold. Raises StoredValueError."""
        return converted(self.model, map(self._values, items), self.model.fields, self._decoders)

    def entities(self, items: Iterable[Item]) -> list[E]:
        """Return the entities that *items* hold. Raises StoredValueError."""
        return self._hydrate(map(self._values, items))

    def entities_of(self, rows: Sequence[Row], *, copied: bool = False) -> list[E]:
        """Return the entities of *rows*, which they take over unless these are *copied*.

        Raises StoredValueError for a row from before a field that is never null.
        """
        for row in rows:
            for at in self._required:
                if row[at] is None:
                    model, spec = self.model, self.model.fields[at]
                    key = model.key_of(row)
                    raise StoredValueError(model.name, spec.name, None, NO_VALUE, key=key)
        return (from_rows if copied else from_own_rows)(self.model)(rows)

    def _values(self, item: Item) -> tuple[AttributeValue | None, ...]:
        values = tuple(map(item.get, self._names))
        if len(self._required) == len(values):
            return values
        return tuple([None if value is None or "NULL" in value else value for value in values])

    @cached_property
    def _hydrate(self) -> Callable[[Iterable[Sequence[object]]], list[E]]:
        return hydrator(self.model, decoder, checked=True)

    def index_by(self, spec: FieldSpec) -> TableIndex:
        """Return the index whose partition is that reference."""
        return next(each for each in self.indexes if each.partition.spec is spec)

    @cached_property
    def is_plain(self) -> bool:
        """Whether a write of a row concerns no other item: no unique fields, no references."""
        return not self.model.all_uniques and not self.model.references
