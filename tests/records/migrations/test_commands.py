"""`holdfast migrate`: what it prints, and the codes it ends with."""

import json
import sys
from pathlib import Path

import pytest

from holdfast import Entity, Field, generated_key
from holdfast.cli import main
from holdfast.sync import Migrations, open_store

ENTITIES = """
from holdfast import Entity, Field, field, generated_key

class Task(Entity, table="tasks"):
    id: Field[int] = generated_key()
    title: Field[str] = field(max_length=100)

ALL = [Task]
NOTHING = 3
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the program in a folder of its own; return its code and what it printed."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOLDFAST_STORE", "HOLDFAST_DATA"):
        monkeypatch.delenv(name, raising=False)
    Path("shop.py").write_text(ENTITIES)
    monkeypatch.delitem(sys.modules, "shop", raising=False)

    def ran(*arguments):
        monkeypatch.setattr(sys, "argv", ["holdfast", "migrate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    yield ran
    sys.modules.pop("shop", None)


SHOP = ("--url", "sqlite:///shop.db", "--entities", "shop:ALL")


def test_a_first_migration_from_writing_to_undoing(run):
    code, out, _ = run("create", "-m", "first tables", *SHOP)
    assert code == 0
    assert Path(out.strip()).is_file()
    assert run("check", *SHOP)[0] == 8
    code, out, err = run("upgrade", *SHOP)
    assert (code, "(first tables)" in out) == (0, True)
    assert "the database stands at" in err
    code, out, err = run("upgrade", *SHOP)
    assert (code, out) == (0, "")
    assert "no migration was left to run: `holdfast migrate check` says" in err
    assert run("check", *SHOP)[:2] == (0, "")
    code, out, err = run("create", "-m", "more", *SHOP)
    assert (code, out) == (0, "")
    assert "no file was written" in err
    code, out, _ = run("history", *SHOP)
    assert "here" in out
    code, out, _ = run("history", "--json", *SHOP)
    (revision,) = json.loads(out)
    assert revision["current"] is True
    assert revision["message"] == "first tables"
    assert run("downgrade", "base", *SHOP)[0] == 0
    code, out, _ = run("check", "--json", *SHOP)
    assert code == 8
    assert [each["kind"] for each in json.loads(out)] == ["revision", "missing table"]
    assert run("stamp", *SHOP)[0] == 0
    assert "tasks is missing" in run("check", *SHOP)[1]


def test_what_the_settings_say_is_not_said_again(run):
    settings = """
        store = "sqlite:///shop.db"
        [migrations]
        entities = ["shop:ALL"]
        folder = "steps"
    """
    Path("holdfast.toml").write_text(settings)
    code, out, _ = run("create", "-m", "first tables")
    assert (code, Path(out.strip()).parent) == (0, Path("steps/versions").absolute())
    assert run("upgrade")[0] == 0
    assert run("check")[:2] == (0, "")
    Path("other.py").write_text(ENTITIES.replace("tasks", "others"))
    assert "others is missing" in run("check", "--entities", "other:ALL")[1]  # it alone
    given = ("--url", "sqlite:///new.db", "--folder", "elsewhere")
    _, out, _ = run("create", "-m", "first tables", *given)
    assert Path(out.strip()).parent == Path("elsewhere/versions").absolute()


def test_entities_of_the_settings_that_are_not_there_are_named_by_the_setting(run, monkeypatch):
    monkeypatch.setenv("HOLDFAST_MIGRATIONS_ENTITIES", "shop:SOME")
    code, _, err = run("check", "--url", "sqlite:///shop.db")
    assert code == 2
    assert "the setting migrations.entities, 'shop:SOME': the module" in " ".join(err.split())


def test_one_step_back_is_written_as_minus_one(run):
    for message in ("one", "two", "three"):
        run("create", "-m", message, "--empty", *SHOP)
        run("upgrade", *SHOP)
    code, out, err = run("downgrade", "-1", *SHOP)
    assert (code, "(three)" in out, "(two)" in out) == (0, True, False), err
    code, out, err = run("downgrade", *SHOP, "-2")
    assert (code, "(two)" in out, "(one)" in out) == (0, True, True), err
    assert run("downgrade", "-1", *SHOP)[0] == 2
    run("upgrade", *SHOP)
    assert "(three)" in run("downgrade", *SHOP, "--", "-1")[1]


def test_an_option_that_downgrade_has_not_is_named(run):
    for arguments in (("--folde", "x"), ("base", "--folde", "x"), ("-1", "--folde", "x")):
        code, _, err = run("downgrade", *arguments, "--url", "sqlite:///shop.db")
        assert code == 2
        assert "--folde" in err
    code, _, err = run("downgrade", "-1", "-2", "--url", "sqlite:///shop.db")
    assert (code, "-2" in err) == (2, True)


def test_sql_is_printed_and_nothing_is_done(run):
    run("create", "-m", "first", *SHOP)
    code, out, _ = run("upgrade", "--sql", *SHOP)
    assert code == 0
    assert "CREATE TABLE tasks" in out
    assert run("history", *SHOP)[1].count("here") == 0
    code, out, _ = run("downgrade", "head:base", "--sql", *SHOP)
    assert (code, "DROP TABLE tasks" in out) == (0, True)
    code, _, err = run("downgrade", "base", "--sql", *SHOP)
    assert (code, "expected FROM:TO" in err) == (2, True)


def test_the_platforms_own_entities_and_store_are_the_default(run):
    assert run("create", "-m", "first")[0] == 0
    assert run("upgrade")[0] == 0
    assert run("check")[0] == 0
    assert Path("holdfast-data/holdfast.db").is_file()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop", "expected MODULE:NAME"),
        ("nowhere:ALL", "there is no module 'nowhere'"),
        ("shop:NONE", "has no 'NONE'"),
        ("shop:NOTHING", "expected an entity or a list"),
        ("shop:Task", ""),
    ],
)
def test_entities_that_are_none_are_named(run, name, said):
    code, _, err = run("check", "--url", "sqlite:///shop.db", "--entities", name)
    assert code == (2 if said else 8)
    assert said in err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('boom')", "importing 'broken' raises RuntimeError: boom"),
        ("ALL = (", "importing 'broken' raises SyntaxError: "),
        ("import nowhere_else", "raises ModuleNotFoundError: No module named 'nowhere_else'"),
        ("ALL.nothing", "raises NameError: "),
    ],
)
def test_a_module_that_can_not_be_imported_is_no_bug_of_ours(run, source, said):
    Path("broken.py").write_text(source)
    code, _, err = run("check", "--url", "sqlite:///shop.db", "--entities", "broken:ALL")
    assert (code, "a bug" in err) == (2, False)
    assert "--entities 'broken:ALL': importing 'broken' raises" in err
    assert said in err


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "mysql"])
def test_a_database_that_is_not_there_is_named_and_waits_for_nobody(run, make_database, kind):
    url = f"{make_database(kind).url.rpartition('/')[0]}/nowhere"
    code, _, err = run("check", "--url", url, "--entities", "shop:Task")
    assert code == 2
    assert "has no database 'nowhere'" in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("upgrade", "nowhere"), 2),
        (("upgrade", "--url", "memory://"), 2),
        (("upgrade", "--url", "postgresql://x@127.0.0.1:1/x"), 6),
    ],
)
def test_refusals_have_codes(run, arguments, code):
    given = arguments if "--url" in arguments else (*arguments, "--url", "sqlite:///shop.db")
    ended, _, err = run(*given, "--entities", "shop:ALL")
    assert ended == code
    assert err.startswith("holdfast: ")


def test_a_migration_that_fails_is_a_conflict(run):
    run("create", "-m", "bad", "--empty", *SHOP)
    (path,) = Path("migrations/versions").glob("*.py")
    path.write_text(path.read_text().replace("    pass", "    op.execute('NONSENSE')", 1))
    code, _, err = run("upgrade", *SHOP)
    assert code == 5
    assert "everything was undone" in err


def test_the_python_api_does_the_same(run, tmp_path):
    class Row(Entity, table="tasks"):
        id: Field[int] = generated_key()

    migrations = Migrations("sqlite:///own.db", [Row])
    assert migrations.create("first").parent == Path("migrations/versions").absolute()
    assert migrations.upgrade().before == ()
    assert migrations.check() == ()
    with open_store("sqlite:///own.db", [Row]) as store:
        assert store.repository(Row).count() == 0
