"""How the schema that a database has differs from the one that the entities ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

from holdfast.errors import ConfigurationError, SchemaMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

Verify: TypeAlias = Literal["exact", "rolling", "off"]
"""How closely a store looks at the schema when it opens.

"exact" refuses whatever could make a read or a write go wrong; "rolling" accepts columns that take
nulls where the entity does not or the other way round, as between the steps of a change without
downtime; "off" does not look.
"""

DifferenceKind: TypeAlias = Literal[
    "missing table",
    "missing column",
    "type",
    "nullability",
    "default",
    "key",
    "extra column",
    "extra table",
    "sequence",
    "index",
    "constraint",
    "revision",
]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the database has otherwise; *part* is a column, an index or a constraint.

    For a sequence *table* is its own name. *remedy* is the statement that mends a type, where
    migrations are not for the table.
    """

    kind: DifferenceKind
    table: str
    part: str = ""
    expected: str = ""
    found: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "missing table":
                return f"the table {self.table} is missing"
            case "extra table":
                return f"no entity has the table {self.table} any more"
            case "missing column":
                kind = f", expected {self.expected}" if self.expected else ""
                return f"{self.table}.{self.part} is missing{kind}"
            case "type":
                remedy = f": {self.remedy}" if self.remedy else ""
                return f"{self.table}.{self.part} is {self.found}, expected {self.expected}{remedy}"
            case "nullability":
                return f"{self.table}.{self.part} is {self.found}, expected {self.expected}"
            case "default":
                of = f"{self.table}.{self.part}"
                return f"the default of {of} is {self.found}, expected {self.expected}"
            case "key":
                return f"the key of {self.table} is {self.found}, expected {self.expected}"
            case "sequence" if not self.found:
                return f"the sequence {self.table} is missing"
            case "sequence" if not self.expected:
                return f"no entity has the sequence {self.table} any more"
            case "sequence":
                return f"the sequence {self.table} counts {self.found}, expected {self.expected}"
            case "extra column":
                return f"{self.table}.{self.part} ({self.found}) is of no entity"
            case "index" | "constraint":
                return f"{self.table}: the {self.kind} {self.part} is {self.found}"
            case "revision":
                return f"the database stands at {self.found}, the newest is {self.expected}"


@runtime_checkable
class Verifiable(Protocol):
    """A backend whose schema can be another than the one that the entities ask for."""

    async def differences(self) -> Sequence[Difference]:
        """Return what could make a read or a write go wrong, at the cost of one look.

        A missing table counts where migrations keep the schema; elsewhere `create_schema` may
        be about to make it.
        """
        ...


def checked_verify(verify: Verify) -> Verify:
    """Return *verify*. Raises ConfigurationError for any other word."""
    if verify not in ("exact", "rolling", "off"):
        raise ConfigurationError(f"verify={verify!r}: expected 'exact', 'rolling' or 'off'")
    return verify


async def verify_schema(driver: object, backend: str, verify: Verify) -> None:
    """Raise SchemaMismatchError when the schema differs in what *verify* does not accept."""
    if verify == "off" or not isinstance(driver, Verifiable):
        return
    found = await driver.differences()
    minded = [each for each in found if verify == "exact" or each.kind != "nullability"]
    if minded:
        raise SchemaMismatchError(f"the {backend} database", tuple(map(str, minded)))
