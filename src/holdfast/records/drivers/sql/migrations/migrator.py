"""Alembic's work on one database and one folder of files. Every call blocks."""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import produce_migrations
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError, rev_id
from sqlalchemy.exc import DBAPIError

from holdfast.errors import ConfigurationError, HoldfastError, MigrationError, UnsupportedError
from holdfast.records.drivers.sql.migrations.changes import differences_of
from holdfast.records.drivers.sql.migrations.column_history import column_history, of_entities
from holdfast.records.drivers.sql.migrations.constraint_changes import (
    add_constraint_changes,
    constraint_sources,
    constraints_found,
    is_ours,
)
from holdfast.records.drivers.sql.migrations.database import database_at, reached, refusal
from holdfast.records.drivers.sql.migrations.key_changes import add_key_changes
from holdfast.records.drivers.sql.migrations.renderer import ScriptRenderer
from holdfast.records.drivers.sql.migrations.script_folder import ScriptFolder
from holdfast.records.drivers.sql.migrations.sequence_changes import (
    add_lost_defaults,
    add_sequence_changes,
    sequence_history,
)
from holdfast.records.drivers.sql.migrations.sqlite_database import DanglingError
from holdfast.records.drivers.sql.migrations.structure import adopt, unseen_expressions
from holdfast.records.drivers.sql.migrations.table_places import as_written
from holdfast.records.drivers.sql.migrations.target import Target
from holdfast.records.drivers.sql.statements.schema_inspection import (
    VERSION_TABLE,
    found_tables,
    inspection_query,
)
from holdfast.records.drivers.sql.statements.tables import WORD_INDEX, build_tables
from holdfast.records.entities.table_names import in_schema
from holdfast.records.migration_types import MigrationResult, Revision
from holdfast.records.schema_diff import Difference

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import sqlalchemy as sa
    from alembic.operations import ops
    from alembic.runtime.migration import MigrationInfo, MigrationStep
    from alembic.script import ScriptDirectory

    from holdfast.records.drivers.sql.migrations.database import Database
    from holdfast.records.entities.model import Model

    Steps = Sequence[MigrationStep]

# Alembic's `op` is one for the whole process: what a migration's file does, it does through that.
_ONE_AT_A_TIME = threading.RLock()
_TEMPLATES = Path(__file__).parent


class Migrator:
    """Moves the database at *url* along the files in *folder*; see `Migrations`."""

    def __init__(
        self, url: str, models: Sequence[Model[object]], folder: Path, *, wait: float
    ) -> None:
        self._database = database_at(url)
        self._models = models
        self._folder = folder
        self._wait = wait

    # --- looking ----------------------------------------------------------------------------

    def history(self) -> tuple[Revision, ...]:
        """See `Migrations`."""
        with self._reading() as (script, context):
            heads = set(context.get_current_heads())
            self._check_known(script, heads)
            applied = {each.revision for head in heads for each in _line(script, head)}
            return tuple(
                Revision(
                    id=each.revision,
                    message=each.doc or "",
                    follows=tuple(_names(each.down_revision)),
                    applied=each.revision in applied,
                    current=each.revision in heads,
                    path=Path(each.path),
                )
                for each in script.walk_revisions()
            )

    def check(self) -> tuple[Difference, ...]:
        """See `Migrations`."""
        with self._reading() as (script, context):
            there, newest = set(context.get_current_heads()), set(script.get_heads())
            found: list[Difference] = []
            if there != newest:
                words = [", ".join(sorted(each)) or "no revision" for each in (newest, there)]
                found.append(Difference("revision", VERSION_TABLE, "", *words))
            _, changes = self._changes(script, context, unadopted=True)
            return (*found, *differences_of(changes.ops, self._database.dialect))

    # --- writing files ----------------------------------------------------------------------

    def create(self, message: str, *, empty: bool) -> Path | None:
        """See `Migrations`."""
        words = _checked(message)
        with self._reading() as (script, context):
            newest = set(script.get_heads())
            there = set(context.get_current_heads())
            self._check_known(script, there)
            if len(newest) > 1:
                raise ConfigurationError(
                    f"the files in {self._folder} end in {len(newest)} heads: "
                    f"{', '.join(sorted(newest))}; make one follow the other by its down_revision"
                )
            if there != newest and not empty:
                raise ConfigurationError(
                    f"the database stands at {', '.join(there) or 'no revision'} and the newest is "
                    f"{', '.join(newest) or 'none'}: `holdfast migrate upgrade` first, so that "
                    "the new file holds what is new alone"
                )
            bodies = ("", "")
            if not empty:
                writing, changes = self._changes(script, context)
                if changes.is_empty():
                    return None
                back = changes.reverse()
                bodies = (writing.body(changes.ops), writing.body(back.ops))
            self._versions.mkdir(parents=True, exist_ok=True)
            made = script.generate_revision(
                rev_id(), words, upgrades=bodies[0], downgrades=bodies[1], imports=""
            )
            assert made is not None
            return Path(made.path)

    def _changes(
        self, script: ScriptDirectory, context: MigrationContext, *, unadopted: bool = False
    ) -> tuple[ScriptRenderer, ops.UpgradeOps]:
        """Return what would bring the database to the entities' structure.

        The tables of a database that knows no revision, as `create_schema` leaves it, are looked at
        only where *unadopted* says so: the first file is to make them.
        """
        connection = context.connection
        assert connection is not None
        target = Target(self._models, self._database.dialect)
        there, newest = set(context.get_current_heads()), set(script.get_heads())
        declared = column_history(script)
        # Tables of others are left alone; those that a file made of an entity and none has, go.
        looked_at = there or newest or unadopted
        ours = {*target.tables, *of_entities(declared)} if looked_at else set[str]()
        query = inspection_query(self._database.dialect.name, target.tables.values())
        found = found_tables(connection.exec_driver_sql(query).all())
        schemas = target.schemas(ours)
        said = declared if there == newest else {}

        def include(name: str | None, kind: str, parents: Any) -> bool:
            if kind == "schema":
                return name is None or name in schemas
            if kind == "index" and name is not None and name.startswith(f"{WORD_INDEX}_"):
                return False
            if kind == "table":
                return in_schema(parents["schema_name"], str(name)) in ours
            return not is_ours(name)

        opts = {
            "target_metadata": target.metadata,
            "compare_type": target.compare(found, said),
            "compare_server_default": target.compare_default(found, said),
            "include_name": include,
            "include_schemas": bool(schemas),
            "version_table": VERSION_TABLE,
            "render_as_batch": True,
        }
        comparing = MigrationContext.configure(connection=connection, opts=opts)
        with unseen_expressions():
            changes = produce_migrations(comparing, target.metadata).upgrade_ops
        assert changes is not None
        as_written(changes, comparing.dialect.default_schema_name)
        writing = ScriptRenderer(target, declared, comparing)
        writing.describe(changes)
        tables = ours or set(target.tables)
        there_already = constraints_found(connection, self._database.dialect.name, tables)
        dialect, made = self._database.dialect, sequence_history(script)
        add_sequence_changes(changes, self._models, connection, dialect, made)
        add_lost_defaults(changes, target, said)
        add_key_changes(changes, target, found)
        add_constraint_changes(changes, self._models, there_already, constraint_sources(script))
        return writing, changes

    # --- moving -----------------------------------------------------------------------------

    def upgrade(self, revision: str) -> MigrationResult:
        """See `Migrations`."""

        def plan(script: ScriptDirectory, heads: Any, connection: sa.Connection) -> Steps:
            if not script.get_heads():
                raise ConfigurationError(f"there are no migrations in {self._versions}")
            if not heads:
                self._refuse_unadopted(connection)
            return script._upgrade_revs(revision, heads)  # noqa: SLF001 - as Alembic's commands do

        return self._move(plan)

    def downgrade(self, revision: str) -> MigrationResult:
        """See `Migrations`."""
        return self._move(lambda script, heads, _: script._downgrade_revs(revision, heads))  # noqa: SLF001

    def stamp(self, revision: str) -> MigrationResult:
        """See `Migrations`."""
        return self._move(lambda script, heads, _: script._stamp_revs(revision, heads))  # noqa: SLF001

    def sql(self, start: str, end: str) -> str:
        """See `Migrations`."""
        with self._prepared() as script:
            up = end != "base" and (
                start == "base" or end not in {each.revision for each in _line(script, start)}
            )
            text = io.StringIO()
            revs = script._upgrade_revs if up else script._downgrade_revs  # noqa: SLF001
            environment = EnvironmentContext(
                Config(),
                script,
                fn=lambda rev, _context: revs(end, rev),
                as_sql=True,
                starting_rev=start,
            )
            with environment:
                environment.configure(
                    dialect_name=self._database.dialect.name,
                    dialect_opts={"paramstyle": "named"},
                    output_buffer=text,
                    literal_binds=True,
                    version_table=VERSION_TABLE,
                    transactional_ddl=self._database.undoes_structure,
                )
                adopt(environment.get_context())
                environment.get_context().dialect.default_schema_name = self._database.home
                text.write("".join(f"{each};\n\n" for each in self._database.entering()))
                try:
                    with environment.begin_transaction():
                        environment.run_migrations()
                except CommandError as error:
                    if "--sql mode" not in str(error):
                        raise
                    raise UnsupportedError(
                        "the SQL text of a change that copies a table, which needs the table",
                        self._database.dialect.name,
                    ) from error
            return text.getvalue()

    def _move(
        self, plan: Callable[[ScriptDirectory, Any, sa.Connection], Steps]
    ) -> MigrationResult:
        """Do the steps of *plan*, whole where the database can undo them, and in turn."""
        database = self._database
        with self._prepared() as script, reached(database), database.alone(self._wait):
            course = _Course(database)
            environment = EnvironmentContext(Config(), script, fn=course.walk)
            with environment, database.engine(writing=True).connect() as connection:
                environment.configure(
                    connection=connection,
                    version_table=VERSION_TABLE,
                    transactional_ddl=database.undoes_structure,
                    on_version_apply=course.passed,
                )
                context = environment.get_context()
                adopt(context)
                with course.told(), unseen_expressions(), environment.begin_transaction():
                    heads = tuple(context.get_current_heads())
                    self._check_known(script, heads)
                    course.plan(heads, plan(script, heads, connection))
                    look = database.before(connection)
                    environment.run_migrations()
                    look()
                return course.moved()

    def _refuse_unadopted(self, connection: sa.Connection) -> None:
        dialect = self._database.dialect
        tables = build_tables(self._models, dialect)
        query = inspection_query(dialect.name, tables.values())
        found = sorted(found_tables(connection.exec_driver_sql(query).all()).keys() & {*tables})
        if found:
            raise ConfigurationError(
                f"the database has {', '.join(found)} but no revision, as create_schema() leaves "
                "it: `holdfast migrate stamp REVISION` says at which revision it stands"
            )

    # --- around -----------------------------------------------------------------------------

    @property
    def _versions(self) -> Path:
        return self._folder / "versions"

    def _check_known(self, script: ScriptDirectory, heads: object) -> None:
        known = {each.revision for each in script.walk_revisions()}
        unknown = set(_names(heads)) - known
        if unknown:
            raise ConfigurationError(
                f"the database stands at {', '.join(sorted(unknown))}, of which {self._folder} "
                "has no file: it is another program's folder, or an older one than the database"
            )

    @contextmanager
    def _prepared(self) -> Iterator[ScriptDirectory]:
        with _ONE_AT_A_TIME:
            try:
                yield ScriptFolder(
                    _TEMPLATES, version_locations=[self._versions], messaging_opts={"quiet": True}
                )
            except CommandError as error:
                raise ConfigurationError(f"{self._folder}: {error}") from error
            except SyntaxError as error:
                raise ConfigurationError(
                    f"{error.filename}, line {error.lineno}, is no Python: {error.msg}"
                ) from error

    @contextmanager
    def _reading(self) -> Iterator[tuple[ScriptDirectory, MigrationContext]]:
        with self._prepared() as script, reached(self._database):
            with self._database.engine(writing=False).connect() as connection:
                opts = {"version_table": VERSION_TABLE}
                yield script, MigrationContext.configure(connection=connection, opts=opts)


def _checked(message: str) -> str:
    """Return *message* as it stands in a file's docstring. Raises ConfigurationError."""
    if not message.strip() or not message.isprintable():
        raise ConfigurationError(f"message {message!r}: expected a line of words")
    return message.replace("\\", "\\\\").replace('"', '\\"')


class _Course:
    """How far the migrations under way are, and what to say when one fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._steps: Steps = ()
        self._before: tuple[str, ...] = ()
        self._after: tuple[str, ...] = ()
        self._under_way = ""

    def plan(self, heads: tuple[str, ...], steps: Steps) -> None:
        self._before = self._after = heads
        self._steps = list(steps)

    def walk(self, _heads: object, _context: MigrationContext) -> Iterator[MigrationStep]:
        for step in self._steps:
            self._under_way = _named(step)
            yield step

    def passed(
        self,
        ctx: MigrationContext,  # noqa: ARG002 - Alembic gives them by name
        step: MigrationInfo,  # noqa: ARG002
        heads: Collection[Any],
        run_args: Mapping[str, Any],  # noqa: ARG002
    ) -> None:
        self._after = tuple(sorted(heads))

    def moved(self) -> MigrationResult:
        return MigrationResult(self._before, self._after, tuple(map(_named, self._steps)))

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise MigrationError for what the database refuses of a migration."""
        undone = self._database.undoes_structure
        try:
            yield
        except (DBAPIError, DanglingError, HoldfastError) as error:
            known = isinstance(error, DBAPIError) and self._database.meaning(_origin(error))
            if not self._under_way or (known and undone):
                raise
            reached = ", ".join(self._before if undone else self._after) or None
            raise MigrationError(
                self._under_way, refusal(error), reached=reached, partial=not undone
            ) from error
        except Exception as error:
            if self._under_way:
                stands = ", ".join(self._before if undone else self._after) or "no revision"
                left = "" if undone else ", with a part of that migration done"
                error.add_note(f"in {self._under_way}; the database stands at {stands}{left}")
            raise


def _origin(error: DBAPIError) -> Any:
    return error.orig


def _line(script: ScriptDirectory, head: str) -> Iterator[Any]:
    """Yield the revision *head* and all that it follows."""
    return iter(script.iterate_revisions(head, "base"))


def _names(revisions: Any) -> tuple[str, ...]:
    if revisions is None:
        return ()
    return (revisions,) if isinstance(revisions, str) else tuple(revisions)


def _named(step: Any) -> str:
    revision = step.info.up_revision
    return "stamp" if revision is None else f"{revision.revision} ({revision.doc})"
