"""Plans: by which way a backend comes to the rows of a query, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from holdfast.records.driver_requests import Select

E = TypeVar("E")

Access = Literal["key", "unique", "index", "scan"]
"""By the rows' keys, by a unique value that leads to one, along an index, or over all rows."""


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """How the rows of a query are found; `str(plan)` says it in a line.

    *index* is the index that is walked, *key_condition* what it is entered by. Of the rest,
    *server_filter* is decided by the service, of rows that it has read and charged for, and
    *client_filter* by Holdfast, of rows that were sent. *sorted_by*: who puts the rows into order.
    *consistent*: what was written before is seen; an index of DynamoDB's lags. *related*: the
    tables of which every row is read too, as the query goes to them. *most_units*: read units that
    it costs at the most, with those tables, by the sizes that the service tells, which are up to
    six hours old; None where they are not known.
    """

    access: Access
    table: str
    index: str | None = None
    key_condition: str = ""
    server_filter: str = ""
    client_filter: str = ""
    sorted_by: Literal["store", "client"] = "store"
    consistent: bool = True
    related: tuple[str, ...] = ()
    most_units: float | None = None

    def __str__(self) -> str:
        where = f" {self.index} of" if self.index else ""
        said = [f"{self.access}{where} {self.table}"]
        for name, text in (
            ("by", self.key_condition),
            ("filtered by the service:", self.server_filter),
            ("filtered by the client:", self.client_filter),
            ("with every row of", ", ".join(self.related)),
        ):
            if text:
                said.append(f"{name} {text}")
        said.append(f"sorted by the {self.sorted_by}")
        said.append("consistent" if self.consistent else "may lag")
        if self.most_units is not None:
            said.append(f"at most {self.most_units:g} read units")
        return "; ".join(said)


@runtime_checkable
class Planner(Protocol):
    """A driver that tells its plans."""

    async def explain(self, select: Select[E]) -> QueryPlan:
        """Return how *select* would be answered now, without reading its rows."""
        ...
