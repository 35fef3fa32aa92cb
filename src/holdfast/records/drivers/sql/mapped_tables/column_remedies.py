"""The statements that mend columns of mapped classes on MariaDB and MySQL.

They are made from SHOW CREATE TABLE, so that all else that is said of a column stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.records.schema_diff import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import sqlalchemy as sa
    from sqlalchemy.sql.compiler import IdentifierPreparer

    from holdfast.records.drivers.sql.mapped_tables.column_misfits import Misfit

_NAME = r"`((?:[^`]|``)+)`"
_COLUMN = re.compile(rf"\s*{_NAME} (.+?),?")
_COLLATED = re.compile(r"(?: CHARACTER SET \w+)?(?: COLLATE \w+)?")
_NOW = re.compile(r"current_timestamp(?:\(\d*\))?", re.IGNORECASE)
_FOREIGN_KEY = re.compile(
    rf"\s*(CONSTRAINT {_NAME} FOREIGN KEY \((.+?)\) REFERENCES (?:`.+?`\.)?{_NAME} \((.+?)\).*?),?"
)


@dataclass(frozen=True, slots=True)
class _ForeignKey:
    """A foreign key of the table *place*, as its *definition* says; *ends* are its columns.

    Each is the name of the table and of the column.
    """

    place: str
    name: str
    definition: str
    ends: frozenset[tuple[str, str]]


def misfit_differences(
    preparer: IdentifierPreparer, wrong: Sequence[Misfit], definitions: Mapping[sa.Table, str]
) -> Iterator[Difference]:
    """Yield what is wrong, and by which statements each is mended.

    *definitions* are the texts of SHOW CREATE TABLE, of each table of a mapped class.
    """
    keys = [
        key
        for table, text in definitions.items()
        for key in _foreign_keys(preparer.format_table(table), table.name, text)
    ]
    altered = {
        misfit: _alteration(preparer, misfit, definitions[misfit.table])
        for misfit in wrong
        if not misfit.why
    }
    for misfit in wrong:
        expected, found = misfit.wanted, misfit.found.type
        if misfit.collation:
            expected = f"{expected} collate {misfit.collation}"
            found = f"{found} collate {misfit.found.collation}"
        remedy = misfit.why or "; ".join(_statements(misfit, altered, keys))
        yield Difference("type", misfit.table.key, misfit.column, expected, found, remedy)


def _statements(
    misfit: Misfit, altered: Mapping[Misfit, str], keys: Sequence[_ForeignKey]
) -> list[str]:
    """Return what mends *misfit*, together with the columns that references tie it to.

    Both ends of a reference are of one type. So it goes, and comes back when both are altered.
    """
    ends, tied = {_end(misfit)}, list[_ForeignKey]()
    while more := [key for key in keys if key not in tied and ends & key.ends]:
        tied += more
        ends = ends.union(*(key.ends for key in more))
    return [
        *(f"ALTER TABLE {key.place} DROP FOREIGN KEY `{key.name}`" for key in tied),
        *(statement for each, statement in altered.items() if _end(each) in ends),
        *(f"ALTER TABLE {key.place} ADD {key.definition}" for key in tied),
    ]


def _end(misfit: Misfit) -> tuple[str, str]:
    return misfit.table.name, misfit.column


def _foreign_keys(place: str, table: str, definition: str) -> Iterator[_ForeignKey]:
    for line in definition.splitlines():
        stands = _FOREIGN_KEY.fullmatch(line)
        if stands is None:
            continue
        text, name, columns, target, pointed_at = stands.groups()
        ends = [(table, each) for each in re.findall(_NAME, columns)]
        ends += [(target, each) for each in re.findall(_NAME, pointed_at)]
        yield _ForeignKey(place, name, text, frozenset(ends))


def _alteration(preparer: IdentifierPreparer, misfit: Misfit, definition: str) -> str:
    name, rest = _column_line(misfit, definition)
    kind = misfit.wanted
    if misfit.found.collation:
        rest = _COLLATED.sub("", rest, count=1)
    if misfit.collation:
        kind = f"{kind} CHARACTER SET utf8mb4 COLLATE {misfit.collation}"
    if kind.endswith("(6)"):
        rest = _NOW.sub("CURRENT_TIMESTAMP(6)", rest)
    return f"ALTER TABLE {preparer.format_table(misfit.table)} MODIFY COLUMN `{name}` {kind}{rest}"


def _column_line(misfit: Misfit, definition: str) -> tuple[str, str]:
    """Return the column's name, quotes in it doubled, and what its definition says past the type.

    That begins with the character set and collation, where it names any.
    """
    for line in definition.splitlines():
        stands = _COLUMN.fullmatch(line)
        if stands is not None and stands[1].replace("``", "`") == misfit.column:
            return stands[1], stands[2][len(misfit.found.type) :]
    raise AssertionError(f"{misfit.table.key} lost the column {misfit.column} meanwhile")
