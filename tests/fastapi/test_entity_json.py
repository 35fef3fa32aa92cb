"""JSON that is written from an entity's values: that of the model, for every type of field."""

import enum
import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic import Field as PydanticField

import holdfast.fastapi as hf
from holdfast import Entity, Field, One, Page, field, key, one, open_store, ref, uuid7, version
from holdfast.fastapi.wire.entity_json import EntityJSON


class Mood(enum.Enum):
    GOOD = "good \u00e9"
    BAD = '"bad"'


class Size(BaseModel):
    width: int
    height: int


class Owner(Entity, table="owners"):
    id: Field[int] = key()
    name: Field[str] = field(max_length=20)


class Sample(Entity, table="samples"):
    id: Field[UUID] = key(default_factory=uuid7)
    flag: Field[bool]
    number: Field[int]
    share: Field[float]
    text: Field[str]
    raw: Field[bytes]
    price: Field[Decimal | None] = field(digits=(12, 3))
    moment: Field[datetime]
    day: Field[date]
    clock: Field[time]
    mood: Field[Mood | None]
    tree: Field[dict[str, object]]
    secret: Field[str] = field(default="s")
    owner_id: Field[int | None] = ref(Owner, default=None)
    version: Field[int] = version()
    owner: One[Owner] = one(via="owner_id")


class Lasting(Entity, table="lastings"):
    id: Field[UUID] = key(default_factory=uuid7)
    length: Field[timedelta]


class Boxed(Entity, table="boxed"):
    id: Field[UUID] = key(default_factory=uuid7)
    size: Field[Size]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SAMPLES = st.fixed_dictionaries(
    {
        "flag": st.booleans(),
        "number": st.integers(-(2**63), 2**63 - 1),
        "share": FLOATS,
        "text": TEXT,
        "raw": st.binary(max_size=8),
        "price": st.none() | st.decimals(-999, 999, places=3),
        "moment": st.datetimes(timezones=st.just(UTC)),
        "day": st.dates(),
        "clock": st.times(),
        "mood": st.none() | st.sampled_from(Mood),
        "tree": st.dictionaries(TEXT, PLAIN | FLOATS | st.lists(PLAIN, max_size=3), max_size=3),
    }
)


def exact(text):
    """JSON as data, in which 1 and 1.0 and the order of names differ."""

    def number(digits):
        assert not math.isinf(float(digits))
        return ("float", float(digits))

    return json.loads(text, parse_float=number, object_pairs_hook=list)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=SAMPLES)
@pytest.mark.parametrize("hide", [[], [Sample.secret, Sample.text]])
async def test_it_is_what_the_model_writes(values, hide):
    out = hf.out_model(Sample, hide=hide)
    async with open_store("memory://", [Owner, Sample]) as store:
        await store.create_schema()
        stored = await store.repository(Sample).add(Sample(**values))
    by_model = out.of(stored).model_dump_json()
    assert exact(EntityJSON(out).one(stored)) == exact(by_model)
    page = json.loads(EntityJSON(out).page(Page([stored, stored], "n", None, 2)))
    shown = json.loads(by_model)
    assert page == {"items": [shown, shown], "next": "n", "previous": None, "total": 2}


class Own(hf.OutModel[Sample], hide=[Sample.raw, Sample.tree]):
    """One with a field of its own."""

    length: int = 3


class Renamed(hf.OutModel[Sample]):
    """One that shows a field in another way."""

    text: str = PydanticField(serialization_alias="words")


async def test_what_a_model_says_of_its_own_is_in_it_and_so_are_relations():
    async with open_store("memory://", [Owner, Sample, Lasting, Boxed]) as store:
        await store.create_schema()
        owner = await store.repository(Owner).add(Owner(id=1, name="ann"))
        plain = {"flag": True, "number": 1, "share": 1.5, "text": "t", "raw": b"r", "price": None}
        times = {"moment": datetime(2026, 1, 2, tzinfo=UTC), "day": date(2026, 1, 2)}
        rest = {"clock": time(1), "mood": None, "tree": {}, "owner_id": owner.id}
        samples = store.repository(Sample)
        stored = await samples.add(Sample(**plain, **times, **rest))
        loaded = await samples.get_one(stored.id, load=[Sample.owner])
        lasting = await store.repository(Lasting).add(
            Lasting(length=timedelta(hours=1, minutes=30))
        )
        boxed = await store.repository(Boxed).add(Boxed(size=Size(width=2, height=1)))
    assert json.loads(EntityJSON(Own).one(stored))["length"] == 3
    for out in (Renamed, hf.out_model(Sample, include=[Sample.owner])):
        written = EntityJSON(out).one(loaded, loaded=True)
        assert json.loads(written) == json.loads(out.of(loaded).model_dump_json())
    assert json.loads(written)["owner"] == {"id": owner.id, "name": "ann"}
    shown = json.loads(EntityJSON(hf.out_model(Lasting)).one(lasting))
    assert shown["length"] == "PT1H30M"
    shown = json.loads(EntityJSON(hf.out_model(Boxed)).one(boxed))
    assert shown["size"] == {"width": 2, "height": 1}
    assert out.of(stored).owner is None, "a relation that was not loaded can be looked at"
