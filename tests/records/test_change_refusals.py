"""What a change leads to and can't be kept is refused by entity, field and reason."""

import pytest

from holdfast import Entity, Field, field, key
from holdfast.errors import InvalidValueError
from holdfast.sync import open_store


class Tallied(Entity, table="tallied"):
    id: Field[str] = key(max_length=10)
    most: Field[int] = field(default=2**62)
    notes: Field[dict[str, object]] = field(default_factory=lambda: {"name": "a text"})


@pytest.mark.parametrize(
    ("change", "field_name"),
    [
        (Tallied.notes["name"].append("x"), "notes"),
        (Tallied.most.increment(2**62), "most"),
    ],
)
def test_a_change_that_can_not_be_kept_says_of_what_and_why(change, field_name, tmp_path):
    for url in ("memory://", f"sqlite:///{tmp_path}/store.db"):
        with open_store(url, [Tallied]) as store:
            store.create_schema()
            tallied = store.repository(Tallied)
            tallied.add(Tallied(id="a"))
            with pytest.raises(InvalidValueError) as refused:
                tallied.patch("a", change)
            error = refused.value
            assert (error.entity, error.field) == ("Tallied", field_name)
            assert error.reason not in ("", "None")
