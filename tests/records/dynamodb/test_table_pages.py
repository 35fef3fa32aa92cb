"""Pages in the order of the table: without an order, a page of a scan costs a page."""

import base64
import json
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID, uuid4

import pytest

from dynamodb_proxy import proxy_before
from dynamodb_servers import store_url
from holdfast import Entity, Field, field, key, uuid7
from holdfast.errors import InvalidCursorError, UnsupportedError
from holdfast.sync import open_store


class Line(Entity, table="lines"):
    number: Field[int] = key()
    text: Field[str] = field(default="")
    shelf: Field[str | None] = field(default=None)


class Other(Entity, table="others"):
    number: Field[int] = key()


class Cell(Entity, table="cells", indexes=[("name", "sheet")]):
    sheet: Field[str] = key(max_length=5000)
    name: Field[str] = key(max_length=5000)
    id: Field[UUID] = field(default_factory=uuid7)


ENTITIES = [Line, Other, Cell]


@pytest.fixture(scope="module", params=["dynoxide", "moto"])
def url(request):
    return store_url(request.param, uuid4().hex)


@pytest.fixture(scope="module")
def store(url):
    with open_store(url, ENTITIES) as opened:
        opened.create_schema()
        yield opened
        opened.drop_schema()


@pytest.fixture
def lines(store):
    """Forty lines of 4 KiB each: what a read of them costs is plain to see."""
    repository = store.repository(Line)
    repository.delete_where(Line.number >= 0)
    repository.add_many([Line(number=number, text="x" * 4000) for number in range(40)])
    return repository


def pages(repository, *where, size=7, between=lambda _: None):
    """Return the numbers of each page, as they come."""
    found, cursor = [], None
    while True:
        page = repository.page(*where, size=size, cursor=cursor)
        assert page.previous is None
        found.append([each.number for each in page])
        cursor = page.next
        if cursor is None:
            return found
        assert len(page) == size
        between(page)


def numbers(found):
    return [number for page in found for number in page]


def test_each_row_comes_once_at_the_price_of_its_page(store, lines):
    before = store.stats().counters
    found = pages(lines)
    after = store.stats().counters
    assert sorted(numbers(found)) == list(range(40))
    assert len(found) == 6
    assert after["requests"] - before["requests"] == 6
    # A page reads one row more than it shows; the emulators count at most a unit too many of it.
    assert after["read_units"] - before["read_units"] <= 40 + 2 * 6


def test_conditions_of_both_kinds_leave_rows_out(store, lines):
    found = pages(lines, Line.number >= 20, Line.text.endswith("x"), size=3)
    assert sorted(numbers(found)) == list(range(20, 40))
    assert pages(lines, Line.number > 99) == [[]]
    before = store.stats().counters
    assert numbers(pages(lines, Line.number == 7, size=1)) == [7]
    assert pages(lines, Line.shelf == "a", size=1) == [[]]
    after = store.stats().counters
    assert after["requests"] - before["requests"] <= 8, "each request reads twice as many"


def test_rows_that_come_and_go_hide_no_other(lines):
    """The row that the cursor stands on goes, too."""
    gone = set()

    def between(page):
        last = page.items[-1].number
        gone.add(last)
        lines.delete(last)
        lines.add(Line(number=1000 + last))

    found = numbers(pages(lines, between=between))
    assert len(set(found)) == len(found)
    assert {number for number in found if number < 1000} == set(range(40))
    assert gone


def test_an_order_that_is_asked_for_is_kept(lines):
    first = lines.page(order_by=Line.number.asc(), size=3)
    assert [each.number for each in first] == [0, 1, 2]
    second = lines.page(order_by=Line.number.asc(), size=3, cursor=first.next)
    assert [each.number for each in second] == [3, 4, 5]
    assert lines.page(order_by=Line.number.asc(), size=3, cursor=second.previous) == first


def test_a_total_counts_all(lines):
    page = lines.page(Line.number < 30, size=4, total=True)
    assert (len(page), page.total) == (4, 30)
    assert lines.page(Line.number < 30, size=4, cursor=page.next, total=True).total == 30


def test_a_composite_key_is_a_place_too(store):
    cells = store.repository(Cell)
    cells.add_many([Cell(sheet=sheet, name=name) for sheet in "abc" for name in "xyz"])
    found, cursor = [], None
    while True:
        page = cells.page(size=2, cursor=cursor)
        found += [each.sheet + each.name for each in page]
        if (cursor := page.next) is None:
            break
    assert sorted(found) == ["ax", "ay", "az", "bx", "by", "bz", "cx", "cy", "cz"]


def forged(cursor, *, values=None, direction=None):
    body = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    body[1:] = [direction or body[1], values or body[2]]
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")


def test_a_cursor_of_another_query_or_a_damaged_one_is_refused(store, lines):
    cursor, others = lines.page(size=3).next, store.repository(Other)
    assert lines.page(size=3, cursor=forged(cursor)) == lines.page(size=3, cursor=cursor)
    with pytest.raises(InvalidCursorError):
        others.page(cursor=cursor)
    with pytest.raises(InvalidCursorError):
        lines.page(Line.number > 3, cursor=cursor)
    with pytest.raises(InvalidCursorError):
        lines.page(order_by=Line.number.asc(), cursor=cursor)
    with pytest.raises(InvalidCursorError):
        lines.page(cursor=lines.page(order_by=Line.number.asc(), size=3).next)
    with pytest.raises(InvalidCursorError), store.transaction():
        lines.page(size=3, cursor=cursor)
    for text in (
        cursor[:-3],
        forged(cursor, direction="before"),
        forged(cursor, values=["x"]),
        forged(cursor, values=[1, 2]),
        forged(cursor, values=[None]),
    ):
        with pytest.raises(InvalidCursorError):
            lines.page(size=3, cursor=text)


def test_a_cursor_at_a_key_that_no_row_can_have_is_not_sent(store, url):
    """The service would answer with an error that says nothing to who sent the cursor."""
    store.repository(Cell).upsert_many([Cell(sheet=sheet, name="x") for sheet in "abc"])
    (endpoint,) = parse_qs(urlsplit(url).query)["endpoint_url"]
    with proxy_before(endpoint) as proxy:
        passed = url.replace(quote(endpoint, safe=""), quote(proxy.url, safe=""))
        with open_store(passed, ENTITIES) as other:
            cells, long = other.repository(Cell), "s" * 3000
            cursor = forged(cells.page(size=1).next, values=[long, "x"])
            with pytest.raises(InvalidCursorError):
                cells.page(size=1, cursor=cursor)
            asked = {"order_by": Cell.sheet.asc(), "size": 5}
            cursor = cells.page(Cell.name == "x", order_by=Cell.sheet.asc(), size=1).next
            for start, left in ((long, []), ("a" + long, ["b", "c"])):
                beyond = forged(cursor, values=[start, "x"])
                page = cells.page(Cell.name == "x", **asked, cursor=beyond)
                assert [each.sheet for each in page] == left
    assert not any(long.encode() in body for _, body in proxy.bodies)


def test_a_page_of_a_scan_that_nobody_asked_for_is_refused(url, store):
    with open_store(url.replace("scan=true", "scan=false"), ENTITIES) as strict:
        with pytest.raises(UnsupportedError, match="scans that nobody asked for"):
            strict.repository(Line).page()
        with pytest.raises(UnsupportedError, match="scans that nobody asked for"):
            strict.repository(Line).page(Line.shelf == "a")
