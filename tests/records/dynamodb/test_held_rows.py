"""What a transaction holds of rows that it only reads: of two that replace links, one is first."""

from uuid import uuid4

import pytest

from dynamodb_proxy import lagging, proxy_before
from dynamodb_servers import REGION, endpoint_of
from holdfast import Entity, Field, Many, key, many, ref, version
from holdfast.errors import SerializationError
from holdfast.sync import open_store


class Film(Entity, table="films"):
    id: Field[int] = key()
    version: Field[int] = version()
    tags: Many["Tag"] = many(through="FilmTag")


class Tag(Entity, table="tags"):
    id: Field[int] = key()


class FilmTag(Entity, table="film_tags"):
    film_id: Field[int] = ref(Film, key=True, on_delete="cascade")
    tag_id: Field[int] = ref(Tag, key=True, on_delete="cascade")


@pytest.fixture(scope="module")
def proxy():
    with proxy_before(endpoint_of("dynoxide")) as made:
        yield made


@pytest.fixture
def open_films(proxy):
    """Return what opens the store of one film and four tags, each time anew."""
    url = f"dynamodb://{REGION}/{uuid4().hex}?endpoint_url={proxy.url}"

    def opened():
        return open_store(url, [Film, Tag, FilmTag])

    with opened() as store:
        store.create_schema()
        store.repository(Film).add(Film(id=1))
        store.repository(Tag).add_many([Tag(id=each) for each in range(1, 5)])
        yield opened
        store.drop_schema()


def tags_of(store):
    links = store.repository(FilmTag).find(FilmTag.film_id == 1, order_by=FilmTag.tag_id.asc())
    return [link.tag_id for link in links]


@pytest.mark.parametrize("isolation", ["repeatable read", "read committed"])
@pytest.mark.parametrize("before", [[], [1], [1, 2, 3, 4]])
def test_of_two_that_replace_the_links_of_one_row_one_fails(open_films, before, isolation):
    with open_films() as one, open_films() as two:
        one.links(Film.tags).replace(1, before)
        with pytest.raises(SerializationError), one.transaction(isolation=isolation):
            one.links(Film.tags).replace(1, [1, 2])
            two.links(Film.tags).replace(1, [3, 4])
        assert tags_of(two) == [3, 4]
        assert two.repository(Film).get_one(1).version == 1, "it was held, and not changed"


def test_a_transaction_that_only_held_a_row_writes_nothing(open_films):
    with open_films() as one, open_films() as two:
        one.links(Film.tags).replace(1, [1, 2])
        with one.transaction():
            assert one.links(Film.tags).replace(1, [2, 1]).connected == ()
            two.links(Film.tags).replace(1, [3])
        assert tags_of(two) == [3]


def test_links_that_an_index_has_not_heard_of_are_replaced_too(open_films, proxy):
    with open_films() as store:
        store.links(Film.tags).replace(1, [1, 2])
        proxy.inject("Query", lagging, times=2)
        assert store.links(Film.tags).replace(1, [3]).disconnected == (1, 2)
        assert tags_of(store) == [3]
