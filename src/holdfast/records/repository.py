"""Repositories: everything that can be asked of, and done to, the entities of one kind."""

from __future__ import annotations

from typing import TypeVar

from holdfast.records.writing import Writing

E = TypeVar("E")


class Repository(Writing[E]):
    """The entities of one kind in a store: `Repository(Video, store)`.

    Each call is a transaction of its own, or part of the one that it is called inside of. What is
    returned is a copy: changing it changes nothing until it is written. A domain's repository is a
    subclass with queries of its own.
    """
