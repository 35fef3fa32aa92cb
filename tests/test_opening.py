"""What is told to whom uses a store, a bucket or a cache that is not open."""

import pytest

from holdfast import Entity, Field, generated_key, open_bucket, open_cache, open_store
from holdfast import sync as blocking
from holdfast.errors import ConfigurationError

pytestmark = pytest.mark.anyio


class Note(Entity, table="notes"):
    id: Field[int] = generated_key()


AWAITED = {
    "store": lambda: open_store("memory://", [Note]),
    "bucket": lambda: open_bucket("memory://"),
    "cache": lambda: open_cache("memory://"),
}
BLOCKING = {
    "store": lambda: blocking.open_store("memory://", [Note]),
    "bucket": lambda: blocking.open_bucket("memory://"),
    "cache": lambda: blocking.open_cache("memory://"),
}


@pytest.mark.parametrize("noun", AWAITED)
async def test_a_plain_with_is_told_of_async_with_and_of_the_blocking_twin(noun):
    with pytest.raises(TypeError, match=rf"`async with open_{noun}\(.* from holdfast\.sync"):
        with AWAITED[noun]():
            pass
    with pytest.raises(TypeError, match=rf"`async with open_{noun}"):
        await AWAITED[noun]()


@pytest.mark.parametrize("noun", BLOCKING)
async def test_an_async_with_on_the_blocking_twin_is_told_of_with(noun):
    with pytest.raises(TypeError, match=rf"`with open_{noun}\(.* open_{noun} from holdfast$"):
        async with BLOCKING[noun]():
            pass


@pytest.mark.parametrize("openings", [AWAITED, BLOCKING])
@pytest.mark.parametrize("noun", AWAITED)
def test_what_is_not_entered_says_so(openings, noun):
    opening = openings[noun]()
    with pytest.raises(AttributeError, match=f"nothing has 'health' yet: write .*with open_{noun}"):
        opening.health  # noqa: B018 - reading it is what raises
    assert not hasattr(opening, "_health")


@pytest.mark.parametrize("url", [None, 5, b"memory://secret@"])
def test_a_url_is_text(url):
    for make in (
        lambda: open_store(url, [Note]),
        lambda: open_bucket(url),
        lambda: open_cache(url),
    ):
        with pytest.raises(ConfigurationError, match=r"URL.*expected text") as refused:
            make()
        assert "secret" not in str(refused.value)
