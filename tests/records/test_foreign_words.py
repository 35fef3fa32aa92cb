"""Who types a verb of SQLAlchemy, Django or another library is told what it is called here."""

import copy
import re
from unittest.mock import create_autospec

import pytest

import holdfast.sync
from holdfast import Entity, Field, Many, One, field, generated_key, many, one, ref
from holdfast.errors import ConfigurationError, InvalidQueryError
from holdfast.records import Repository, foreign_words, length
from holdfast.records.expressions.predicates import Order
from holdfast.records.repository_reads import RepositoryReads
from holdfast.sync import open_store


class Shelf(Entity, table="shelves"):
    id: Field[int] = generated_key()
    label: Field[str] = field(max_length=50)
    books: "Many[Book]" = many(via="shelf_id")


class Book(Entity, table="books"):
    id: Field[int] = generated_key()
    title: Field[str] = field(max_length=200)
    tags: Field[list[str]] = field(default_factory=list)
    shelf_id: Field[int] = ref(Shelf)
    shelf: One[Shelf] = one(via="shelf_id")


@pytest.fixture
def books():
    with open_store("memory://", [Shelf, Book]) as store:
        yield store.repository(Book)


@pytest.mark.parametrize(
    ("subject", "name", "says"),
    [
        (Book.title, "like", r"a field has no 'like'; write contains\(text\), startswith"),
        (Book.title, "ilike", r"write icontains\(text\)"),
        (length(Book.title), "isnull", r"write is_null\(\)"),
        (Book.tags[0], "is_", r"write == value, or is_null\(\) for None"),
        (Book.shelf, "label", r"a relation has no 'label'; write Book\.shelf\[Shelf\.label\]$"),
        (Shelf.books, "title", r"write Shelf\.books\.any\(Book\.title == \.\.\.\)$"),
        (Shelf.books, "has", r"write any\(\*conditions\)"),
        (Book.shelf, "any", r"write has\(\*conditions\)"),
    ],
)
def test_a_word_of_another_library_is_answered_with_ours(subject, name, says):
    with pytest.raises(AttributeError, match=says):
        getattr(subject, name)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_verb_of_another_repository_is_answered_with_ours(books, blocking):
    subject = books if blocking else books.asynchronous
    for name in foreign_words.REPOSITORY_WORDS:
        with pytest.raises(AttributeError, match=rf"a repository has no '{name}'; write \S"):
            getattr(subject, name)


@pytest.mark.parametrize("kind", [RepositoryReads, holdfast.records.sync.RepositoryReads])
def test_what_only_reads_names_no_verb_that_writes(kind):
    reads = kind.__new__(kind)
    with pytest.raises(AttributeError, match=r"a repository has no 'filter'; write find"):
        reads.filter  # noqa: B018
    for name in foreign_words.REPOSITORY_WORDS.keys() - foreign_words.READ_WORDS.keys():
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(reads, name)


def test_any_other_name_is_answered_as_python_does(books):
    for subject in (Book.title, Book.shelf, Book.tags[0], books, books.asynchronous):
        with pytest.raises(AttributeError, match=r"object has no attribute 'no_such_thing'"):
            subject.no_such_thing  # noqa: B018
        assert not hasattr(subject, "__clause_element__")
    assert repr(copy.copy(Book.title)) == "Book.title"
    assert copy.copy(Book.shelf).name == "shelf"


def test_an_attribute_error_inside_a_property_of_a_subclass_is_not_hidden():
    class Broken(Repository):
        @property
        def all(self):
            raise AttributeError("of its own")

        @property
        def titles(self):
            raise AttributeError("its very own")

    with pytest.raises(AttributeError, match="its very own"):
        Broken.__new__(Broken).titles  # noqa: B018
    with pytest.raises(AttributeError, match="of its own"):
        Broken.__new__(Broken).all  # noqa: B018


def test_a_relation_to_what_a_module_lacks_is_told_so():
    class Loan(Entity, table="loans"):
        id: Field[int] = generated_key()
        book_id: Field[int | None] = field(default=None)
        book: "One[copy.Book]" = one(via="book_id")

    with pytest.raises(ConfigurationError, match=r"Loan\.book: module 'copy' has no attribute"):
        Loan.book.has()
    with pytest.raises(AttributeError, match="'One' object has no attribute 'title'"):
        Loan.book.title  # noqa: B018
    with pytest.raises(ConfigurationError, match=r"Broken\.book: module 'copy' has no attribute"):

        class Broken(Entity, table="broken"):
            id: Field[int] = generated_key()
            book: "Field[copy.Book]"


@pytest.mark.parametrize("blocking", [True, False])
def test_a_repository_can_be_stood_in_for(books, blocking):
    subject = books if blocking else books.asynchronous
    mocked = create_autospec(subject)
    with pytest.raises(AttributeError):
        mocked.save  # noqa: B018
    assert mocked.find is not None


def words_of(*kinds):
    return {name for kind in kinds for name in dir(kind)}


def test_only_what_there_is_is_named_and_nothing_that_there_is_is_foreign():
    functions = {"lower", "length", "coalesce", "everything", "field", "transaction", "search"}
    own = {
        "EXPRESSION_WORDS": words_of(Field, Order),
        "RELATION_WORDS": words_of(One, Many, Repository),
        "REPOSITORY_WORDS": words_of(Repository),
        "READ_WORDS": words_of(RepositoryReads),
    }
    for table, known in own.items():
        for name, ours in getattr(foreign_words, table).items():
            for called in re.findall(r"([a-z_]+)(?=\()", ours):
                assert called in known | words_of(Repository) | words_of(Field) | functions, name
    assert not foreign_words.EXPRESSION_WORDS.keys() & words_of(Field)
    assert foreign_words.RELATION_WORDS.keys() & words_of(One) == {"has"}
    assert foreign_words.RELATION_WORDS.keys() & words_of(Many) == {"any"}
    for kind in (Repository, holdfast.sync.Repository):
        assert not foreign_words.REPOSITORY_WORDS.keys() & words_of(kind)


def test_contains_of_a_json_list_says_how_an_item_is_looked_for():
    with pytest.raises(InvalidQueryError, match=r"Book\.tags is not a text field: write has_item"):
        Book.tags.contains("new")
