"""The commands on records of any entity: records ENTITY list, get, export, import."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import note, print_facts, print_json, print_table
from holdfast.cli.runner import data_folder_for, run_with, settings_of
from holdfast.errors import HoldfastError, InvalidValueError

if TYPE_CHECKING:
    from holdfast.records import Entity, Repository, Store

T = TypeVar("T")

_LIMIT = 50
_BATCH = 1000
_WIDEST = 8  # columns of a table, unless --fields names more

records = typer.Typer(
    name="records",
    help="List, show, export and import the records of an entity.",
    rich_markup_mode=None,
    subcommand_metavar="list|get|export|import ...",
)

Filters = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILTER...]",
        help="FIELD=VALUE, or FIELD__OP=VALUE with ne, lt, lte, gt, gte, in, not_in, is_null, "
        "contains, startswith, endswith, iequals, icontains. All of them must hold.",
        show_default=False,
    ),
]
Sort = Annotated[
    str, typer.Option("--sort", metavar="FIELDS", help="As -created_at,name; a dash: descending.")
]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="FORMAT", help="jsonl, csv or parquet. [default: by the file's name]"
    ),
]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What stood before the command: which entity, and where else entities are."""

    entity: str
    modules: tuple[str, ...]


@records.callback()
def _entity(
    context: typer.Context,
    entity: Annotated[
        str, typer.Argument(metavar="ENTITY", help="The class's name, or the table's.")
    ],
    entities: Annotated[
        list[str] | None,
        typer.Option(
            "--entities",
            metavar="MODULE:NAME",
            help="Entities beside those of the platform; may be given again.",
            show_default=False,
        ),
    ] = None,
) -> None:
    context.meta[__name__] = _Asked(entity, tuple(entities or ()))


@records.command("list")
def list_records(  # noqa: PLR0913, PLR0917 - options of a command
    context: typer.Context,
    filters: Filters = None,
    sort: Sort = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = _LIMIT,
    fields: Annotated[
        str, typer.Option(metavar="FIELDS", help="Which columns, with commas between.")
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List records that fit the filters."""
    from holdfast.records.record_filters import parse_filters, parse_sort
    from holdfast.records.record_values import fields_of_entity, json_value

    async def work(repository: Repository[Entity]) -> None:
        entity = repository.model.entity
        chosen = _chosen(entity, fields)
        where = parse_filters(entity, filters or ())
        found = await repository.find(*where, order_by=parse_sort(entity, sort), limit=limit + 1)
        specs = [spec for spec in fields_of_entity(entity) if spec.name in chosen]
        rows = [
            {spec.name: json_value(spec, vars(each)[spec.name]) for spec in specs}
            for each in found[:limit]
        ]
        if as_json:
            print_json(rows)
            return
        shown = chosen if fields else chosen[:_WIDEST]
        print_table(shown, [[_cell(row[name]) for name in shown] for row in rows], folded=shown[1:])
        if len(found) > limit:
            note(f"the first {limit}; --limit shows more, `export` has them all")
        if len(shown) < len(chosen):
            note(f"not shown: {', '.join(chosen[_WIDEST:])}; --fields names them")

    _run(context, data, work)


@records.command("get")
def get_record(
    context: typer.Context,
    key: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY...", help="The key; of a composite one each field's, in their order."
        ),
    ],
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Show the record under KEY."""
    from holdfast.records.record_values import json_value, parsed_key

    async def work(repository: Repository[Entity]) -> None:
        found = await repository.get_one(parsed_key(repository.model, key))
        facts = {
            each.name: json_value(each, vars(found)[each.name]) for each in repository.model.fields
        }
        if as_json:
            print_json(facts)
        else:
            print_facts({name: _cell(value) for name, value in facts.items()})

    _run(context, data, work)


@records.command("export")
def export(  # noqa: PLR0913, PLR0917 - options of a command
    context: typer.Context,
    filters: Filters = None,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="FILE", help="Where to; - is standard output."),
    ] = "-",
    file_format: FormatName = None,
    sort: Sort = "",
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Write the records that fit the filters to a file, which appears complete or not at all."""
    from holdfast.cli.record_files import format_of, record_writer, written_file
    from holdfast.records.record_filters import parse_filters, parse_sort

    kind = format_of(output, file_format)

    async def work(repository: Repository[Entity]) -> None:
        entity = repository.model.entity
        where, order = parse_filters(entity, filters or ()), parse_sort(entity, sort)
        count = 0
        with written_file(output) as file:
            writer = record_writer(entity, file, kind)
            batch: list[object] = []
            async for each in repository.stream(*where, order_by=order, batch=_BATCH):
                batch.append(each)
                if len(batch) == _BATCH:
                    writer.write(batch)
                    batch.clear()
                count += 1
            writer.write(batch)
            writer.finish()
        note(f"{count} exported")

    _run(context, data, work)


@records.command("import")
def import_records(  # noqa: PLR0913, PLR0917 - options of a command
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file; - is standard input.")],
    upsert: Annotated[
        bool, typer.Option("--upsert", help="Overwrite records whose key is there.")
    ] = False,
    file_format: FormatName = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Store the records of a file: all of them, or none when one can't be stored.

    Versions, times and numbers that the store sets are set again.
    """
    from holdfast.cli.record_files import format_of, read_records
    from holdfast.records.record_values import parsed_entity

    kind = format_of(file, file_format)

    async def work(repository: Repository[Entity]) -> None:
        entity = repository.model.entity
        count = 0
        batch: list[Entity] = []

        async def flush() -> None:
            try:
                if upsert:
                    await repository.upsert_many(batch)
                else:
                    await repository.add_many(batch)
            except HoldfastError as error:
                error.add_note(f"in the records {count - len(batch) + 1} to {count} of {file}")
                raise
            batch.clear()

        async with repository.store.transaction():
            for place, cells in read_records(file, kind):
                try:
                    batch.append(parsed_entity(entity, cells, text=kind == "csv"))
                except InvalidValueError as error:
                    error.add_note(f"at {place}")
                    raise
                count += 1
                if len(batch) == _BATCH:
                    await flush()
            await flush()
        if as_json:
            print_json({"imported": count})
        else:
            note(f"{count} imported")

    _run(context, data, work, only_looks=False)


def _run(
    context: typer.Context,
    data: Path | None,
    work: Callable[[Repository[Entity]], Awaitable[T]],
    *,
    only_looks: bool = True,
) -> T:
    from holdfast.cli.entity_names import entity_called, imported_entities
    from holdfast.platform import platform_entities
    from holdfast.platform.pillars import ready_store

    asked: _Asked = context.meta[__name__]
    settings = settings_of(data)
    more = [each for name in asked.modules for each in imported_entities(name)]
    entities = list(dict.fromkeys([*more, *platform_entities(settings)]))
    entity = entity_called(asked.entity, entities)
    if not settings.store:
        data_folder_for(settings, only_looks=only_looks)

    async def on_store(store: Store) -> T:
        return await work(store.repository(entity))

    return run_with(ready_store(settings, entities), on_store)


def _chosen(entity: type, fields: str) -> list[str]:
    from holdfast.errors import InvalidQueryError
    from holdfast.records.record_values import fields_of_entity

    known = [spec.name for spec in fields_of_entity(entity)]
    if not fields:
        return known
    chosen = [name.strip() for name in fields.split(",") if name.strip()]
    for name in chosen:
        if name not in known:
            raise InvalidQueryError(
                f"--fields: {entity.__name__} has no field {name!r}; fields are: {', '.join(known)}"
            )
    return chosen


def _cell(value: object) -> object:
    import orjson

    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    return str(value).lower() if isinstance(value, bool) else value
