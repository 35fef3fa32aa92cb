"""Whether rows may be locked here and now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.capability import require
from holdfast.errors import InvalidQueryError, TransactionError
from holdfast.records.driver import StoreCapability
from holdfast.records.transactions.transaction import current

if TYPE_CHECKING:
    from collections.abc import Collection

    from holdfast.records.driver import Driver
    from holdfast.records.driver_requests import RowLock


def lock_of(capabilities: Collection[StoreCapability]) -> RowLock | None:
    """Return the lock of rows that are read to be written, None for a store without row locks.

    Without them a transaction that writes is alone, or what it read is checked at its end.
    """
    return "update" if StoreCapability.ROW_LOCKS in capabilities else None


def check_row_lock(driver: Driver, lock: object, *, skip_locked: bool = False) -> None:
    """Raise what keeps the rows of a read from being locked.

    InvalidQueryError for another lock than "update", or none; UnsupportedError where the backend
    has no row locks; TransactionError outside of a transaction, and in a read-only one.
    """
    if lock != "update":
        said = f"lock={lock!r}{', skip_locked=True' if skip_locked else ''}"
        raise InvalidQueryError(f'{said}: expected lock="update"')
    require(StoreCapability.ROW_LOCKS, driver.capabilities, driver.name)
    transaction = current(driver)
    if transaction is None:
        raise TransactionError(
            "a row is locked until its transaction ends, and there is none: read it in "
            "`async with store.transaction()`"
        )
    if transaction.options.read_only:
        raise TransactionError("a row lock in a read-only transaction")
