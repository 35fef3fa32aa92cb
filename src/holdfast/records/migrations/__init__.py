"""Migrations: the structure of a database, moved step by step to what the entities ask for."""

from holdfast.records.migrations.migrations import Migrations
from holdfast.records.revision import Moved, Revision
from holdfast.records.structure import Difference

__all__ = ["Difference", "Migrations", "Moved", "Revision"]
