"""What goes wrong: halfway, at once, unknown, unadopted, unclear; and drift of each kind."""

import json
import select
import subprocess
import sys
import threading
import time
from subprocess import PIPE

import pytest

from holdfast import Entity, Field, Migrations, field, generated_key, open_store
from holdfast.errors import (
    ConfigurationError,
    LockTimeoutError,
    MigrationError,
    UnavailableError,
    UnsupportedError,
)
from holdfast.records.drivers.sql.migrations.database import database_at
from holdfast.sync import Migrations as Blocking
from records.migrations.library import Note, NoteToo

BOTH = [Note, NoteToo]
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from records.migrations.library import Note, NoteToo
from holdfast.sync import Migrations
print("ready", flush=True)
for line in sys.stdin:
    url, folder = json.loads(line)
    print("going", flush=True)
    try:
        moved = Migrations(url, [Note, NoteToo], folder=folder).upgrade()
    except Exception as error:
        print(json.dumps(repr(error)), flush=True)
    else:
        print(json.dumps(len(moved.steps)), flush=True)
"""


@pytest.fixture(scope="module")
def two_processes():
    """Two programs that upgrade what they are told to; started once, as that is most of it."""
    tests = str(__file__).rpartition("/records/")[0]
    command = [sys.executable, "-c", PROGRAM, tests]
    running = [subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) for _ in range(2)]
    assert [each.stdout.readline() for each in running] == ["ready\n", "ready\n"]
    yield running
    for each in running:
        each.communicate(timeout=120)


@pytest.fixture
async def migrations(database, tmp_path):
    made = Migrations(database.url, BOTH, folder=tmp_path)
    await made.create("notes")
    await made.upgrade()
    return made


async def handwritten(migrations, upgrade):
    path = await migrations.create("by hand", empty=True)
    text = path.read_text()
    path.write_text(text.replace("    pass", upgrade, 1))
    return path


# --- failing --------------------------------------------------------------------------------


async def test_a_migration_that_fails_says_where_the_database_stands(
    database, tmp_path, migrations
):
    (first,) = await migrations.history()
    extra = 'op.create_table("extra{}", sa.Column("x", sa.Integer))'
    good = await handwritten(migrations, f"    {extra.format(1)}")
    # Alembic wants the database at the newest before it writes the next one.
    good_id = good.name.partition("_")[0]
    await migrations.stamp()
    bad = await handwritten(migrations, f"    {extra.format(2)}\n    op.execute('NONSENSE')")
    bad_id = bad.name.partition("_")[0]
    await migrations.stamp(first.id)
    with pytest.raises(MigrationError, match="NONSENSE") as caught:
        await migrations.upgrade()
    error = caught.value
    assert error.revision == f"{bad_id} (by hand)"
    (here,) = [each.id for each in await migrations.history() if each.current]
    assert error.reached == here
    if database.kind in ("mariadb", "mysql"):
        assert error.partial
        assert here == good_id
        assert "still there" in str(error)
        database.execute("SELECT x FROM extra1", "SELECT x FROM extra2")
        return
    assert not error.partial
    assert here == first.id
    assert "everything was undone" in str(error)
    for table in ("extra1", "extra2"):
        with pytest.raises(Exception, match=table):
            database.execute(f"SELECT x FROM {table}")


async def test_a_bug_in_a_file_stays_what_it_is_and_says_where_it_was(migrations):
    path = await handwritten(migrations, "    undefined_name()")
    with pytest.raises(NameError) as caught:
        await migrations.upgrade()
    (note,) = caught.value.__notes__
    assert path.name.partition("_")[0] in note


async def test_a_file_that_is_no_python_is_named(migrations):
    path = await handwritten(migrations, "    def (")
    with pytest.raises(ConfigurationError, match=rf"{path.name}, line \d+, is no Python"):
        await migrations.upgrade()


async def test_a_file_that_follows_one_that_is_not_there_is_named(migrations):
    path = await handwritten(migrations, "    pass")
    text = path.read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("down_revision")]
    for broken in (
        text.replace(line, "down_revision = 'lost'"),
        text.replace("depends_on = None", "depends_on = ('lost',)"),
    ):
        path.write_text(broken)
        for call in (migrations.upgrade(), migrations.check(), migrations.create("more")):
            with pytest.raises(ConfigurationError, match=rf"{path.name}: its \w+ is 'lost'"):
                await call


async def test_a_file_twice_is_named(migrations):
    path = await handwritten(migrations, "    pass")
    path.with_name("copy.py").write_text(path.read_text())
    with pytest.raises(ConfigurationError, match=r"\.py: another file is '\w+' as well"):
        await migrations.upgrade()


async def test_files_that_follow_each_other_in_a_ring_are_named(migrations):
    (first,) = await migrations.history()
    path = await handwritten(migrations, "    pass")
    own = path.name.partition("_")[0]
    text = first.path.read_text()
    first.path.write_text(text.replace("down_revision = None", f"down_revision = {own!r}"))
    with pytest.raises(ConfigurationError, match=own):
        await migrations.upgrade()


async def test_a_file_without_its_functions_is_named(migrations):
    path = await handwritten(migrations, "    pass")
    await migrations.upgrade()
    text = path.read_text()
    path.write_text(text.replace("def downgrade", "def undo"))
    assert await migrations.check() == ()
    with pytest.raises(ConfigurationError, match=rf"{path.name} has no function downgrade\(\)"):
        await migrations.downgrade("-1")
    path.write_text(text.replace("def upgrade", "def redo"))
    with pytest.raises(ConfigurationError, match=rf"{path.name} has no function upgrade\(\)"):
        await migrations.upgrade()


async def test_references_that_a_migration_breaks_undo_it(make_database, tmp_path):
    database = make_database("sqlite")
    migrations = Migrations(database.url, BOTH, folder=tmp_path)
    await migrations.create("notes")
    await migrations.upgrade()
    async with open_store(database.url, BOTH) as store:
        note = await store.repository(Note).add(Note(title="kept"))
        await store.repository(NoteToo).add(NoteToo(note_id=note.id))
    await handwritten(migrations, "    op.execute('DELETE FROM notes')")
    with pytest.raises(MigrationError, match="rows of notes_too would point at no row of notes"):
        await migrations.upgrade()
    assert database.execute("SELECT count(*) FROM notes") == [(1,)]


async def test_a_required_column_without_a_default_refuses_rows(database, tmp_path):
    migrations = Migrations(database.url, [Note], folder=tmp_path)
    await migrations.create("notes")
    await migrations.upgrade()

    class Grown(Entity, table="notes"):
        id: Field[int] = generated_key()
        title: Field[str] = field(max_length=50, unique=True)
        text: Field[str | None] = field(default=None)
        size: Field[int] = field(default=0)
        author: Field[str]

    async with open_store(database.url, [Note]) as store:
        await store.repository(Note).add(Note(title="there"))
    grown = Migrations(database.url, [Grown], folder=tmp_path)
    path = await grown.create("authors")
    with pytest.raises(MigrationError, match="notes has rows, and its new column author"):
        await grown.upgrade()
    text = path.read_text()
    by_hand = text.replace("    operations.refuse_rows('notes', 'author')\n", "").replace(
        "nullable=False))",
        "nullable=True))\n    op.execute(\"UPDATE notes SET author = 'somebody'\")\n"
        "    with op.batch_alter_table('notes') as batch_op:\n"
        "        batch_op.alter_column('author', nullable=False,"
        " existing_type=operations.column_type('str'))",
        1,
    )
    path.write_text(by_hand)
    await grown.upgrade()
    assert await grown.check() == ()
    async with open_store(database.url, [Grown]) as store:
        assert [each.author for each in await store.repository(Grown).find()] == ["somebody"]


HELD = """\
    import pathlib
    import time

    here = pathlib.Path(__file__).parent
    (here / "inside").touch()
    end = time.monotonic() + 120
    while not (here / "go").exists() and time.monotonic() < end:
        time.sleep(0.01)
    op.create_table("more", sa.Column("x", sa.Integer))
"""
CONNECTIONS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE()",
}


def until(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


# --- at once --------------------------------------------------------------------------------


async def test_of_two_processes_one_waits_and_none_fails(database, tmp_path, two_processes):
    migrations = Migrations(database.url, BOTH, folder=tmp_path)
    await migrations.create("all")
    await migrations.stamp()
    await handwritten(migrations, HELD)
    await migrations.stamp("base")
    first, second = two_processes
    versions = tmp_path / "versions"

    def start(process):
        process.stdin.write(f"{json.dumps([database.url, str(tmp_path)])}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "going\n"

    start(first)
    until((versions / "inside").exists)
    start(second)
    if database.kind in CONNECTIONS:
        # The first has two, this test one: a fourth is the second's.
        until(lambda: database.execute(CONNECTIONS[database.kind])[0][0] >= 4)
    answered, _, _ = select.select([second.stdout], [], [], 0.5)
    assert not answered, second.stdout.readline()
    (versions / "go").touch()
    assert [json.loads(each.stdout.readline()) for each in two_processes] == [2, 0]
    assert await migrations.check() == ()


async def test_waiting_for_another_migration_has_an_end(database, tmp_path, migrations):
    inside, done = threading.Event(), threading.Event()

    def hold():
        other = database_at(database.url)
        with other.alone(5), other.engine(writing=True).connect() as connection:
            with connection.begin():
                inside.set()
                done.wait(120)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert inside.wait(120)
        impatient = f"{database.url}?lock_timeout=0.1"
        with pytest.raises(LockTimeoutError):
            await Migrations(impatient, BOTH, folder=tmp_path, wait=0.2).upgrade()
    finally:
        done.set()
        holder.join()
    await migrations.upgrade()


# --- unknown and unadopted ------------------------------------------------------------------


async def test_a_database_made_by_create_schema_is_adopted_by_a_stamp(database, tmp_path):
    async with open_store(database.url, BOTH) as store:
        await store.create_schema()
        await store.repository(Note).add(Note(title="kept"))
    migrations = Migrations(database.url, BOTH, folder=tmp_path)
    await migrations.create("notes")
    with pytest.raises(ConfigurationError, match=r"notes, notes_too but no revision.*stamp"):
        await migrations.upgrade()
    moved = await migrations.stamp()
    assert moved.before == ()
    assert (await migrations.upgrade()).steps == ()
    assert await migrations.check() == ()
    async with open_store(database.url, BOTH) as store:
        assert await store.repository(Note).count() == 1


async def test_create_wants_the_database_at_the_newest(database, tmp_path, migrations):
    await handwritten(migrations, "    pass")
    with pytest.raises(ConfigurationError, match="`holdfast migrate upgrade` first"):
        await migrations.create("next")


async def test_unknown_revisions_are_named(database, tmp_path, migrations):
    with pytest.raises(ConfigurationError, match="nowhere"):
        await migrations.upgrade("nowhere")
    with pytest.raises(ConfigurationError, match="nowhere"):
        await migrations.downgrade("nowhere")
    other = Migrations(database.url, BOTH, folder=tmp_path / "other")
    (first,) = await migrations.history()
    for call in (other.upgrade(), other.history(), other.create("more")):
        with pytest.raises(ConfigurationError, match=f"{first.id}, of which .* has no file"):
            await call
    assert [each.kind for each in await other.check()] == ["revision"]


async def test_two_heads_are_named(migrations):
    path = await handwritten(migrations, "    pass")
    identity = path.name.partition("_")[0]
    (twin := path.with_name("twin.py")).write_text(path.read_text().replace(identity, "abcd1234"))
    with pytest.raises(ConfigurationError, match="abcd1234"):
        await migrations.create("third")
    with pytest.raises(ConfigurationError, match="head"):
        await migrations.upgrade()
    twin.unlink()


@pytest.mark.parametrize("url", ["memory://", "dynamodb://eu-central-1/x?scan=true"])
def test_what_keeps_no_columns_has_no_migrations(tmp_path, url):
    with pytest.raises(UnsupportedError, match=url.partition(":")[0]):
        Blocking(url, BOTH, folder=tmp_path)


def test_a_missing_extra_is_named(tmp_path):
    code = (
        "import sys; sys.modules['alembic'] = None\n"
        "from holdfast import Entity, Field, key\n"
        "from holdfast.errors import ConfigurationError\n"
        "from holdfast.sync import Migrations\n"
        "class One(Entity, table='ones'):\n    id: Field[int] = key()\n"
        "try:\n    Migrations('sqlite:///x.db', [One])\n"
        "except ConfigurationError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "needs alembic: pip install 'holdfast[migrations]'" in done.stdout


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/x", "mariadb://x@127.0.0.1:1/x"])
async def test_a_server_that_is_not_there_is_unavailable(url, tmp_path):
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        await Migrations(url, BOTH, folder=tmp_path).upgrade()


# --- drift ----------------------------------------------------------------------------------

DRIFTS = {
    "missing column": ["ALTER TABLE notes DROP COLUMN text"],
    "extra column": ["ALTER TABLE notes ADD COLUMN other INTEGER"],
    "missing table": ["DROP TABLE notes_too"],
    "index": ["DROP INDEX ix_notes_too_size{on}"],
    "type": {
        "postgresql": ["ALTER TABLE notes ALTER COLUMN size TYPE integer"],
        "mariadb": ["ALTER TABLE notes MODIFY size INTEGER NOT NULL"],
    },
    "nullability": {
        "postgresql": ["ALTER TABLE notes ALTER COLUMN size DROP NOT NULL"],
        "mariadb": ["ALTER TABLE notes MODIFY size BIGINT NULL"],
    },
    "constraint": {
        "postgresql": ["ALTER TABLE notes DROP CONSTRAINT uq_notes_title"],
        "mariadb": ["ALTER TABLE notes_too DROP FOREIGN KEY fk_notes_too_note_id"],
    },
}
# SQLite can't alter a column: what it lacks is told by its own table's text.
DRIFTS["type"]["sqlite"] = DRIFTS["nullability"]["sqlite"] = DRIFTS["constraint"]["sqlite"] = None
REWRITTEN = {
    "type": ("size INTEGER NOT NULL", "size TEXT NOT NULL"),
    "nullability": ("size INTEGER NOT NULL", "size INTEGER"),
    "constraint": (", \n\tCONSTRAINT uq_notes_title UNIQUE (title)", ""),
}


@pytest.mark.parametrize("kind", DRIFTS)
async def test_check_finds_a_planted_drift(database, migrations, kind):
    assert await migrations.check() == ()
    drift = DRIFTS[kind]
    statements = drift[database.kind] if isinstance(drift, dict) else drift
    if statements is None:
        ((sql,),) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'notes'")
        old, new = REWRITTEN[kind]
        rewritten = sql.replace(old, new)
        assert rewritten != sql
        database.execute("DROP TABLE notes_too", "DROP TABLE notes", rewritten)
        found = [each for each in await migrations.check() if each.table == "notes"]
    else:
        on = " ON notes_too" if database.kind == "mariadb" else ""
        database.execute(*(each.format(on=on) for each in statements))
        found = list(await migrations.check())
    assert {each.kind for each in found} <= {kind, "index"}
    assert kind in {each.kind for each in found}
    assert all(str(each) for each in found)


async def test_of_a_table_that_is_missing_nothing_else_is_said(database, migrations):
    database.execute("DROP TABLE notes_too")
    assert [str(each) for each in await migrations.check()] == ["the table notes_too is missing"]


async def test_of_a_table_that_no_entity_has_nothing_else_is_said(database, tmp_path, migrations):
    fewer = Migrations(database.url, [Note], folder=tmp_path)
    (found,) = await fewer.check()
    assert (found.kind, found.table) == ("extra table", "notes_too")


# --- what files say -------------------------------------------------------------------------


async def test_a_pair_that_may_be_a_rename_is_pointed_out(database, tmp_path, migrations):
    class Renamed(Entity, table="notes"):
        id: Field[int] = generated_key()
        heading: Field[str] = field(max_length=50, unique=True, default="")
        text: Field[str | None] = field(default=None)
        size: Field[int] = field(default=0)

    path = await Migrations(database.url, [Renamed], folder=tmp_path).create("rename")
    text = path.read_text()
    assert "# notes loses title and gets heading. Was one of them renamed?" in text
    assert text.index("Was one of them renamed?") < text.index("drop_column('title')")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
async def test_the_sql_text_makes_what_the_upgrade_makes(make_database, tmp_path, kind):
    database = make_database(kind)
    migrations = Migrations(database.url, BOTH, folder=tmp_path)
    await migrations.create("notes")
    text = await migrations.sql()
    assert "holdfast_version" in text
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    statements = [each.strip() for each in "\n".join(lines).split(";")]
    wanted = [each for each in statements if each and each not in ("BEGIN", "COMMIT")]
    database.execute(*wanted)
    assert await migrations.check() == ()
    back = await migrations.sql("head", "base")
    assert "DROP TABLE notes" in back


async def test_sql_text_that_needs_the_tables_is_refused(make_database, tmp_path):
    class Fewer(Entity, table="notes"):
        id: Field[int] = generated_key()
        title: Field[str] = field(max_length=50, unique=True)

    database = make_database("sqlite")
    migrations = Migrations(database.url, [Note], folder=tmp_path)
    await migrations.create("notes")
    await migrations.upgrade()
    fewer = Migrations(database.url, [Fewer], folder=tmp_path)
    await fewer.create("fewer")
    with pytest.raises(UnsupportedError, match="copies a table"):
        await fewer.sql()


@pytest.mark.parametrize("message", ['say """ \\N \\', "ünï 'x'"])
async def test_any_message_stands_in_its_file(migrations, message):
    await migrations.create(message, empty=True)
    newest, _ = await migrations.history()
    assert newest.message == message


@pytest.mark.parametrize("message", ["", "  ", "two\nlines"])
async def test_a_message_is_a_line_of_words(migrations, message):
    with pytest.raises(ConfigurationError, match="expected a line of words"):
        await migrations.create(message, empty=True)


async def test_an_upgrade_from_an_empty_folder_is_refused(database, tmp_path):
    with pytest.raises(ConfigurationError, match="there are no migrations in"):
        await Migrations(database.url, BOTH, folder=tmp_path / "typo").upgrade()


async def test_a_defaulted_column_that_goes_comes_back_with_its_default(database, tmp_path):
    class Fewer(Entity, table="notes"):
        id: Field[int] = generated_key()
        title: Field[str] = field(max_length=50, unique=True)
        text: Field[str | None] = field(default=None)

    fewer = Migrations(database.url, [Fewer], folder=tmp_path)
    await fewer.create("fewer")
    await fewer.upgrade()
    full = Migrations(database.url, [Note], folder=tmp_path)
    await full.create("size")
    await full.upgrade()
    async with open_store(database.url, [Note]) as store:
        await store.repository(Note).add(Note(title="seven", size=7))
    await fewer.create("fewer again")
    await fewer.upgrade()
    await full.downgrade("-1")
    async with open_store(database.url, [Note]) as store:
        assert [each.size for each in await store.repository(Note).find()] == [0]
