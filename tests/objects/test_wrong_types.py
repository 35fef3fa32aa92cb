"""Values of a wrong type are refused by name, before anything happens."""

from datetime import timedelta

import pytest

from holdfast.errors import InvalidValueError
from holdfast.objects import PresignOptions, PresignPostOptions, PutOptions, open_bucket


@pytest.mark.parametrize(
    ("named", "wrong"),
    [
        ("metadata", {"metadata": "camera=north"}),
        ("metadata", {"metadata": ""}),
        ("metadata", {"metadata": [("camera", "north")]}),
        ("content_type", {"content_type": 5}),
        ("tags", {"options": PutOptions(tags=["north"])}),
    ],
)
async def test_a_put_names_what_is_of_a_wrong_type(named, wrong):
    async with open_bucket("memory://") as bucket:
        with pytest.raises(InvalidValueError, match=rf"object\.{named}: "):
            await bucket.put("k", b"1", **wrong)
        assert not await bucket.exists("k")


@pytest.mark.parametrize("kind", [PresignOptions, PresignPostOptions])
@pytest.mark.parametrize("wrong", [{"expires": 60}, {"expires": "1h"}, {"content_type": 5}])
def test_presign_options_name_what_is_of_a_wrong_type(kind, wrong):
    (named,) = wrong
    with pytest.raises(InvalidValueError, match=rf"\.{named}: expected"):
        kind(**wrong)
    assert kind(expires=timedelta(minutes=1)).expires == timedelta(minutes=1)


def test_further_fields_of_presign_options_are_checked_too():
    with pytest.raises(InvalidValueError, match=r"presign\.filename"):
        PresignOptions(filename=5)
    with pytest.raises(InvalidValueError, match=r"presign_post\.most"):
        PresignPostOptions(most="1")


async def test_options_are_of_their_class_and_stand_behind_the_key():
    async with open_bucket("memory://") as bucket:
        refused = r"options: expected PresignOptions\(...\), got 'key'"
        with pytest.raises(InvalidValueError, match=refused):
            await bucket.presign("GET", "key")
        with pytest.raises(InvalidValueError, match="options: expected PresignPostOptions"):
            await bucket.presign_post("key", {"expires": 5})
