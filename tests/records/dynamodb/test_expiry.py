"""Rows that the service removes after a moment of theirs, and what is left of them."""

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from uuid import uuid4

import pytest

from dynamodb_servers import REGION, endpoint_of
from holdfast import Entity, Field, field, key, ref, version
from holdfast.errors import ConfigurationError, DuplicateError, SerializationError
from holdfast.records.options import DynamoDBOptions
from holdfast.sync import open_store

END = datetime(2026, 1, 2, 3, 4, 5, 1, tzinfo=UTC)


class Visit(Entity, table="visits"):
    id: Field[str] = key(max_length=40)
    token: Field[str] = field(max_length=100, unique=True)
    note: Field[str] = field(default="")
    ends_at: Field[datetime | None] = field(default=None)
    version: Field[int] = version()


class Guest(Entity, table="guests"):
    id: Field[str] = key(max_length=40)
    visit_id: Field[str | None] = ref(Visit, default=None)
    left_at: Field[datetime] = field()


class Door(Entity, table="doors"):
    id: Field[str] = key(max_length=40)
    shut_at: Field[datetime] = field()
    name: Field[str] = field(default="")


def opening(prefix, entities, *fields):
    options = DynamoDBOptions(
        endpoint_url=unquote(endpoint_of("dynoxide")), scan=True, expires=fields
    )
    return open_store(f"dynamodb://{REGION}/{prefix}", entities, options=options)


@pytest.fixture(scope="module")
def prefix():
    return uuid4().hex


@pytest.fixture(scope="module")
def store(prefix):
    with open_store(
        f"dynamodb://{REGION}/{prefix}?endpoint_url={endpoint_of('dynoxide')}", [Visit]
    ) as older:
        older.create_schema()  # by a program that knew nothing of expiry
    with opening(prefix, [Visit], Visit.ends_at) as opened:
        opened.create_schema()
        opened.create_schema()
        yield opened
        opened.drop_schema()


@pytest.fixture
def visits(store):
    return store.repository(Visit)


@pytest.fixture
def kept(botocore_client, prefix):
    """What the service has of a visit, and how it removes one: the item alone."""
    table = f"{prefix}.visits"

    class Kept:
        def expires(self, visit):
            item = botocore_client.get_item(TableName=table, Key={"id": {"S": visit.id}})["Item"]
            return item.get("~expires")

        def remove(self, visit):
            botocore_client.delete_item(TableName=table, Key={"id": {"S": visit.id}})

    return Kept()


def visit(**given):
    return Visit(id=uuid4().hex, **{"token": uuid4().hex, **given})


def test_the_service_is_told_to_remove_rows(store, botocore_client, prefix):
    told = botocore_client.describe_time_to_live(TableName=f"{prefix}.visits")
    assert told["TimeToLiveDescription"]["AttributeName"] == "~expires"
    assert told["TimeToLiveDescription"]["TimeToLiveStatus"] in ("ENABLED", "ENABLING")


def test_an_item_has_the_whole_second_after_its_moment_by_every_verb(visits, kept):
    seconds = int(END.timestamp())
    added = visits.add(visit(ends_at=END))
    assert kept.expires(added) == {"N": str(seconds + 1)}
    visits.patch(added.id, Visit.ends_at.to(END + timedelta(hours=1)))
    assert kept.expires(added) == {"N": str(seconds + 3601)}
    visits.patch(added.id, Visit.note.to("as it was"))
    assert kept.expires(added) == {"N": str(seconds + 3601)}
    changed = visits.get_one(added.id)
    changed.ends_at = None
    visits.update(changed)
    assert kept.expires(added) is None
    visits.update_where(Visit.id == added.id, changes=Visit.ends_at.to(END))
    assert kept.expires(added) == {"N": str(seconds + 1)}
    visits.upsert(visit(token=added.token), on=Visit.token)
    assert kept.expires(added) is None


def test_what_has_expired_is_there_until_it_is_removed(visits):
    long_ago = visits.add(visit(ends_at=END - timedelta(days=1)))
    assert visits.get(long_ago.id) == long_ago
    assert visits.find(Visit.id == long_ago.id, Visit.ends_at > END) == []


def test_the_unique_values_of_what_was_removed_are_free(visits, kept):
    first = visits.add(visit(ends_at=END))
    with pytest.raises(DuplicateError):
        visits.add(visit(token=first.token))
    kept.remove(first)
    assert visits.find(Visit.token == first.token) == []
    second = visits.add(visit(token=first.token, ends_at=END))
    with pytest.raises(DuplicateError):
        visits.add(visit(token=first.token))
    kept.remove(second)
    assert visits.upsert(visit(token=first.token, ends_at=END), on=Visit.token).created
    third = visits.find(Visit.token == first.token)[0]
    kept.remove(third)
    again = visits.add(Visit(id=third.id, token=third.token))
    other = visits.add(visit())
    with pytest.raises(DuplicateError):
        visits.patch(other.id, Visit.token.to(again.token))
    kept.remove(again)
    assert visits.patch(other.id, Visit.token.to(again.token)).token == first.token


def test_a_value_is_not_taken_from_a_row_that_came_back_meanwhile(store, visits, kept, prefix):
    gone = visits.add(visit(ends_at=END))
    kept.remove(gone)
    with opening(prefix, [Visit], Visit.ends_at) as beside:
        with pytest.raises(SerializationError):
            with store.transaction(isolation="read committed"):
                visits.add(visit(token=gone.token))
                beside.repository(Visit).add(Visit(id=gone.id, token=gone.token))
    assert [each.id for each in visits.find(Visit.token == gone.token)] == [gone.id]


@pytest.mark.parametrize(
    ("entities", "fields", "said"),
    [
        ([Visit, Guest], [Visit.ends_at], "Guest.visit_id"),
        ([Visit, Guest], [Guest.left_at], "visit_id"),
        ([Door], [Door.name], "not a datetime"),
        ([Door], [Visit.ends_at], "no entity of this store"),
        ([Door], [Door.shut_at, Door.shut_at], "two fields"),
    ],
    ids=["pointed at", "points", "text", "another store's", "two"],
)
def test_what_can_not_expire_is_refused_by_name(entities, fields, said):
    with pytest.raises(ConfigurationError, match=said):
        with opening(uuid4().hex, entities, *fields):
            pass
