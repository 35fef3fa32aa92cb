"""What is MySQL's own: its name and age, passwords that it asks for, and rows it reads back."""

import asyncio
import tempfile
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import text

from holdfast import (
    Entity,
    Field,
    created_at,
    everything,
    field,
    generated_key,
    key,
    open_store,
    ref,
    uuid7,
    version,
)
from holdfast.errors import ConfigurationError, DuplicateError, ForeignKeyError
from holdfast.integrations.sqlalchemy import execute as execute_in
from holdfast.records.drivers.sql.connections.mysql_connection import MARIADB, MYSQL
from holdfast.records.drivers.sql.statements.case_folding import every_character
from holdfast.records.migrations.sync import Migrations
from holdfast.records.values.text import fold_case
from records.sql import hostile_server
from records.sql.hostile_server import HostileServer
from records.sql.notes import ENTITIES, Counter, reach
from servers import execute

ELSEWHERE = "0.0.0.0"  # this machine all the same, but by no name of its own
PASSWORD = "p@ss/wörd☃"


@pytest.fixture(params=["awaited", "blocking"])
def how(request):
    return request.param


# --- which server it is ---------------------------------------------------------------------


@pytest.mark.parametrize(("here", "other"), [("mysql", "MariaDB"), ("mariadb", "MySQL")])
async def test_the_other_server_is_refused_with_the_url_to_write(request, how, here, other):
    there = request.getfixturevalue(f"{other.lower()}_url")
    url = f"{here}://{there.partition('://')[2]}"
    said = f"the server is {other} .*: write {other.lower()}:// instead of {here}:// in the URL"
    with pytest.raises(ConfigurationError, match=said):
        await reach(url, how)
    with pytest.raises(ConfigurationError, match=said):
        Migrations(url, ENTITIES, folder=Path("nowhere")).check()


@pytest.mark.parametrize(
    ("product", "greeted", "fits"),
    [
        (MYSQL, "9.7.4-2", True), (MYSQL, "8.0.19", True), (MYSQL, "8.4.0-azure", True),
        (MYSQL, "8.0.18", False), (MYSQL, "8.0.11-TiDB-v7.5.0", False), (MYSQL, "5.7.44", False),
        (MYSQL, "8.0", False), (MYSQL, "", False),
        (MARIADB, "5.5.5-10.11.6-MariaDB-1", True), (MARIADB, "11.4.2-MariaDB", True),
        (MARIADB, "5.5.5-10.9.8-MariaDB", False),
    ],
)  # fmt: skip
def test_a_server_that_is_too_old_is_refused_by_its_version(product, greeted, fits):
    if fits:
        product.check(greeted)
    else:
        with pytest.raises(ConfigurationError, match=f"expected {product.name} .* or newer"):
            product.check(greeted)


# --- passwords ------------------------------------------------------------------------------


@pytest.fixture
def guarded(mysql_url):
    """The URL of a user whom the server has not met, so that it asks for the password itself."""
    user = f"guarded_{uuid4().hex[:16]}"
    execute(mysql_url, f"CREATE USER {user} IDENTIFIED BY '{PASSWORD}'")
    execute(mysql_url, f"GRANT ALL ON *.* TO {user}")
    yield mysql_url.replace("root@", f"{user}:{quote(PASSWORD, safe='')}@")
    execute(mysql_url, f"DROP USER {user}")


@pytest.fixture
def public_key(mysql_url, tmp_path):
    """The file with the server's RSA key."""
    query = "SHOW STATUS LIKE 'Caching_sha2_password_rsa_public_key'"
    ((_, pem),) = execute(mysql_url, query)
    path = tmp_path / "public_key.pem"
    path.write_text(pem)
    return path


@pytest.fixture
def other_key(tmp_path):
    """The file with a key that the server can't decrypt by."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    path = tmp_path / "other.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def elsewhere(url, options=""):
    return url.replace("127.0.0.1", ELSEWHERE) + f"?sslmode=disable{options}"


@pytest.mark.parametrize("options", ["", "?sslmode=require"])
async def test_a_user_is_let_in_on_this_machine_and_over_tls(guarded, how, options):
    assert await reach(guarded + options, how) == 0
    with pytest.raises(ConfigurationError, match="the password given") as caught:
        await reach(guarded.replace(quote(PASSWORD, safe=""), "other") + options, how)
    assert "other" not in str(caught.value)


async def test_off_the_machine_a_password_goes_in_clear_to_no_key_but_a_known_one(
    guarded, how, public_key, other_key, tmp_path
):
    with pytest.raises(ConfigurationError, match=r"was not sent.*server_public_key=FILE"):
        await reach(elsewhere(guarded), how)
    with pytest.raises(ConfigurationError, match="server_public_key=FILE"):
        Migrations(elsewhere(guarded), ENTITIES, folder=tmp_path / "none").check()
    with pytest.raises(ConfigurationError, match="the password given"):
        await reach(elsewhere(guarded, f"&server_public_key={other_key}"), how)
    assert await reach(elsewhere(guarded, f"&server_public_key={public_key}"), how) == 0
    assert await reach(elsewhere(guarded), how) == 0, "it is remembered, and proves itself"
    with pytest.raises(ConfigurationError, match="server_public_key='/no/file' can't be used"):
        await reach(elsewhere(guarded, "&server_public_key=/no/file"), how)


async def test_who_answers_in_its_place_gets_no_password(how, public_key):
    speak = hostile_server.mysql(public_key.read_bytes())
    with HostileServer(speak) as server:
        url = f"mysql://somebody:hunter2@{ELSEWHERE}:{server.port}/data?sslmode=disable"
        with pytest.raises(ConfigurationError, match="was not sent"):
            await reach(url, how)
    assert server.heard.endswith(b"\x01\x00\x00\x05\x02"), "after the key nothing was said"


async def test_a_socket_in_the_file_system_needs_no_key(mysql_url, guarded, how):
    ((folder, name),) = execute(mysql_url, "SELECT @@datadir, @@socket")
    place = Path(folder) / name
    if not place.exists():
        pytest.skip("the server is not of this machine")
    with tempfile.TemporaryDirectory(prefix="holdfast-", dir="/tmp") as short:
        link = Path(short) / "s"
        link.symlink_to(place)
        login, _, database = guarded.rpartition("/")
        assert await reach(f"{login.rpartition('@')[0]}@/{database}?host={link}", how) == 0


# --- what it reads back ---------------------------------------------------------------------


class Part(Entity, table="parts_of_mysql", uniques=[("shelf", "number")], indexes=[("stock",)]):
    id: Field[UUID] = key(default_factory=uuid7)
    shelf: Field[str] = field(max_length=20)
    number: Field[int]
    stock: Field[int] = field(default=0)
    version: Field[int] = version()


class Slip(Entity, table="slips_of_mysql"):
    id: Field[int] = generated_key()
    text: Field[str] = field(default="")


@pytest.fixture
async def store(mysql_url):
    async with open_store(mysql_url, [Part, Slip]) as opened:
        await opened.create_schema()
        yield opened
        await opened.drop_schema()


BY_PLACE = [Part.shelf, Part.number]


def parts(numbers, stock=0):
    return [Part(shelf="s", number=number, stock=stock) for number in numbers]


async def test_a_batch_of_old_and_new_rows_is_told_apart(store):
    repository = store.repository(Part)
    old = await repository.upsert_many(parts(range(0, 10, 2)), on=BY_PLACE)
    assert [each.created for each in old] == [True] * 5
    both = await repository.upsert_many(parts(range(9, -1, -1), stock=7), on=BY_PLACE)
    assert [each.created for each in both] == [True, False] * 5
    kept = {each.entity.number: each.entity.id for each in old}
    for each in both:
        entity = each.entity
        assert entity.version == (1 if each.created else 2)
        assert each.created or entity.id == kept[entity.number]
    assert {each.stock for each in await repository.find()} == {7}


async def test_rows_named_twice_are_overwritten_in_their_turn(store):
    twice = parts([1, 2]) + parts([1], stock=5)
    found = await store.repository(Part).upsert_many(twice, on=BY_PLACE)
    assert [(each.created, each.entity.version) for each in found] == [
        (True, 1),
        (True, 1),
        (False, 2),
    ]


async def test_of_many_batches_at_once_each_row_is_created_by_one(store):
    repository = store.repository(Part)
    batches = [parts(range(30), stock=each) for each in range(8)]
    found = await asyncio.gather(*(repository.upsert_many(each, on=BY_PLACE) for each in batches))
    assert sum(each.created for batch in found for each in batch) == 30
    assert {each.version for each in await repository.find()} == {8}


async def test_numbers_that_are_given_in_steps_are_known(store):
    """As a cluster of servers gives them, each its own."""
    slips = store.repository(Slip)
    async with store.transaction() as tx:
        await execute_in(tx, text("SET auto_increment_increment = 5, auto_increment_offset = 3"))
        many = await slips.add_many([Slip(text=f"{each}") for each in range(4)])
        one = await slips.add(Slip(text="4"))
        ids = [each.id for each in (*many.results, one)]
        assert ids == list(range(ids[0], ids[0] + 25, 5))
        assert [each.text for each in await slips.get_many(ids)] == ["0", "1", "2", "3", "4"]
        await execute_in(tx, text("SET auto_increment_increment = 1, auto_increment_offset = 1"))


class Shelf(Entity, table="shelves_of_mysql"):
    id: Field[int] = key()
    code: Field[str] = field(max_length=20, unique=True)
    above: Field[int | None] = ref("Shelf", default=None)


async def test_a_taken_value_is_told_before_a_dangling_reference(mysql_url):
    """As everywhere; MySQL itself looks at references first."""
    async with open_store(mysql_url, [Shelf]) as store:
        await store.create_schema()
        shelves = store.repository(Shelf)
        await shelves.add_many([Shelf(id=1, code="a"), Shelf(id=2, code="b")])
        wrong = Shelf(id=3, code="a", above=9)
        for write in (
            lambda: shelves.add(wrong),
            lambda: shelves.add_many([Shelf(id=4, code="d"), wrong]),
            lambda: shelves.upsert(wrong),
            lambda: shelves.update(Shelf(id=2, code="a", above=9)),
            lambda: shelves.patch(2, Shelf.code.to("a"), Shelf.above.to(9)),
        ):
            with pytest.raises(DuplicateError) as caught:
                await write()
            assert caught.value.fields == ("code",)
        with pytest.raises(ForeignKeyError):
            await shelves.patch(2, Shelf.code.to("c"), Shelf.above.to(9))
        await store.drop_schema()


@pytest.mark.parametrize("server", ["mariadb", "mysql"])
async def test_a_row_that_the_snapshot_does_not_see_is_read_back_all_the_same(request, server):
    """It is written with the values that it has: that changes nothing, and shows it to nobody."""
    url = request.getfixturevalue(f"{server}_url")
    async with open_store(url, [Counter]) as one, open_store(url, [Counter]) as other:
        await one.create_schema()
        counters = one.repository(Counter)
        async with one.transaction(isolation="repeatable read"):
            assert await counters.count() == 0
            await asyncio.create_task(other.repository(Counter).add(Counter(id=1)))
            assert (await counters.patch(1, Counter.total.to(0))).id == 1
            found = await counters.upsert(Counter(id=1))
            assert (found.created, found.entity.total) == (False, 0)
        await one.drop_schema()


async def test_every_letter_is_folded_as_everywhere_whatever_lower_makes_of_it(mysql_url):
    """MySQL's LOWER overlooks 129 capitals, and cuts off what grows."""

    class Letter(Entity, table="letters_of_mysql"):
        id: Field[int] = key()
        text: Field[str]

    characters = every_character()
    parts = [characters[at : at + 1000] for at in range(0, len(characters), 1000)]
    texts = [f"{part}\ufdd0" for part in parts] + ["ȺȺȺ", "aİb", "ᲐA", "plain A"]
    async with open_store(mysql_url, [Letter]) as store:
        await store.create_schema()
        letters = store.repository(Letter)
        await letters.add_many([Letter(id=at, text=text) for at, text in enumerate(texts)])
        for at, written in enumerate(texts):
            same = Letter.text.iequals(fold_case(written))
            assert await letters.count((Letter.id == at) & same) == 1, written[:20]
        await store.drop_schema()


class Lamp(Entity, table="lamps_of_mysql", indexes=[("lit",)]):
    """With a field of each type that has a column type of its own."""

    id: Field[int] = generated_key()
    lit: Field[bool] = field(default=False)
    watts: Field[Decimal] = field(default=Decimal("1.5"), digits=(6, 2))
    bright: Field[float] = field(default=0.5)
    name: Field[str | None] = field(default=None)
    raw: Field[bytes] = field(default=b"")
    bought: Field[datetime] = created_at()
    day: Field[date] = field(default=date(2024, 2, 29))
    at: Field[time] = field(default=time(12))
    left: Field[timedelta] = field(default=timedelta(1))
    document: Field[dict[str, object]] = field(default_factory=dict)


async def test_nothing_that_is_said_to_it_makes_mysql_warn(mysql_url, caplog):
    """asyncmy asks for each warning, which costs a round trip, and logs it."""
    async with open_store(mysql_url, [Lamp, Part]) as store:
        await store.create_schema()
        await store.create_schema()
        lamps = store.repository(Lamp)
        lamp = await lamps.add(Lamp(name="a"))
        await lamps.add_many([Lamp(), Lamp()])
        await lamps.upsert(lamp)
        await lamps.patch(lamp.id, Lamp.watts.increment(Decimal(1)), Lamp.document.to({"a": [1]}))
        await store.repository(Part).upsert_many(parts(range(3)), on=BY_PLACE)
        await lamps.find(Lamp.name.icontains("É"), order_by=Lamp.name.desc(), limit=3, offset=1)
        async with store.transaction():
            await lamps.find(Lamp.document["a"][0] > 0, Lamp.id.in_([1, 2]), lock="update")
        await lamps.aggregate(Lamp.watts.avg(), Lamp.left.sum(), by=Lamp.lit)
        async with store.transaction(read_only=True):
            await lamps.count()
        await lamps.delete_where(everything())
        await store.drop_schema()
        await store.drop_schema()
    assert [each.getMessage() for each in caplog.records if each.name == "asyncmy"] == []


# --- its structure --------------------------------------------------------------------------


async def test_an_index_that_is_missing_is_made(store, mysql_url):
    query = (
        "SELECT count(*) FROM information_schema.statistics WHERE table_schema = DATABASE() "
        "AND table_name = 'parts_of_mysql' AND index_name = 'ix_parts_of_mysql_stock'"
    )
    columns = ((2,),)  # the field, and the key
    assert execute(mysql_url, query) == columns
    execute(mysql_url, "DROP INDEX ix_parts_of_mysql_stock ON parts_of_mysql")
    await store.create_schema()
    assert execute(mysql_url, query) == columns


async def test_what_fails_to_be_made_leaves_the_session_as_it_was(mysql_url):
    class Target(Entity, table="targets_of_mysql"):
        id: Field[int] = generated_key()

    class Pointer(Entity, table="pointers_of_mysql"):
        id: Field[int] = generated_key()
        target_id: Field[int] = ref(Target)

    execute(mysql_url, "CREATE TABLE targets_of_mysql (id VARCHAR(9) PRIMARY KEY)")
    options = "pool_size=1&max_overflow=0"
    async with open_store(f"{mysql_url}?{options}", [Target, Pointer], verify="off") as store:
        with pytest.raises(Exception, match="incompatible"):
            await store.create_schema()
        async with store.transaction() as tx:
            state = await execute_in(tx, text("SELECT @@foreign_key_checks, @@sql_notes"))
            assert state.all() == [(1, 1)]
    execute(mysql_url, "DROP TABLE targets_of_mysql")


async def test_a_document_deeper_than_mysql_keeps_is_refused(mysql_url):
    class Nested(Entity, table="nested_of_mysql"):
        id: Field[int] = generated_key()
        document: Field[list[object]]

    def nested(levels):
        found = []
        for _ in range(levels - 1):
            found = [found]
        return found

    async with open_store(mysql_url, [Nested]) as store:
        await store.create_schema()
        repository = store.repository(Nested)
        deepest = await repository.add(Nested(document=nested(100)))
        assert await repository.find(Nested.document == deepest.document) == [deepest]
        assert await repository.find(Nested.document.in_([deepest.document, [1]])) == [deepest]
        await store.drop_schema()
