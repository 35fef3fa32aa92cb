"""A transaction for a request, committed before the first byte of its answer leaves.

FastAPI ends a dependency of the scope "function" when the route has returned and its answer is
made, and before the answer is sent; one of the scope "request" ends when all of it was sent.
"""

from collections.abc import AsyncIterator
from typing import Annotated, TypeAlias

from fastapi import Depends
from starlette.requests import HTTPConnection

from holdfast.fastapi.exchange import exchange_of
from holdfast.records import Transaction


async def writing(connection: HTTPConnection) -> AsyncIterator[Transaction]:
    """Yield the transaction of the request: see `Writing`."""
    exchange = exchange_of(connection)
    async with exchange.resources.store.transaction() as transaction:
        yield transaction
        exchange.lift_deadline()  # a 503 from here on could not tell whether this was committed


async def reading(connection: HTTPConnection) -> AsyncIterator[Transaction]:
    """Yield the read-only transaction of the request: see `Reading`."""
    store = exchange_of(connection).resources.store
    async with store.transaction(read_only=True) as transaction:
        yield transaction


Writing: TypeAlias = Annotated[Transaction, Depends(writing, scope="function")]
"""The transaction that a request writes in: `tx: Writing` in a route or a dependency of it.

All repositories in the request take part, those of dependencies too. It is committed when the
route has returned, before anything of the answer is sent; a commit that fails is answered as its
error. Any exception undoes it, an HTTPException too. An answer that is returned commits whatever
its status is: raise, to undo. What runs after the answer, as background tasks do, is outside.
"""

Reading: TypeAlias = Annotated[Transaction, Depends(reading, scope="function")]
"""A read-only transaction: all that the request reads is of one state of the store.

In a request that has `Writing` too, it is a part of that transaction.
"""
