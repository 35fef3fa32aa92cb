"""What MariaDB and MySQL do differently with JSON, as a module of functions of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.statements.dialect import Expression, Place, Shape, Steps
    from holdfast.records.drivers.sql.statements.statement import Parameters
    from holdfast.records.expressions.predicates import Operator


class JSONSearch(Protocol):
    """How one of the databases looks into JSON, and changes it. See `Dialect`."""

    @property
    def depth(self) -> int:
        """How many levels a document may have."""
        ...

    def path_values(self, steps: Steps) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        ...

    def compared_values(
        self, steps: Steps, how: Operator, value: object
    ) -> tuple[Shape, list[object]]:
        """See `Dialect.json_values`."""
        ...

    def compare(self, place: Place, how: Operator, value: object, given: Parameters) -> Expression:
        """See `Dialect.compare_json`; never NULL."""
        ...

    def list_values(self, steps: Steps, wanted: Sequence[object]) -> tuple[Shape, list[object]]:
        """See `Dialect.json_list_values`."""
        ...

    def in_list(self, place: Place, wanted: Sequence[object], given: Parameters) -> Expression:
        """See `Dialect.in_json`; never NULL."""
        ...

    def item_values(self, steps: Steps, value: object) -> tuple[Shape, list[object]]:
        """See `Dialect`."""
        ...

    def has_item(self, place: Place, value: object, given: Parameters) -> Expression:
        """See `Dialect`."""
        ...

    def kind_of(self, found: Expression) -> Expression:
        """Return what the database calls the type of the JSON *found*, NULL for nothing."""
        ...

    def json_of(self, text: Expression) -> Expression:
        """Return the JSON that *text* is, as functions that change JSON take it."""
        ...

    def one_row(self, document: Expression) -> tuple[sa.TableValuedAlias, Expression]:
        """Return a table of one row, in which *document* is worked out once, and its value."""
        ...

    def without_item(self, listed: Expression, value: object, given: Parameters) -> Expression:
        """Return the JSON list *listed* without the items that are *value*, in its order.

        Its parameters are those of `item_values`.
        """
        ...

    def is_escaped(self, steps: Steps) -> bool:
        """Return whether the database follows *steps* in an escaped document alone."""
        ...

    def escaped(self, steps: Steps, text: str) -> str:
        """Return the *text* of a path or of JSON so that it fits to `escaped_json`."""
        ...

    def escaped_json(self, steps: Steps, document: Expression) -> Expression:
        """Return *document* as the database can follow *steps* in it."""
        ...

    def unescaped_json(self, steps: Steps, document: Expression) -> Expression:
        """Return the document of which `escaped_json` made *document*."""
        ...

    def type_of(self, place: Place) -> Expression:
        """Return what the database calls the type of the JSON in *place*, NULL for nowhere."""
        ...

    def text_of(self, place: Place) -> Expression:
        """Return the text in *place*, which is of the type STRING."""
        ...
