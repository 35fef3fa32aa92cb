"""What the type checkers must take."""

from uuid import UUID

from holdfast import Predicate, Repository
from holdfast.records.conformance.entities import Author, Tally


async def use(authors: Repository[Author], tallies: Repository[Tally], key: UUID) -> str:
    author = Author(name="a", born=None)
    predicate: Predicate = (Author.name == "a") & ~(Author.born > 5)
    found = await authors.find(predicate, order_by=Author.name.asc(), load=[Author.books])
    await tallies.patch("t", Tally.total.increment(1), when=Tally.total < 5)
    books = [book.title for each in found for book in each.books]
    return author.name + (await authors.get_one(key)).name + "".join(books)
