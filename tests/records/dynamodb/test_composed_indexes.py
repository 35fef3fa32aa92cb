"""Indexes that sort by one composed attribute, for services without indexes of several."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamodb_proxy import proxy_before
from dynamodb_servers import REGION, endpoint_of, store_url
from holdfast import Entity, Field, created_at, field, key, uuid7, version
from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.records.drivers.dynamodb.table_index import indexes_of
from holdfast.records.entities.model import model_of
from holdfast.sync import open_store

START = datetime(2026, 1, 1, tzinfo=UTC)


class Shot(Entity, table="shots", indexes=[("camera", "label", "rating", "taken")]):
    id: Field[UUID] = key(default_factory=uuid7)
    camera: Field[str] = field(default="c", max_length=100)
    label: Field[str | None] = field(default=None, max_length=2000)
    rating: Field[Decimal] = field(default=Decimal(0), digits=(6, 2))
    taken: Field[datetime] = field(default=START)
    note: Field[str] = field(default="")
    made: Field[datetime] = created_at()
    version: Field[int] = version()


class Recent(Entity, table="recents", indexes=[("camera", "made", "place")]):
    id: Field[int] = key()
    camera: Field[str] = field(default="c", max_length=100)
    made: Field[datetime] = created_at()
    place: Field[int] = field(default=0)
    version: Field[int] = version()


ENTITIES = [Shot, Recent]
LABELS = [
    None,
    "",
    " ",
    "!",
    "a",
    "a ",
    "a!",
    "a b",
    "a~",
    "a\x01",
    "ab",
    "~",
    "=",
    "\U0001f3a5",
    "\uffff",
]
RATINGS = [Decimal("-1.50"), Decimal(0), Decimal("0.01"), Decimal(20)]
(INDEX,) = indexes_of(model_of(Shot), "composed")
TEXT = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
VALUES = st.tuples(
    st.none() | st.text(TEXT, max_size=4) | st.text(' !"a~=', max_size=4),
    st.decimals(-9999, 9999, places=2),
    st.integers(0, 3).map(lambda days: START + timedelta(days=days)),
    st.just(UUID(int=7)),
)  # fmt: skip


def placed(values):
    """Return what sorts as *values* do by the rules, nulls last."""
    return [(value is None, "" if value is None else value) for value in values]


@given(VALUES, VALUES)
@settings(max_examples=300)
def test_composed_texts_compare_as_their_values_do(one, other):
    first, second = (INDEX.key_of(("c", *values))[INDEX.composed]["S"] for values in (one, other))
    assert (first == second) == (one == other)
    assert (first.encode() < second.encode()) == (placed(one) < placed(other))


@pytest.fixture(scope="module", params=["dynoxide", "moto"])
def server(request):
    return request.param


@pytest.fixture(scope="module")
def store(server):
    url = store_url(server, uuid4().hex, scan=False, indexes="composed")
    with open_store(url, ENTITIES) as opened:
        opened.create_schema()
        yield opened
        opened.drop_schema()


@pytest.fixture(scope="module")
def shots(store):
    repository = store.repository(Shot)
    made = itertools.product(LABELS, RATINGS, [START, START + timedelta(hours=1)])
    return repository.add_many(
        [Shot(label=label, rating=rating, taken=taken) for label, rating, taken in made],
        atomic=False,
    ).entities


def of(
    shots,
    fits=lambda _: True,
    *,
    by=lambda each: placed((each.label, each.rating, each.taken, each.id)),
    **same,
):
    return sorted(
        (
            each
            for each in shots
            if fits(each) and all(getattr(each, n) == v for n, v in same.items())
        ),
        key=by,
    )


@pytest.mark.parametrize("label", LABELS)
def test_a_value_finds_its_own_rows_in_their_order(store, shots, label):
    repository = store.repository(Shot)
    said = Shot.label.is_null() if label is None else Shot.label == label
    where = [Shot.camera == "c", said]
    order = [Shot.rating.asc(), Shot.taken.asc()]
    assert repository.find(*where, order_by=order) == of(shots, label=label)
    assert repository.explain(*where, order_by=order).sorted_by == "store"
    back = [Shot.rating.desc(), Shot.taken.desc()]
    assert repository.find(*where, order_by=back) == of(shots, label=label)[::-1]
    for bound, fits in (
        (Shot.rating > Decimal(0), lambda each: each.rating > 0),
        (Shot.rating >= Decimal(0), lambda each: each.rating >= 0),
        (Shot.rating < Decimal(0), lambda each: each.rating < 0),
        (Shot.rating <= Decimal(0), lambda each: each.rating <= 0),
    ):
        assert repository.find(*where, bound, order_by=order) == of(shots, fits, label=label)
        assert repository.explain(*where, bound).client_filter == ""


@pytest.mark.parametrize("label", [each for each in LABELS if each is not None])
def test_bounds_of_text_are_exact(store, shots, label):
    repository, order = store.repository(Shot), Shot.label.asc()
    for bound, fits in (
        (Shot.label < label, lambda each: each.label < label),
        (Shot.label <= label, lambda each: each.label <= label),
        (Shot.label > label, lambda each: each.label > label),
        (Shot.label >= label, lambda each: each.label >= label),
    ):
        found = repository.find(Shot.camera == "c", bound, order_by=order)
        expected = of(shots, lambda each: each.label is not None and fits(each))  # noqa: B023
        assert {each.id for each in found} == {each.id for each in expected}
        assert [each.label for each in found] == [each.label for each in expected]


def test_pages_go_along_it_both_ways(store, shots):
    repository = store.repository(Shot)
    asked = {"order_by": [Shot.label.asc(), Shot.rating.asc(), Shot.taken.asc()], "size": 17}
    before, pages, cursor = store.stats().counters["requests"], [], None
    while not pages or cursor is not None:
        pages.append(repository.page(Shot.camera == "c", **asked, cursor=cursor))
        cursor = pages[-1].next
    assert store.stats().counters["requests"] - before == len(pages)
    assert [each for page in pages for each in page] == of(shots)
    back = repository.page(Shot.camera == "c", **asked, cursor=pages[2].previous)
    assert back.items == pages[1].items


def test_every_write_keeps_it(store):
    repository = store.repository(Shot)
    shot = repository.add(Shot(camera="w", label="a"))

    def found(label, rating):
        where = (Shot.camera == "w", Shot.label == label, Shot.rating == rating)
        assert [each.id for each in repository.find(*where)] == [shot.id]
        assert repository.explain(*where).client_filter == ""

    found("a", Decimal(0))
    repository.patch(shot.id, Shot.label.to("b"))
    found("b", Decimal(0))
    repository.patch(shot.id, Shot.rating.increment(Decimal("1.25")))
    found("b", Decimal("1.25"))
    repository.patch(shot.id, Shot.note.to("x"))
    shot = repository.get_one(shot.id)
    shot.label = "c d"
    shot = repository.update(shot)
    found("c d", Decimal("1.25"))
    repository.upsert(Shot(id=shot.id, camera="w", label="e!", rating=Decimal(2)))
    found("e!", Decimal(2))
    repository.update_where(Shot.camera == "w", changes=[Shot.label.to("f")])
    found("f", Decimal(2))
    with store.transaction():
        repository.patch(shot.id, Shot.label.to("g"))
    found("g", Decimal(2))


def test_a_time_of_creation_in_it_stays_as_it_was(store):
    """`update` does not write that field, so the composed text is made of the stored row."""
    repository = store.repository(Recent)
    recent = repository.add(Recent(id=1))
    made = recent.made
    recent.place = 5
    recent.__dict__["made"] = START  # what a caller says of it does not count
    assert repository.update(recent).made == made
    where = (Recent.camera == "c", Recent.made == made, Recent.place == 5)
    assert [each.id for each in repository.find(*where)] == [1]
    assert repository.explain(*where).client_filter == ""


def test_what_is_too_long_together_is_refused_or_finds_none(store):
    repository = store.repository(Shot)
    with pytest.raises(InvalidValueError, match="an index goes by them together"):
        repository.add(Shot(label="x" * 1000))
    assert repository.find(Shot.camera == "c", Shot.label == "x" * 1000) == []
    kept = repository.add(Shot(camera="long", label="x" * 900))
    assert repository.find(Shot.camera == "long", Shot.label == "x" * 900) == [kept]


def test_a_store_changes_from_one_form_to_the_other(server):
    prefix = uuid4().hex
    native = store_url(server, prefix, scan=False)
    composed = store_url(server, prefix, scan=False, indexes="composed")
    where, label = Shot.camera == "c", "a b"
    with open_store(native, ENTITIES) as store:
        store.create_schema()
        store.repository(Shot).add_many([Shot(label=label, rating=Decimal(n)) for n in range(5)])
        first = store.repository(Shot).explain(where).index
    with open_store(composed, ENTITIES) as store:
        store.create_schema()
        shots = store.repository(Shot)
        found = shots.find(where, Shot.label == label, order_by=Shot.rating.desc())
        assert [each.rating for each in found] == [4, 3, 2, 1, 0]
        assert shots.explain(where).index == f"{first}.composed"
        shots.add(Shot(label=label, rating=Decimal(5)))
    with open_store(native, ENTITIES) as store:
        store.create_schema()
        found = store.repository(Shot).find(where, Shot.label == label, Shot.rating >= Decimal(4))
        assert {each.rating for each in found} == {4, 5}
        store.drop_schema()


def test_a_service_without_indexes_of_several_attributes_is_told_what_to_do(server):
    """Older services take two attributes at the most for the keys of a table or an index."""

    def older(handler, request):
        made = request.get("GlobalSecondaryIndexes", []) + [
            each["Create"] for each in request.get("GlobalSecondaryIndexUpdates", [])
        ]
        if any(len(each["KeySchema"]) > 2 for each in made):
            kind = "com.amazon.coral.validate#ValidationException"
            message = "Member must have length less than or equal to 2"
            handler.answer(400, {"__type": kind, "message": message})
        else:
            handler.answer(*handler.unread())

    with proxy_before(endpoint_of(server)) as proxy:
        proxy.always = older
        where = f"dynamodb://{REGION}/{uuid4().hex}?endpoint_url={quote(proxy.url, safe='')}"
        with (
            open_store(where, ENTITIES) as store,
            pytest.raises(ConfigurationError, match="needs indexes='composed'"),
        ):
            store.create_schema()
        with open_store(f"{where}&indexes=composed", ENTITIES) as store:
            store.create_schema()
            store.repository(Shot).add(Shot(label="a"))
            assert len(store.repository(Shot).find(Shot.camera == "c", Shot.label == "a")) == 1
            store.repository(Shot).delete_where(Shot.camera == "c")
            store.drop_schema()
    with pytest.raises(ConfigurationError, match="indexes"):
        open_store(store_url(server, "x", indexes="other"), ENTITIES)
