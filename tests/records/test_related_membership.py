"""A field of what a row refers to is looked for among values of other rows (EXPR-9, SUB-1)."""

import pytest

from holdfast import Entity, Field, field, key, ref, subquery
from holdfast.records import One, one
from holdfast.sync import open_store


class Owner(Entity, table="member_owners"):
    id: Field[str] = key(max_length=10)
    town: Field[str] = field(max_length=10)


class Camera(Entity, table="member_cameras"):
    id: Field[str] = key(max_length=10)
    owner_id: Field[str | None] = ref(Owner)
    owner: One[Owner] = one(via="owner_id")


class Town(Entity, table="member_towns"):
    id: Field[str] = key(max_length=10)
    open: Field[bool]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_related_field_is_looked_for_in_other_rows(kind, tmp_path):
    url = "memory://" if kind == "memory" else f"sqlite:///{tmp_path}/store.db"
    with open_store(url, [Owner, Camera, Town]) as store:
        store.create_schema()
        towns = [Town(id="here", open=True), Town(id="there", open=False)]
        store.repository(Town).add_many(towns)
        owners = [Owner(id="a", town="here"), Owner(id="b", town="there")]
        store.repository(Owner).add_many(owners)
        cameras = store.repository(Camera)
        cameras.add_many([Camera(id=f"of {by}", owner_id=by) for by in ("a", "b", None)])
        inside = Camera.owner[Owner.town].in_(subquery(Town.id, Town.open == True))  # noqa: E712
        assert [each.id for each in cameras.find(inside)] == ["of a"]
        assert [each.id for each in cameras.find(~inside)] == ["of None", "of b"]
