"""The blocking twins of `execute`, `orm_session` and `run_sync`: the same names, no `await`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.blocking import documented_by, run
from holdfast.integrations.sqlalchemy import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import sqlalchemy as sa
    from sqlalchemy.orm import Session

    from holdfast.records.sync import Transaction

__all__ = ["execute", "orm_session", "run_sync"]

T = TypeVar("T")


@documented_by(statements.execute)
def execute(
    transaction: Transaction,
    statement: sa.Executable,
    parameters: Mapping[str, object] | Sequence[Mapping[str, object]] | None = None,
) -> sa.Result[Any]:
    return run(statements.execute(transaction.asynchronous, statement, parameters))


@documented_by(statements.run_sync)
def run_sync(transaction: Transaction, work: Callable[[sa.Connection], T]) -> T:
    return run(statements.run_sync(transaction.asynchronous, work))


@contextmanager
def orm_session(transaction: Transaction) -> Iterator[Session]:
    """Give a blocking session of SQLAlchemy's that works in *transaction*.

    At the end of the block it is flushed, and what it did is the transaction's; an exception
    undoes what it did. Its own commit() and rollback() reach no further back than the block.
    """
    connection = run(statements.borrowed_connection(transaction.asynchronous))
    with transaction.savepoint(), connection.session() as session:
        yield session
        session.commit()
