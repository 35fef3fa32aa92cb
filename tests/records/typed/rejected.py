"""What the type checkers must refuse, at each line that says so."""

from holdfast import Repository
from holdfast.records.conformance.entities import Author, Tally


async def use(authors: Repository[Author]) -> None:
    await authors.find(Author.name == 5)  # refused
    await authors.find(Author.name < 5)  # refused
    await authors.find(Author.nmae == "a")  # refused
    await authors.find(Author.name == "a" and True)  # refused
    Author()  # refused
    Author(name="a", version=1)  # refused
    Author(name=5)  # refused
    Author(name="a", books=[])  # refused
    await authors.add(Tally(id="t"))  # refused
    await authors.patch(1, Author.name.to(5))  # refused
    author: Tally = await authors.get_one(1)  # refused
    Author.name.increment(1)  # refused
    author.total = "5"  # refused
