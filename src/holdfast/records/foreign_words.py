"""Words of other libraries, by which people look for what is called otherwise here.

They are looked up where Python finds no such attribute, so they cost nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT = "contains(text), startswith(text), endswith(text), or icontains(text) without case"
_ITEM = "has_item(item), of a JSON list"
_INSIDE = 'the place inside the JSON itself, field["name"]'
_ADDED = "increment(amount)"
_LISTED = "find(*conditions), or stream(*conditions) for more than fit into memory"
_ONE = "one(*conditions), which raises, or first(*conditions), which may be None"
_KEYED = "get(key), which may be None, or get_one(key), which raises"
_COMMITS = "each verb commits by itself: several in one are said in `store.transaction()`"

EXPRESSION_WORDS: Mapping[str, str] = {
    "like": _TEXT,
    "ilike": "icontains(text), or iequals(text) for the whole text without case",
    "not_like": f"~ before {_TEXT}",
    "notlike": f"~ before {_TEXT}",
    "not_ilike": "~ before icontains(text)",
    "notilike": "~ before icontains(text)",
    "match": f"{_TEXT}; search(text) of the repository is for words",
    "regex": f"{_TEXT}; there are no patterns",
    "regexp": f"{_TEXT}; there are no patterns",
    "regexp_match": f"{_TEXT}; there are no patterns",
    "has_prefix": "startswith(text)",
    "istartswith": "startswith(text) of lower(field), from holdfast.records",
    "iendswith": "endswith(text) of lower(field), from holdfast.records",
    "iexact": "iequals(text)",
    "exact": "== value",
    "eq": "== value",
    "ne": "!= value",
    "gt": "> value",
    "ge": ">= value",
    "gte": ">= value",
    "lt": "< value",
    "le": "<= value",
    "lte": "<= value",
    "range": "between(low, high)",
    "is_": "== value, or is_null() for None",
    "is_not": "!= value, or ~ before is_null() for None",
    "isnot": "!= value, or ~ before is_null() for None",
    "isnull": "is_null()",
    "is_none": "is_null()",
    "isnotnull": "~ before is_null()",
    "is_not_null": "~ before is_null()",
    "not_null": "~ before is_null()",
    "isin": "in_(values)",
    "is_in": "in_(values)",
    "any_of": "in_(values)",
    "notin": "not_in(values)",
    "notin_": "not_in(values)",
    "not_in_": "not_in(values)",
    "any": _ITEM,
    "any_": _ITEM,
    "overlap": f"{_ITEM}, with | between several",
    "has_key": _INSIDE,
    "has_any": _INSIDE,
    "astext": _INSIDE,
    "as_string": _INSIDE,
    "nulls_first": "asc().nulls_first() or desc().nulls_first()",
    "nullsfirst": "asc().nulls_first() or desc().nulls_first()",
    "nulls_last": "asc() or desc(), by which nulls come last",
    "nullslast": "asc() or desc(), by which nulls come last",
    "lower": "lower(field), from holdfast.records",
    "length": "length(field), from holdfast.records",
    "coalesce": "coalesce(field, value), from holdfast.records",
    "mean": "avg()",
    "average": "avg()",
    "distinct": "count_distinct(), or select(field, distinct=True) of the repository",
    "set": "to(value)",
    "set_": "to(value)",
    "assign": "to(value)",
    "inc": _ADDED,
    "incr": _ADDED,
    "add": _ADDED,
}
"""What is written here for what mappers and managers elsewhere call so, of a field."""

RELATION_WORDS: Mapping[str, str] = {
    "any": "has(*conditions)",
    "has": "any(*conditions)",
    "contains": "any(*conditions), of many, or has(*conditions), of one",
    "filter": "where(*conditions), of many, for load=",
    "is_": "field == None, of the reference's field",
    "is_null": "field == None, of the reference's field",
    "isnull": "field == None, of the reference's field",
    "selectinload": "find(load=[...]) of the repository",
    "joinedload": "find(load=[...]) of the repository",
}
"""The same of a relation."""

READ_WORDS: Mapping[str, str] = {
    "all": _LISTED,
    "list": _LISTED,
    "fetch": _LISTED,
    "fetch_all": _LISTED,
    "find_all": _LISTED,
    "find_many": _LISTED,
    "get_all": _LISTED,
    "filter": _LISTED,
    "filter_by": _LISTED,
    "where": _LISTED,
    "query": _LISTED,
    "scalars": _LISTED,
    "exclude": "find(~condition)",
    "iterator": "stream(*conditions)",
    "iterate": "stream(*conditions)",
    "yield_per": "stream(*conditions, batch=500)",
    "order_by": "find(order_by=...)",
    "limit": "find(limit=...)",
    "offset": "find(offset=...)",
    "paginate": "page(size=...)",
    "get_by_id": _KEYED,
    "find_by_id": _KEYED,
    "get_by": _ONE,
    "find_one": _ONE,
    "get_one_or_none": "first(*conditions), or get(key)",
    "get_or_none": "first(*conditions), or get(key)",
    "one_or_none": "first(*conditions)",
    "scalar": _ONE,
    "scalar_one": "one(*conditions)",
    "scalar_one_or_none": "first(*conditions)",
    "last": "first(order_by=...desc())",
    "values": "select(*fields)",
    "values_list": "select(*fields)",
    "annotate": "aggregate(..., by=...)",
    "group_by": "aggregate(..., by=...)",
    "sum": "aggregate(...)",
    "avg": "aggregate(...)",
    "distinct": "select(*fields, distinct=True)",
    "options": "find(load=[...])",
    "select_related": "find(load=[...])",
    "prefetch_related": "find(load=[...])",
    "select_for_update": 'get(key, lock="update") or find(lock="update")',
    "with_for_update": 'get(key, lock="update") or find(lock="update")',
    "refresh": _KEYED,
}
"""The same of what a repository can be asked."""

REPOSITORY_WORDS: Mapping[str, str] = {
    **READ_WORDS,
    "save": "add(entity) for a new one, update(entity) for one that was read, else upsert(entity)",
    "create": "add(entity)",
    "insert": "add(entity)",
    "insert_one": "add(entity)",
    "add_all": "add_many(entities)",
    "bulk_create": "add_many(entities)",
    "bulk_insert": "add_many(entities)",
    "bulk_save_objects": "add_many(entities)",
    "insert_many": "add_many(entities)",
    "bulk_update": "update_where(*conditions, changes=[...])",
    "update_many": "update_where(*conditions, changes=[...])",
    "bulk_upsert": "upsert_many(entities, on=[...])",
    "merge": "update(entity), or upsert(entity, on=[...])",
    "update_or_create": "upsert(entity, on=[...])",
    "get_or_create": "upsert(entity, on=[...]), which overwrites; else first(*conditions), then "
    "add(entity)",
    "remove": "delete(key)",
    "destroy": "delete(key)",
    "delete_one": "delete(key)",
    "bulk_delete": "delete_many(keys), or delete_where(*conditions)",
    "delete_all": "delete_where(everything()), from holdfast.records",
    "truncate": "delete_where(everything()), from holdfast.records",
    "commit": _COMMITS,
    "flush": _COMMITS,
    "rollback": _COMMITS,
}
"""The same of a repository: for verbs of sessions, managers and repositories elsewhere."""


def not_there(subject: object, called: str, name: str, words: Mapping[str, str]) -> NoReturn:
    """Raise the AttributeError for *name* of *subject*, which is *called* so.

    It says what is written instead for one of *words*, else what Python says. What the class of the
    *subject* has is there: what was raised inside of it is raised again.
    """
    ours = words.get(name)
    if ours is None or hasattr(type(subject), name):
        object.__getattribute__(subject, name)
    raise AttributeError(f"{called} has no {name!r}; write {ours}", name=name)
