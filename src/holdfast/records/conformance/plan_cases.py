"""Plans of queries: told without reading, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UnsupportedError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author
from holdfast.records.query_plan import Planner

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab


@case("PLAN-1")
async def a_plan_is_told_or_refused(lab: Lab) -> None:
    authors = lab.repository(Author)
    author = await authors.add(Author(name="a"))
    if not isinstance(lab.store.driver, Planner):
        async with lab.refused(UnsupportedError):
            await authors.explain(Author.id == author.id)
        return
    by_key = await authors.explain(Author.id == author.id)
    assert (by_key.access, by_key.client_filter) == ("key", "")
    by_name = await authors.explain(Author.name == "a", order_by=Author.born.asc())
    assert by_name.access in ("unique", "index", "scan")
    assert by_key.table in str(by_key)
