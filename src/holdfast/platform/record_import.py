"""Import of records from a file, in one transaction: every row, or none when one can't be stored.

The look before it is the same import, undone at its end: so what it tells of each row, duplicates
and references among it, is what the store itself said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import orjson

from holdfast.acting import acting_as
from holdfast.errors import CheckError, DuplicateError, ForeignKeyError, InvalidValueError
from holdfast.platform.import_file import rows_of
from holdfast.records import StoreCapability
from holdfast.records.record_values import parsed_value, text_value
from holdfast.records.rows.row_rules import check_row
from holdfast.records.values.field_spec import MISSING
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from holdfast.platform.import_file import FileRow
    from holdfast.records import Repository, Store
    from holdfast.records.values.field_spec import FieldSpec

Verdict: TypeAlias = Literal["new", "changed", "same", "refused"]

FIRST_ROWS = 10
"""Rows that an outcome shows."""
MOST_FAULTS = 50
"""Faults that an outcome names."""
_BATCH = 500
_REFUSALS = (InvalidValueError, DuplicateError, ForeignKeyError)


@dataclass(frozen=True, slots=True)
class ImportFault:
    """What is wrong with *field* in the row that ends in *line*; with the whole row where ''."""

    line: int
    field: str
    said: str


@dataclass(slots=True)
class ImportedRow:
    """A row of the file: its cells as text, what becomes of it, and which fields it changes."""

    line: int
    texts: dict[str, str]
    verdict: Verdict = "refused"
    changes: tuple[str, ...] = ()


@dataclass(slots=True)
class ImportOutcome:
    """What became of the rows of a file, or would; nothing was stored where one is refused.

    *rows* are the first FIRST_ROWS of them, *faults* the first MOST_FAULTS.
    """

    counts: dict[Verdict, int] = field(
        default_factory=lambda: {"new": 0, "changed": 0, "same": 0, "refused": 0}
    )
    rows: list[ImportedRow] = field(default_factory=list)
    faults: list[ImportFault] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many rows the file has."""
        return sum(self.counts.values())

    @property
    def fits(self) -> bool:
        """Whether there are rows, and every one of them can be stored."""
        return self.total > 0 and not self.counts["refused"]

    @property
    def columns(self) -> list[str]:
        """The columns of the rows that are shown, in the order in which they come."""
        return list(dict.fromkeys(name for row in self.rows for name in row.texts))


def faults_of(error: InvalidValueError | DuplicateError | ForeignKeyError) -> dict[str, str]:
    """Return what is wrong, by field; under '' what is wrong with no field alone."""
    match error:
        case CheckError():
            return {"": error.reason, **dict.fromkeys(error.fields, "see above")}
        case InvalidValueError():
            return {error.field: error.reason}
        case DuplicateError():
            return dict.fromkeys(error.fields or ("",), "is taken already")
        case _:
            return dict.fromkeys(error.fields, "points at nothing that is there")


class _Undone(Exception):  # noqa: N818 - no error: it undoes a transaction
    """Ends the transaction of an import that is not to stay."""


@dataclass(frozen=True, slots=True)
class _Given:
    """A row whose cells are values."""

    row: ImportedRow
    values: dict[str, object]
    version: str


class RecordImport:
    """Imports rows of *entity* into *store*; what the store sets itself is left to it.

    With *overwrite*, a row whose key is there changes that one: only in the fields that the file
    has, and where the file has a version, only if that is the stored one. Else it is refused.
    """

    def __init__(self, store: Store, entity: type, *, overwrite: bool) -> None:
        self._store = store
        self._repository: Repository[object] = store.repository(entity)
        self._model = self._repository.model
        self._overwrite = overwrite

    async def look(self, content: bytes, *, as_csv: bool) -> ImportOutcome:
        """Return what would become of the rows of a file, and change nothing.

        Raises InvalidValueError for a file that can't be read, and UnsupportedError where the
        backend can't write so many rows in one transaction.
        """
        return await self._imported(content, as_csv=as_csv, source=None)

    async def store(self, content: bytes, *, as_csv: bool, source: str) -> ImportOutcome:
        """Store the rows of a file, if all can be, and return what became of them.

        The audit has an entry for each row, and one for the import of *source*. Raises what `look`
        does.
        """
        with acting_as(reason=f"import of {source}"):
            return await self._imported(content, as_csv=as_csv, source=source)

    async def _imported(self, content: bytes, *, as_csv: bool, source: str | None) -> ImportOutcome:
        outcome = ImportOutcome()
        lines: dict[object, int] = {}
        rows = list(rows_of(content, as_csv=as_csv))
        try:
            async with self._store.transaction():
                for at in range(0, len(rows), _BATCH):
                    batch = rows[at : at + _BATCH]
                    given = list(self._given(batch, outcome, lines, as_csv=as_csv))
                    await self._write(given, outcome)
                await self._end(outcome, source)
        except _Undone:
            pass  # the transaction is rolled back, as was meant
        return outcome

    async def _end(self, outcome: ImportOutcome, source: str | None) -> None:
        """Tell of the import of *source*, or raise _Undone where nothing is to stay."""
        if source is None or not outcome.fits:
            raise _Undone
        details: dict[str, object] = {str(name): count for name, count in outcome.counts.items()}
        await self._store.record_event(
            "records.imported", entity=self._model.name, key=source, details=details
        )

    # --- what the file says -----------------------------------------------------------------

    def _given(
        self,
        batch: Iterable[FileRow],
        outcome: ImportOutcome,
        lines: dict[object, int],
        *,
        as_csv: bool,
    ) -> Iterator[_Given]:
        for each in batch:
            texts = {str(name): _text(cell) for name, cell in each.cells.items()}
            row = ImportedRow(each.line, texts)
            if len(outcome.rows) < FIRST_ROWS:
                outcome.rows.append(row)
            values: dict[str, object] = {}
            faults = {"": each.fault} if each.fault else {}
            for name, cell in each.cells.items():
                try:
                    self._read(name, cell, values, as_csv=as_csv)
                except InvalidValueError as error:
                    faults[error.field] = error.reason
            key = self._key(values)
            if key is not None and not faults:
                first = lines.setdefault(key, each.line)
                if first != each.line:
                    faults[self._model.key_names[0]] = f"stands in line {first} already"
            if faults:
                _refuse(outcome, row, faults)
            else:
                version = self._model.version
                yield _Given(row, values, texts.get(version.name, "") if version else "")

    def _read(self, name: str, cell: object, values: dict[str, object], *, as_csv: bool) -> None:
        """Put what *cell* stands for into *values*. Raises InvalidValueError."""
        model = self._model
        spec = model.by_name.get(name)
        if spec is None:
            known = ", ".join(model.by_name)
            raise InvalidValueError(model.name, name, f"is not a field; fields are: {known}")
        if spec.declaration.audit == "redact":
            raise InvalidValueError(model.name, name, "is hidden: it can't be imported")
        if not spec.in_constructor:
            return
        empty = as_csv and cell == ""
        if (
            empty
            and not spec.type.nullable
            and not _constructor_needs(spec)
            and spec.type.kind != Kind.STR
        ):
            return  # it gets its default
        value = None
        if not (empty and spec.type.nullable):
            value = parsed_value(model.entity, spec, cell)
        spec.bounded(model.name, spec.to_row(model.name, value))
        values[name] = value

    def _key(self, values: dict[str, object]) -> object | None:
        """Return the key in *values*, None where it makes itself."""
        names = self._model.key_names
        if any(values.get(name) is None for name in names):
            return None
        return values[names[0]] if len(names) == 1 else tuple(values[name] for name in names)

    # --- what the store says ----------------------------------------------------------------

    async def _write(self, given: Sequence[_Given], outcome: ImportOutcome) -> None:
        stored = await self._stored(given) if self._overwrite else {}
        new: list[_Given] = []
        for each in given:
            found = stored.get(self._key(each.values))
            if found is None:
                new.append(each)
            else:
                await self._change(each, found, outcome)
        await self._add(new, outcome)

    async def _stored(self, given: Sequence[_Given]) -> dict[object, object]:
        keys = [key for each in given if (key := self._key(each.values)) is not None]
        found = await self._repository.get_many(keys)
        return {key: row for key, row in zip(keys, found, strict=True) if row is not None}

    async def _add(self, given: Sequence[_Given], outcome: ImportOutcome) -> None:
        entities: list[object] = []
        rows: list[ImportedRow] = []
        for each in given:
            try:
                entities.append(self._made(each.values))
                rows.append(each.row)
            except InvalidValueError as error:
                _refuse(outcome, each.row, faults_of(error))
        added = await self._repository.add_many(entities, atomic=False)
        for row, result in zip(rows, added.results, strict=True):
            if isinstance(result, DuplicateError | ForeignKeyError):
                _refuse(outcome, row, faults_of(result))
            elif isinstance(result, Exception):
                raise result
            else:
                row.verdict = "new"
                outcome.counts["new"] += 1

    def _made(self, values: dict[str, object]) -> object:
        """Return the entity of *values*, which can be stored but for others' rows.

        Raises InvalidValueError.
        """
        model = self._model
        for spec in model.fields:
            if spec.in_constructor and spec.name not in values and _constructor_needs(spec):
                raise InvalidValueError(model.name, spec.name, "is missing")
        made = model.entity(**values)
        check_row(model, model.row(made, version=1, now=self._store.now()))
        return made

    async def _change(self, given: _Given, stored: object, outcome: ImportOutcome) -> None:
        before, model = vars(stored), self._model
        version = None if model.version is None else before[model.version.name]
        if given.version and given.version != str(version):
            name = "" if model.version is None else model.version.name
            said = f"is {version} by now: somebody changed the record since"
            _refuse(outcome, given.row, {name: said})
            return
        changed = {
            name: value
            for name, value in given.values.items()
            if model.by_name[name].role == "plain"
            and _differ(model.by_name[name], before[name], value)
        }
        given.row.changes = tuple(changed)
        if changed:
            try:
                await self._patch(self._key(given.values), changed, version)
            except _REFUSALS as error:
                _refuse(outcome, given.row, faults_of(error))
                return
        given.row.verdict = "changed" if changed else "same"
        outcome.counts[given.row.verdict] += 1

    async def _patch(self, key: object, changed: dict[str, object], version: object) -> None:
        changes = [getattr(self._model.entity, name).to(value) for name, value in changed.items()]
        at = version if isinstance(version, int) else None
        if StoreCapability.SAVEPOINTS not in self._store.capabilities:
            await self._repository.patch(key, *changes, version=at)
            return
        async with self._store.transaction():  # in the transaction: a savepoint
            await self._repository.patch(key, *changes, version=at)


def _refuse(outcome: ImportOutcome, row: ImportedRow, faults: dict[str, str]) -> None:
    row.verdict = "refused"
    outcome.counts["refused"] += 1
    room = MOST_FAULTS - len(outcome.faults)
    found = [ImportFault(row.line, name, said) for name, said in faults.items()]
    outcome.faults.extend(found[:room])


def _constructor_needs(spec: FieldSpec) -> bool:
    """Return whether an entity can't be made without a value for *spec*."""
    declared = spec.declaration
    return declared.default is MISSING and declared.default_factory is None


def _differ(spec: FieldSpec, before: object, after: object) -> bool:
    if spec.type.kind is Kind.JSON:  # in Python True is 1
        return text_value(spec, before) != text_value(spec, after)
    return before != after


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else orjson.dumps(cell).decode()
