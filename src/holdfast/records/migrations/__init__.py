"""Migrations: the structure of a database, moved step by step to what the entities ask for."""

from holdfast.records.migration_types import MigrationResult, Revision
from holdfast.records.migrations.migrations import Migrations
from holdfast.records.schema_diff import Difference

__all__ = ["Difference", "MigrationResult", "Migrations", "Revision"]
