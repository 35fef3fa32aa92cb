"""Sessions made from an executor: a driver says where its verbs run, and writes no verb twice.

The signature of a verb stands in the contract (`records/driver.py`) and in the executor that
carries it out. A session passes each on: to its `read`, or to one of its ways to write.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Generic, TypeVar, cast

from holdfast.records.driver import NumberGiver, RecordingWriter, Session, TakingWriter

V = TypeVar("V")
F = TypeVar("F")


def _passed(verb: F, *ways: str) -> F:  # noqa: ARG001 - its type is what counts
    """Return a verb of the contract that a session passes on, to the first of *ways* it has."""
    return cast("F", _Passed(ways))


class _Passed:
    """Makes a session's verb: its way to run, and what the executor has by the same name.

    Both are bound by `partial`, so that a call goes straight to the session's own method.
    """

    def __init__(self, ways: tuple[str, ...]) -> None:
        self._ways = ways
        self._name = ""

    def __set_name__(self, owner: type[object], name: str) -> None:
        self._name = name

    def __get__(self, session: VerbSession[object] | None, owner: object = None) -> object:
        if session is None:
            return self
        way = next(each for each in self._ways if hasattr(session, each))
        made = partial(getattr(session, way), getattr(session.executor, self._name))
        if session.keeps_verbs:
            vars(session)[self._name] = made
        return made


class VerbSession(Generic[V]):
    """A session whose subclass says where the verbs of an executor, a *V*, run.

    The executor has the contract's verbs by their names, plain functions or awaited ones; those of
    `RecordingWriter`, `TakingWriter` and `NumberGiver` it may lack. The subclass has two awaited
    methods, `read` and `write`: each is given a verb, as a function of the executor, and the verb's
    arguments, and returns what the verb does. A write is kept as a whole, or nothing of it. Where
    it has them too, `write_one` is given the verbs that change rows with one statement at the most,
    and `write_rows` the insertion of rows.
    """

    executor: type[V]
    """The class of the executor."""
    keeps_verbs: ClassVar[bool] = False
    """Each verb is kept once it was used: for a session that lives long, as it makes a cycle."""

    get = _passed(Session.get, "read")
    find = _passed(Session.find, "read")
    values = _passed(Session.values, "read")
    aggregate = _passed(Session.aggregate, "read")
    insert = _passed(Session.insert, "write_rows", "write")
    replace = _passed(Session.replace, "write_one", "write")
    patch = _passed(Session.patch, "write_one", "write")
    update = _passed(Session.update, "write_one", "write")
    upsert = _passed(Session.upsert, "write")
    delete = _passed(Session.delete, "write_one", "write")
    numbers = _passed(NumberGiver.numbers, "write")
    take = _passed(TakingWriter.take, "write_one", "write")
    replace_recorded = _passed(RecordingWriter.replace_recorded, "write_one", "write")
    patch_recorded = _passed(RecordingWriter.patch_recorded, "write_one", "write")
