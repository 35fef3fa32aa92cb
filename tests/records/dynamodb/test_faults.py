"""What the service does that emulators can't, injected by a proxy of ours; and what is sent."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from dynamodb_proxy import creating, damage, fail, half, lagging, lose, proxy_before, refuse
from dynamodb_servers import REGION, endpoint_of
from holdfast import (
    Entity,
    Field,
    check,
    deleted_at,
    field,
    generated_key,
    key,
    ref,
    uuid7,
    version,
)
from holdfast.aws.service_clock import ServiceClock
from holdfast.clock import utc_now
from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    SerializationError,
    UnavailableError,
)
from holdfast.sync import open_store


class Camera(Entity, table="cameras"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=100, unique=True)
    frames: Field[int] = field(default=0)
    version: Field[int] = version()


class Frame(Entity, table="frames"):
    id: Field[int] = generated_key()
    camera_id: Field[UUID] = ref(Camera, on_delete="cascade")


class Rack(Entity, table="racks"):
    id: Field[UUID] = key(default_factory=uuid7)
    version: Field[int] = version()
    deleted_at: Field[datetime | None] = deleted_at()


class Disk(Entity, table="disks"):
    id: Field[UUID] = key(default_factory=uuid7)
    rack_id: Field[UUID] = ref(Rack, on_delete="cascade")
    size: Field[int] = field(default=0)
    deleted_at: Field[datetime | None] = deleted_at()


class Counter(Entity, table="counters"):
    name: Field[str] = key(max_length=100)
    total: Field[int] = field(default=0)


class Checked(Entity, table="checked"):
    name: Field[str] = key(max_length=100)
    total: Field[int] = field(default=0)

    @classmethod
    def __constraints__(cls):
        return [check("small", cls.total < 9)]


@pytest.fixture(scope="module")
def proxy():
    with proxy_before(endpoint_of("dynoxide")) as made:
        yield made


@pytest.fixture(scope="module")
def store_at(proxy):
    return f"dynamodb://{REGION}/{uuid4().hex}?endpoint_url={proxy.url}&scan=true"


@pytest.fixture(scope="module")
def opened(store_at):
    with open_store(store_at, [Camera, Frame, Rack, Disk, Counter, Checked]) as store:
        store.create_schema()
        yield store
        store.drop_schema()


@pytest.fixture
def store(opened, proxy):
    yield opened
    assert proxy.faults == [], "a fault was waiting that nothing met"
    proxy.bodies.clear()


def named(store):
    return store.repository(Camera).add(Camera(name=uuid4().hex))


THROTTLED = refuse("ProvisionedThroughputExceededException")
CONFLICT = refuse(
    "TransactionCanceledException",
    CancellationReasons=[{"Code": "TransactionConflict"}, {"Code": "None"}],
)


def sign_in_time(handler, _request):
    """Refuse what was not signed within a quarter of an hour, as AWS does."""
    signed = datetime.strptime(handler.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(signed - utc_now()) < timedelta(minutes=15):
        handler.answer(*handler.unread())
    else:
        refuse("InvalidSignatureException")(handler, _request)


@pytest.mark.parametrize("hours", [-30, 2])
def test_a_clock_that_is_off_follows_the_services(store, proxy, hours):
    service = store.asynchronous.driver.reader.service
    service._clock = ServiceClock(lambda: utc_now() + timedelta(hours=hours))
    before, proxy.always = service.retries, sign_in_time
    try:
        camera = named(store)
        assert service.retries == before + 1, "the first that is refused sets the clock for all"
        assert store.repository(Camera).get(camera.id) == camera
        assert service.retries == before + 1
    finally:
        proxy.always, service._clock = None, ServiceClock()


def test_a_signature_that_is_refused_in_time_is_no_matter_of_clocks(store, proxy):
    proxy.inject("GetItem", refuse("InvalidSignatureException"))
    with pytest.raises(ConfigurationError, match="InvalidSignatureException"):
        store.repository(Camera).get(uuid4())


def test_what_is_throttled_is_asked_again_and_counted(store, proxy):
    camera = named(store)
    before = store.stats().counters["throttled"]
    proxy.inject("GetItem", THROTTLED, times=3)
    assert store.repository(Camera).get(camera.id) == camera
    proxy.inject("PutItem", THROTTLED)
    store.repository(Counter).add(Counter(name=uuid4().hex))
    assert store.stats().counters["throttled"] - before == 4


def test_a_throttle_that_lasts_is_unavailable(proxy):
    url = f"dynamodb://{REGION}/x?endpoint_url={proxy.url}&attempts=2"
    with open_store(url, [Counter]) as store:
        proxy.inject("GetItem", THROTTLED, times=2)
        with pytest.raises(UnavailableError, match="ProvisionedThroughputExceeded"):
            store.repository(Counter).get("a")
        assert store.stats().gauges["limited"] == 1, "reads of this table are spread out now"


def test_a_write_that_meets_another_transaction_is_done_again(store, proxy):
    before = store.stats().counters["clashes"]
    proxy.inject("TransactWriteItems", CONFLICT, times=2)
    camera = named(store)
    assert store.repository(Camera).get(camera.id) == camera
    assert store.stats().counters["clashes"] - before == 2


def increment(store, counter):
    return store.repository(Counter).patch(counter.name, Counter.total.increment(1))


def replace(store, counter):
    return store.repository(Counter).update(Counter(name=counter.name, total=1))


def write_after_reading(store, counter):
    """A check makes it a read and a write on a condition."""
    return store.repository(Checked).patch(counter.name, Checked.total.to(1))


def write_alone_in_a_transaction(store, counter):
    with store.transaction():
        return store.repository(Counter).patch(counter.name, Counter.total.to(1))


def add_one(store, _counter):
    return store.repository(Counter).add(Counter(name=uuid4().hex, total=1))


def delete(store, counter):
    assert store.repository(Counter).delete(counter.name)
    return Counter(name=counter.name, total=1)


@pytest.mark.parametrize(
    ("write", "operation"),
    [
        (add_one, "PutItem"),
        *[(write, "UpdateItem") for write in (increment, replace, write_alone_in_a_transaction)],
        (delete, "DeleteItem"),
    ],
)
def test_a_single_write_that_meets_a_transaction_is_done_again(store, proxy, write, operation):
    counter = store.repository(Counter).add(Counter(name=uuid4().hex))
    proxy.inject(operation, refuse("TransactionConflictException"))
    if write is write_alone_in_a_transaction:
        with pytest.raises(SerializationError):
            write(store, counter)
    else:
        assert write(store, counter).total == 1


def test_a_transaction_that_meets_another_one_says_so_and_wrote_nothing(store, proxy):
    cameras = store.repository(Camera)
    proxy.inject("TransactWriteItems", CONFLICT)
    first, second = Camera(name=uuid4().hex), Camera(name=uuid4().hex)
    with pytest.raises(SerializationError, match=f"Camera {first.id}"):
        with store.transaction():
            cameras.add(first)
            cameras.add(second)
    assert cameras.get_many([first.id, second.id]) == [None, None]


def test_a_damaged_answer_is_asked_for_again(store, proxy):
    camera = named(store)
    proxy.bodies.clear()
    proxy.inject("GetItem", damage)
    assert store.repository(Camera).get(camera.id) == camera
    assert [operation for operation, _ in proxy.bodies] == ["GetItem", "GetItem"]


def test_a_transaction_whose_answer_is_lost_is_written_once(store, proxy):
    proxy.inject("TransactWriteItems", lose)
    camera = named(store)
    assert (camera.version, store.repository(Camera).get(camera.id)) == (1, camera)
    tokens = [body for operation, body in proxy.bodies if operation == "TransactWriteItems"]
    assert len(tokens) == 2
    assert tokens[0] == tokens[1], "asked again by the same token"


WRITES = [increment, replace, write_after_reading, write_alone_in_a_transaction]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fault", [lose, fail], ids=["lost", "failed inside"])
def test_a_write_without_an_answer_is_never_sent_twice_but_looked_for(store, proxy, fault, write):
    """What was done is told as done. What is not there may come still: that is left open."""
    kind = Checked if write is write_after_reading else Counter
    counter = store.repository(kind).add(kind(name=uuid4().hex))
    proxy.bodies.clear()
    proxy.inject("UpdateItem", fault)
    if fault is lose:
        assert write(store, counter).total == 1
    else:
        with pytest.raises(UnavailableError):
            write(store, counter)
    assert [operation for operation, _ in proxy.bodies].count("UpdateItem") == 1
    assert store.repository(kind).get_one(counter.name).total == (1 if fault is lose else 0)


def test_a_row_whose_answer_is_lost_was_added_by_this_call_alone(store, proxy):
    counters, name = store.repository(Counter), uuid4().hex
    proxy.inject("PutItem", lose)
    assert counters.add(Counter(name=name)) == Counter(name=name)
    proxy.inject("PutItem", fail)
    with pytest.raises(UnavailableError):
        counters.add(Counter(name=uuid4().hex))
    with pytest.raises(DuplicateError):
        counters.add(Counter(name=name))


def test_a_lost_answer_is_not_taken_from_a_row_that_others_wrote_since(store, store_at, proxy):
    counters = store.repository(Counter)
    counter = counters.add(Counter(name=uuid4().hex))

    def overtaken(handler, request):
        other.repository(Counter).patch(counter.name, Counter.total.to(7))
        fail(handler, request)

    with open_store(store_at.replace(proxy.url, endpoint_of("dynoxide")), [Counter]) as other:
        proxy.inject("UpdateItem", overtaken)
        with pytest.raises(UnavailableError):
            increment(store, counter)
    assert counters.get_one(counter.name).total == 7


def test_a_deletion_whose_answer_is_lost_is_left_open(store, proxy):
    counters = store.repository(Counter)
    counter = counters.add(Counter(name=uuid4().hex))
    proxy.inject("DeleteItem", lose)
    with pytest.raises(UnavailableError):
        counters.delete(counter.name)
    assert counters.get(counter.name) is None


def test_keys_that_a_batch_left_are_read_too(store, proxy):
    cameras = [named(store) for _ in range(9)]
    proxy.inject("BatchGetItem", half, times=2)
    assert store.repository(Camera).get_many([each.id for each in cameras]) == cameras


def test_a_table_is_used_once_it_is_there(proxy):
    url = f"dynamodb://{REGION}/{uuid4().hex}?endpoint_url={proxy.url}"
    with open_store(url, [Counter]) as store:
        before = proxy.seen["DescribeTable"]
        proxy.inject("DescribeTable", creating, times=3)
        store.create_schema()
        assert proxy.seen["DescribeTable"] - before == 5, "two tables, and three times too early"
        store.drop_schema()


def test_a_cascade_waits_for_an_index_that_lags(store, proxy):
    camera = named(store)
    frames = store.repository(Frame)
    frames.add_many([Frame(camera_id=camera.id) for _ in range(3)])
    proxy.inject("Query", lagging, times=2)
    assert store.repository(Camera).delete(camera.id)
    assert frames.count(Frame.camera_id == camera.id) == 0
    assert frames.count() == 0


def test_marking_as_deleted_waits_for_an_index_that_lags(store, proxy):
    racks, disks = store.repository(Rack), store.repository(Disk)
    rack = racks.add(Rack())
    disk = disks.add(Disk(rack_id=rack.id))
    proxy.inject("Query", lagging, times=1)
    assert racks.delete(rack.id)
    assert disks.get(disk.id) is None
    assert racks.restore(rack.id)
    assert disks.get_one(disk.id).rack_id == rack.id, "it went with its rack"


def test_a_query_that_no_longer_finds_what_was_read_clashes(store, store_at):
    racks, disks = store.repository(Rack), store.repository(Disk)
    rack = racks.add(Rack())
    disk = disks.add(Disk(rack_id=rack.id))
    here = Disk.rack_id == rack.id
    with open_store(store_at, [Rack, Disk]) as other:
        with pytest.raises(SerializationError, match="Disk"), store.transaction():
            assert disks.find(here) == [disk]
            other.repository(Disk).delete(disk.id)
            disks.find(here, Disk.size == 0)


def test_keys_that_are_refused_are_a_matter_of_configuration(store, proxy):
    proxy.inject("GetItem", refuse("AccessDeniedException"))
    with pytest.raises(ConfigurationError, match="AccessDenied"):
        store.repository(Counter).get("a")


def test_what_was_consumed_is_counted(store):
    before = store.stats().counters
    counter = store.repository(Counter).add(Counter(name=uuid4().hex))
    store.repository(Counter).get(counter.name)
    after = store.stats().counters
    assert after["write_units"] - before["write_units"] == 1
    assert after["read_units"] - before["read_units"] == 1


def test_whether_any_is_there_reads_one(store, proxy):
    camera = named(store)
    store.repository(Frame).add_many([Frame(camera_id=camera.id) for _ in range(3)])
    proxy.bodies.clear()
    assert store.repository(Frame).exists(Frame.camera_id == camera.id)
    ((operation, body),) = proxy.bodies
    assert operation == "Query"
    assert json.loads(body)["Limit"] == 1
