"""Tables that point at one another are dropped on SQLite, whichever way they do."""

from itertools import permutations

import pytest

from holdfast import Entity, Field, generated_key, ref
from holdfast.errors import ForeignKeyError
from holdfast.sync import open_store


class A(Entity, table="drop_a"):
    id: Field[int] = generated_key()
    c_id: Field[int | None] = ref("C", default=None)


class B(Entity, table="drop_b"):
    id: Field[int] = generated_key()
    a_id: Field[int] = ref(A)
    b_id: Field[int | None] = ref("B", default=None)


class C(Entity, table="drop_c"):
    id: Field[int] = generated_key()
    a_id: Field[int] = ref(A)
    b_id: Field[int] = ref(B)


class Other(Entity, table="drop_other"):
    id: Field[int] = generated_key()
    b_id: Field[int] = ref(B)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("entities", list(permutations([A, B, C])))
def test_tables_are_dropped_in_whatever_order_they_are_declared(tmp_path, entities, rows):
    with open_store(f"sqlite:///{tmp_path}/a.db", entities) as store:
        for _ in range(2):
            store.create_schema()
            if rows:
                a = store.repository(A).add(A())
                b = store.repository(B).add(B(a_id=a.id))
                c = store.repository(C).add(C(a_id=a.id, b_id=b.id))
                store.repository(A).patch(a.id, A.c_id.to(c.id))
                store.repository(B).patch(b.id, B.b_id.to(b.id))
            store.drop_schema()
        store.create_schema()
        with pytest.raises(ForeignKeyError):  # references are looked at again
            store.repository(B).add(B(a_id=5))
        store.drop_schema()


def test_tables_that_others_point_at_stay(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    with open_store(url, [A, B, C, Other]) as store:
        store.create_schema()
        a = store.repository(A).add(A())
        b = store.repository(B).add(B(a_id=a.id))
        with open_store(url, [A, B, C]) as part:
            part.drop_schema()  # nothing points at it yet
            part.create_schema()
            part.repository(A).add(a)
            part.repository(B).add(b)
            store.repository(Other).add(Other(b_id=b.id))
            with pytest.raises(ForeignKeyError):
                part.drop_schema()
            assert part.repository(B).count() == 1
        store.drop_schema()
