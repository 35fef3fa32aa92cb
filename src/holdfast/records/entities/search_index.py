"""The documents of a searched entity: an entity beside it, that holds the words of its fields.

It has a row for each of the entity's, which goes with it, and a field for each that is searched.
Repositories keep it in the transaction of each write (`search/indexed_session.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import ConfigurationError, InvalidQueryError
from holdfast.records.entities.declaration import field, generated_key
from holdfast.records.entities.field import Field
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.operands import Column, Join, RelatedColumn, SearchRank
from holdfast.records.expressions.predicates import HasWords, In, Predicate, Related
from holdfast.records.search.search_words import document_of, search_terms
from holdfast.records.values.field_spec import Declaration
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.search.search_words import SearchTerms
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

_KEY = "search_id"
_OF = "search_of"
_MOST_FIELDS = 7  # of 128 KiB each: PostgreSQL's index takes a megabyte for a row


@dataclass(frozen=True, eq=False)
class SearchIndex:
    """What a model is searched by: the model of its *documents*, and how rows lead to them."""

    documents: Model[object]
    join: Join
    fields: tuple[FieldSpec, ...]
    """Those of the entity that are searched, in the order of the documents' own."""

    @property
    def of(self) -> Column:
        """The documents' field with the key of the row that they are of."""
        return Column(self.documents.name, self.documents.by_name[_OF])

    def column(self, spec: FieldSpec) -> Column:
        """Return the documents' field with the words of the entity's *spec*."""
        return Column(self.documents.name, self.documents.by_name[spec.name])

    def row(self, key: object, row: Row) -> Row:
        """Return the documents of an entity's *row*, whose key is *key*."""
        values: dict[str, object] = {
            spec.name: document_of(cast("str | None", row[spec.position])) for spec in self.fields
        }
        values |= {_KEY: None, _OF: key}
        return tuple(values[spec.name] for spec in self.documents.fields)

    def predicate(self, terms: SearchTerms) -> Predicate:
        """Return what rows fit that have what *terms* want; nothing fits where they want nothing.

        What they don't want has to be missing from all fields together.
        """
        if not terms.wanted:
            return Related(self.join, In(self.of, ()))
        columns = tuple(self.column(spec) for spec in self.fields)
        return Related(self.join, HasWords(columns, terms))

    def rank(self, terms: SearchTerms) -> SearchRank:
        """Return how well a row fits *terms*."""
        columns = tuple(RelatedColumn((self.join,), self.column(spec)) for spec in self.fields)
        weights = tuple(spec.declaration.search for spec in self.fields)
        return SearchRank(columns, weights, terms.wanted)


def searched(model: Model[E]) -> SearchIndex:
    """Return what *model* is searched by. Raises InvalidQueryError where it has no such fields."""
    if model.search is None:
        raise InvalidQueryError(
            f"{model.name} has no field(search=True), so its words can't be searched"
        )
    return model.search


def text_matches(entity: type, query: str) -> Predicate:
    """Return what entities fit that *query* finds: `text_matches(Video, 'night -rain "red car"')`.

    The question of `Repository.search`, for `find`, `count`, `update_where` and relations:
    `Project.videos.any(text_matches(Video, "night"))`. Raises InvalidQueryError for an entity
    without searched fields, and for a query of more than 64 words.
    """
    model: Model[object] = model_of(entity)
    return searched(model).predicate(search_terms(query))


def document_members(entity: type, model: Model[E]) -> dict[str, object]:
    """Return the body of the class of the documents of *entity*, which has *model*.

    Raises ConfigurationError for a field that can't be searched.
    """
    fields = searched_fields(model)
    for spec in fields:
        if spec.type.kind is not Kind.STR or spec.role != "plain" or spec.reference is not None:
            raise ConfigurationError(f"{model.name}.{spec.name}: search is for fields of text")
        if spec.name in (_KEY, _OF):
            raise ConfigurationError(f"{model.name}.{spec.name}: the name is taken by its search")
    if len(fields) > _MOST_FIELDS:
        raise ConfigurationError(f"{model.name}: at most {_MOST_FIELDS} fields can be searched")
    if len(model.keys) > 1:
        raise ConfigurationError(f"{model.name}: what has a composite key can't be searched")
    key = model.key
    owner = Declaration(
        target=entity, on_delete="cascade", unique=True, bounds=key.declaration.bounds
    )
    body: dict[str, object] = {_KEY: generated_key(), _OF: Field(owner)}
    hints: dict[str, object] = {_KEY: Field[int], _OF: Field[key.type.python]}  # type: ignore[name-defined]
    for spec in fields:
        body[spec.name] = field(default=None)
        hints[spec.name] = Field[str | None]
    return {**body, "__annotations__": hints, "__module__": entity.__module__}


def searched_fields(model: Model[E]) -> tuple[FieldSpec, ...]:
    """Return the fields of *model* that are declared to be searched."""
    return tuple(spec for spec in model.fields if spec.declaration.search)


def with_search(entity: type, model: Model[E], documents: type) -> Model[E]:
    """Return *model*, of *entity*, with the search by *documents*, which is marked as its index."""
    fields = searched_fields(model)
    marked: Model[object] = replace(
        model_of(documents), indexed_words=tuple(spec.name for spec in fields)
    )
    type.__setattr__(documents, "__holdfast__", marked)
    join = Join(entity, "search", documents, _OF, many=True)
    return replace(model, search=SearchIndex(marked, join, fields))
