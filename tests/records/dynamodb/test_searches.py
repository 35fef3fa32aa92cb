"""Searches of entities whose rows were there before, in transactions of a hundred items."""

from uuid import uuid4

from dynamodb_servers import store_url
from holdfast import Entity, Field, field, key
from holdfast.sync import open_store


class Plain(Entity, table="papers"):
    id: Field[int] = key()
    title: Field[str] = field(default="")


class Paper(Entity, table="papers"):
    id: Field[int] = key()
    title: Field[str] = field(default="", search=True)


def test_the_words_of_many_rows_are_built_in_batches_that_fit():
    url = store_url("dynoxide", "searches" + uuid4().hex)
    with open_store(url, [Plain]) as before:
        before.create_schema()
        papers = [Plain(id=each, title=f"number n{each}") for each in range(60)]
        before.repository(Plain).add_many(papers)
    with open_store(url, [Paper]) as store:
        store.create_schema()  # which builds them
        assert store.build_search() == 0
        assert store.build_search(rebuild=True) == 60
        assert [hit.entity.id for hit in store.repository(Paper).search("n59").items] == [59]
        store.drop_schema()
