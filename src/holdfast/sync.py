"""The public names, blocking: `from holdfast.sync import open_store`."""

from holdfast.records.sync import Repository, Store, Transaction, open_store

__all__ = ["Repository", "Store", "Transaction", "open_store"]
