"""By which way rows are found: keys, unique values, indexes, and scans that were asked for."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from dynamodb_servers import store_url
from holdfast import Entity, Field, One, field, key, one, ref, uuid7, version
from holdfast.errors import (
    ConfigurationError,
    InvalidValueError,
    SerializationError,
    UnsupportedError,
)
from holdfast.records.options import DynamoDBOptions
from holdfast.sync import open_store

START = datetime(2026, 1, 1, tzinfo=UTC)


class Project(Entity, table="projects"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=100, unique=True)
    version: Field[int] = version()


class Video(Entity, table="videos", indexes=[("project_id", "created"), ("camera", "rating")]):
    id: Field[UUID] = key(default_factory=uuid7)
    project_id: Field[UUID] = ref(Project)
    project: One[Project] = one(via="project_id")
    created: Field[datetime] = field(default=START)
    camera: Field[str | None] = field(default=None, max_length=5000)
    rating: Field[int | None] = field(default=None)
    title: Field[str] = field(default="")


class Named(Entity, table="named"):
    id: Field[str] = key(max_length=5000)


class Line(Entity, table="lines"):
    number: Field[int] = key()
    text: Field[str] = field(default="")


class Stores:
    """Two openings of the same tables: one that may scan, one that may not."""

    def __init__(self, prefix, free, strict, form):
        self.prefix, self.free, self.strict = prefix, free, strict
        self.videos = strict.repository(Video)
        self.by_created = "project_id-created" + (".composed" if form == "composed" else "")


@pytest.fixture(scope="module", params=["native", "composed"])
def stores(request):
    prefix, form = uuid4().hex, request.param
    strict_url = store_url("dynoxide", prefix, scan=False, indexes=form)
    with (
        open_store(
            store_url("dynoxide", prefix, indexes=form), [Project, Video, Named, Line]
        ) as free,
        open_store(strict_url, [Project, Video]) as strict,
    ):
        free.create_schema()
        yield Stores(prefix, free, strict, form)
        free.drop_schema()


@pytest.fixture(scope="module")
def project(stores):
    made = stores.strict.repository(Project).add(Project(name="north"))
    for number in range(12):
        stores.videos.add(
            Video(
                project_id=made.id,
                created=START + timedelta(hours=number // 3),
                camera=[None, "", "a"][number % 3],
                rating=None if number % 4 == 0 else number % 4 - 2,
                title=f"t{number}",
            )
        )
    return made


def requests(store):
    return store.stats().counters["requests"]


def test_a_scan_is_refused_unless_it_was_asked_for(stores, project):
    with pytest.raises(UnsupportedError, match=r"indexes=\[\('title',\)\]"):
        stores.videos.find(Video.title == "t1")
    with pytest.raises(UnsupportedError, match="scans that nobody asked for"):
        stores.videos.count()
    with pytest.raises(UnsupportedError, match="scans"):
        stores.videos.explain(Video.title == "t1")
    with pytest.raises(UnsupportedError, match="scans"):
        stores.videos.find(Video.project.has(Project.name == "north"), Video.camera == "a")
    assert [each.title for each in stores.free.repository(Video).find(Video.title == "t1")] == [
        "t1"
    ]


def test_each_way_is_told(stores, project):
    videos, projects = stores.videos, stores.strict.repository(Project)
    by_key = videos.explain(Video.id == uuid7())
    assert (by_key.access, by_key.consistent, by_key.most_units) == ("key", True, 100.0)
    by_name = projects.explain(Project.name == "north")
    assert (by_name.access, by_name.key_condition) == ("unique", "Project.name")
    plan = videos.explain(
        Video.project_id == project.id,
        Video.created >= START,
        Video.title.startswith("t"),
        Video.title.endswith("1"),
        order_by=Video.created.desc(),
    )
    assert (plan.access, plan.index, plan.sorted_by) == ("index", stores.by_created, "store")
    assert "Video.created >= " in plan.key_condition
    assert "'t'" in plan.server_filter
    assert "'1'" in plan.client_filter
    assert not plan.consistent
    assert videos.explain(Video.project_id == project.id, order_by=Video.title.asc()).sorted_by == (
        "client"
    )
    free = stores.free.repository(Video)
    scanned = free.explain(Video.project.has(Project.name == "north"))
    assert (scanned.access, scanned.related) == (
        "scan",
        (scanned.table.replace("videos", "projects"),),
    )
    assert scanned.client_filter
    both = (free.explain(), stores.free.repository(Project).explain())
    assert min(each.most_units for each in both) > 0
    assert scanned.most_units == sum(each.most_units for each in both)
    assert str(plan).startswith(f"index {stores.by_created} of ")


def test_pages_along_an_index_cost_a_request_each(stores, project):
    videos = stores.videos
    where = Video.project_id == project.id
    expected = videos.find(where, order_by=Video.created.asc())
    seen, cursor, before = [], None, requests(stores.strict)
    for _ in range(4):
        page = videos.page(where, order_by=Video.created.asc(), size=3, cursor=cursor)
        seen += page.items
        cursor = page.next
    assert cursor is None
    assert seen == expected
    assert requests(stores.strict) - before == 4
    back = videos.page(where, order_by=Video.created.asc(), size=3, cursor=page.previous)
    assert back.items == expected[6:9]


@pytest.mark.parametrize("camera", [None, "", "a"])
def test_an_index_has_nulls_and_empty_texts_in_their_order(stores, project, camera):
    free = stores.free.repository(Video)
    where = Video.camera.is_null() if camera is None else Video.camera == camera
    everything = [each for each in free.find() if each.camera == camera]
    for order, plain in (
        (Video.rating.asc(), lambda each: (each.rating is None, each.rating or 0, each.id)),
        (
            Video.rating.asc().nulls_first(),
            lambda each: (each.rating is not None, each.rating or 0, each.id),
        ),
    ):
        found = stores.videos.find(where, order_by=order)
        assert found == sorted(everything, key=plain)
    for bound in (Video.rating > -1, Video.rating <= 0, ~(Video.rating < 0)):
        expected = {each.id for each in free.find(bound) if each.camera == camera}
        assert {each.id for each in stores.videos.find(where, bound)} == expected
    assert stores.videos.explain(where, order_by=Video.rating.asc()).sorted_by == "store"


def test_relations_load_by_key_and_index(stores, project):
    (found,) = stores.strict.repository(Project).find(Project.id == project.id)
    videos = stores.videos.find(Video.project_id == found.id, load=[Video.project], limit=2)
    assert {each.project.name for each in videos} == {"north"}


def test_an_index_that_is_new_is_filled():
    class Numbered(Entity, table="numbered"):
        id: Field[int] = key()
        place: Field[int] = field(default=0)

    class Placed(Entity, table="numbered", indexes=[("place",)]):
        id: Field[int] = key()
        place: Field[int] = field(default=0)

    url = store_url("dynoxide", uuid4().hex, scan=False)
    with open_store(url, [Numbered]) as store:
        store.create_schema()
        store.repository(Numbered).add_many([Numbered(id=n, place=n % 3) for n in range(9)])
    with open_store(url, [Placed]) as store:
        store.create_schema()
        assert [each.id for each in store.repository(Placed).find(Placed.place == 1)] == [1, 4, 7]
        store.drop_schema()


def test_a_transaction_notices_that_what_it_read_was_changed(stores):
    """Each reads both and writes one: only one of them may."""
    projects = stores.strict.repository(Project)
    first, second = (projects.add(Project(name=uuid4().hex)) for _ in range(2))

    def swap(mine, theirs):
        with stores.strict.transaction():
            assert projects.get_one(theirs.id).version == 1
            yield
            projects.patch(mine.id, Project.name.to(uuid4().hex))
            yield

    one, other = swap(first, second), stores.free.repository(Project)
    next(one)
    other.patch(second.id, Project.name.to(uuid4().hex))
    next(one)
    with pytest.raises(SerializationError, match=str(second.id)):
        list(one)
    assert projects.get_one(first.id) == first


@pytest.mark.parametrize("there", [False, True], ids=["made", "there already"])
@pytest.mark.parametrize("server", ["dynoxide", "moto"])
def test_options_reach_the_tables(server, there, clients):
    url, client = store_url(server, prefix := uuid4().hex), clients(server)
    with open_store(url, [Project]) as store:
        if there:
            store.create_schema()
    recovery = server == "moto"  # the other one has no such operation
    options = DynamoDBOptions(
        point_in_time_recovery=recovery, deletion_protection=True, tags=(("team", "video"),)
    )
    with open_store(url, [Project], options=options) as store:
        store.create_schema()
        for name in (f"{prefix}.projects", f"{prefix}.holdfast_guards"):
            table = client.describe_table(TableName=name)["Table"]
            assert table["DeletionProtectionEnabled"] is True
            tags = client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
            assert tags == [{"Key": "team", "Value": "video"}]
            if recovery:
                said = client.describe_continuous_backups(TableName=name)
                said = said["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
                assert said["PointInTimeRecoveryStatus"] == "ENABLED"
            client.update_table(TableName=name, DeletionProtectionEnabled=False)
        store.drop_schema()


def test_what_is_no_table_or_no_url_is_refused():
    class Odd(Entity, table="a b"):
        id: Field[int] = key()

    with pytest.raises(ConfigurationError, match="not the name of a table"):
        open_store(store_url("dynoxide", "x"), [Odd]).__enter__()
    for url, why in (
        ("dynamodb://eu_1/x", "region"),
        ("dynamodb://eu/a%20b", "begin the names"),
        ("dynamodb://eu/x?tags=a", "DynamoDBOptions"),
        ("dynamodb://eu/x?attempts=0", "attempts"),
        ("dynamodb://key:secret@eu/x", "DynamoDBOptions"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            open_store(url, [Project])


@pytest.fixture(scope="module")
def lines(stores):
    """Forty lines of 4 KiB each: what a scan of them costs is plain to see."""
    made = [Line(number=number, text="x" * 4000) for number in range(40)]
    return stores.free.repository(Line).add_many(made).entities


@pytest.mark.parametrize(("segments", "requests"), [(1, 5), (3, 15)])
def test_a_stream_along_a_scan_reads_each_item_once(stores, lines, segments, requests):
    prefix, options = stores.prefix, DynamoDBOptions(scan=True, scan_segments=segments)
    with open_store(store_url("dynoxide", prefix), [Line], options=options) as store:
        before = store.stats().counters
        seen = [line.number for line in store.repository(Line).stream(batch=10)]
        after = store.stats().counters
    assert sorted(seen) == [line.number for line in lines]
    assert after["read_units"] - before["read_units"] == pytest.approx(40, rel=0.1)
    assert after["requests"] - before["requests"] <= requests


def test_a_stream_with_conditions_goes_on_behind_what_did_not_fit(stores, lines):
    found = stores.free.repository(Line).stream(Line.number >= 35, Line.text.endswith("x"), batch=2)
    assert sorted(line.number for line in found) == [35, 36, 37, 38, 39]


def test_a_stream_that_is_sorted_here_reads_once(stores, lines):
    before = stores.free.stats().counters
    stream = stores.free.repository(Line).stream(order_by=Line.number.desc(), batch=3)
    assert [line.number for line in stream] == list(range(39, -1, -1))
    after = stores.free.stats().counters
    assert after["read_units"] - before["read_units"] == pytest.approx(40, rel=0.1)


def test_a_stream_along_an_index_takes_a_request_for_each_batch(stores, project):
    where, order = Video.project_id == project.id, Video.created.desc()
    expected = stores.videos.find(where, order_by=order)
    before = requests(stores.strict)
    assert list(stores.videos.stream(where, order_by=order, batch=5)) == expected
    assert requests(stores.strict) - before == 3
    with pytest.raises(UnsupportedError, match="scans that nobody asked for"):
        list(stores.videos.stream())


def test_values_that_no_row_can_have_find_none(stores, project):
    free, long = stores.free, "x" * 3000
    assert free.repository(Named).find(Named.id.in_([long, "a"])) == []
    assert free.repository(Named).get(long) is None
    assert free.repository(Video).find(Video.camera == long) == []
    assert free.repository(Video).count(Video.camera.in_([long, "a"])) == 4
    for entity in (Named(id=long), Video(project_id=project.id, camera=long)):
        with pytest.raises(InvalidValueError, match="at most"):
            free.repository(type(entity)).add(entity)
