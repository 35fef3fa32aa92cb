"""SQLAlchemy beside Holdfast: mapped classes as entities, statements and sessions in a transaction.

A class that SQLAlchemy or SQLModel mapped is an entity by itself: `open_store(url, [User])`. This
package is for the rest, and its blocking twins are in `holdfast.integrations.sqlalchemy.sync`.
"""

from holdfast.integrations.sqlalchemy.attributes import field_of, relation_of
from holdfast.integrations.sqlalchemy.mapped_class import adapt
from holdfast.integrations.sqlalchemy.statements import execute, orm_session, run_sync

__all__ = ["adapt", "execute", "field_of", "orm_session", "relation_of", "run_sync"]
