"""Reads items: by keys, along an index, by a scan; page after page, and again what was left."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from holdfast.errors import ConfigurationError, UnavailableError, UnsupportedError
from holdfast.records.drivers.dynamodb.access_path import AccessPath, IndexRange
from holdfast.records.drivers.dynamodb.filter_expression import ExpressionNames, compiled
from holdfast.records.drivers.dynamodb.guards import GUARDS_KEY, guard_key, guard_owner
from holdfast.records.drivers.dynamodb.service_refusal import DynamoDBError
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import Compare, In, Operator, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from holdfast.records.drivers.dynamodb.attribute_codec import Item
    from holdfast.records.drivers.dynamodb.dynamodb_service import DynamoDBAnswer, DynamoDBService
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.options import DynamoDBOptions
    from holdfast.records.values.field_spec import FieldSpec

T = TypeVar("T")

_BATCH = 100  # keys of one request
_WRITES = 25  # puts and deletions of one request
_AT_ONCE = 8  # requests of one call
NAME = "dynamodb"
LARGEST_WRITE = 100
"""Items that one transaction of the service has at most."""


class PageRequest(NamedTuple):
    """One page of a scan or a query, as the service is asked for it."""

    operation: str
    request: dict[str, object]


class ItemReader:
    """Reads the items of all tables of one store."""

    def __init__(
        self,
        service: DynamoDBService,
        layouts: Mapping[Model[object], TableLayout[object]],
        guards: str,
        options: DynamoDBOptions,
    ) -> None:
        self.service = service
        self.guards = guards
        self._layouts = layouts
        self._options = options

    def layout(self, model: Model[object]) -> TableLayout[object]:
        """Return how *model* lies."""
        return self._layouts[model]

    @property
    def layouts(self) -> Sequence[TableLayout[object]]:
        """How all models lie."""
        return tuple(self._layouts.values())

    async def item(
        self, layout: TableLayout[object], key: object, *, strong: bool = False
    ) -> Item | None:
        """Return the item under *key*; the *strong* way also where the options let reads lag."""
        if not layout.may_be_key(key):
            return None
        request = {
            "TableName": layout.name,
            "Key": layout.key_of(key),
            "ConsistentRead": strong or self._options.consistent,
            "ReturnConsumedCapacity": "TOTAL",
        }
        answer = await self.ask("GetItem", request, layout)
        return answer.get("Item")

    async def items(
        self, layout: TableLayout[object], keys: Sequence[object], *, strong: bool = False
    ) -> list[Item]:
        """Return the items under *keys*, which are distinct, in no order."""
        if len(keys) == 1:
            found = await self.item(layout, keys[0], strong=strong)
            return [] if found is None else [found]
        wanted = [layout.key_of(key) for key in keys if layout.may_be_key(key)]
        return await self._batches(layout.name, wanted, layout, strong=strong)

    async def owners(self, keys: Sequence[str]) -> dict[str, Item]:
        """Return the guard items under *keys*, by key; those that are not there are left out."""
        distinct = dict.fromkeys(keys)
        wanted: list[Item] = [{GUARDS_KEY: {"S": key}} for key in distinct]
        found = await self._batches(self.guards, wanted, None, strong=True)
        return {str(item[GUARDS_KEY]["S"]): item for item in found}

    async def at_once(self, calls: Sequence[Callable[[], Coroutine[object, None, T]]]) -> list[T]:
        """Return what *calls* return, a few of them at a time."""
        return await self.service.network.all_of(calls, at_once=_AT_ONCE)

    async def _batches(
        self,
        table: str,
        keys: Sequence[Item],
        layout: TableLayout[object] | None,
        *,
        strong: bool,
    ) -> list[Item]:
        calls = [
            partial(self._batch, table, keys[at : at + _BATCH], layout, strong=strong)
            for at in range(0, len(keys), _BATCH)
        ]
        found = await self.service.network.all_of(calls, at_once=_AT_ONCE)
        return [item for each in found for item in each]

    async def _batch(
        self,
        table: str,
        keys: Sequence[Item],
        layout: TableLayout[object] | None,
        *,
        strong: bool,
    ) -> list[Item]:
        consistent = strong or self._options.consistent
        asked: dict[str, dict[str, object]] = {table: {"Keys": keys, "ConsistentRead": consistent}}
        items: list[Item] = []
        attempt = 0
        while True:
            request = {"RequestItems": asked, "ReturnConsumedCapacity": "TOTAL"}
            answer = await self.ask("BatchGetItem", request, layout)
            came = answer.get("Responses", {}).get(table, [])
            items += came
            asked = answer.get("UnprocessedKeys", {})
            if not asked:
                return items
            attempt = 1 if came else attempt + 1
            if not await self.service.pause(attempt):
                raise UnavailableError(f"BatchGetItem: {table} leaves keys unread, again and again")

    async def write_batches(self, table: str, writes: Sequence[Mapping[str, object]]) -> None:
        """Put or delete items without conditions, each by itself: some are done before others.

        Raises UnavailableError for what the service leaves undone, again and again.
        """
        calls = [
            partial(self._write_batch, table, writes[at : at + _WRITES])
            for at in range(0, len(writes), _WRITES)
        ]
        await self.at_once(calls)

    async def _write_batch(self, table: str, writes: Sequence[Mapping[str, object]]) -> None:
        asked: Mapping[str, Sequence[object]] = {table: writes}
        attempt = 0
        while asked:
            request = {"RequestItems": asked, "ReturnConsumedCapacity": "TOTAL"}
            try:
                answer = await self.service.write("BatchWriteItem", request, repeatable=True)
            except DynamoDBError as refusal:
                raise absent_table(refusal, None) from refusal
            left = answer.get("UnprocessedItems", {})
            done = len(left.get(table, ())) < len(asked[table])
            attempt = 1 if done else attempt + 1
            asked = left
            if asked and not await self.service.pause(attempt):
                raise UnavailableError(f"BatchWriteItem: {table} leaves items unwritten")

    async def walk(
        self,
        layout: TableLayout[object],
        path: AccessPath,
        *,
        enough: Callable[[list[Item]], bool] | None = None,
        most: int | None = None,
        strong: bool = False,
    ) -> list[Item]:
        """Return the items of *path*. It ends early when what came is *enough*.

        *most* is a hint of how many are wanted. Raises UnsupportedError for a scan that nobody
        asked for.
        """
        match path.access:
            case "key":
                items = await self.items(layout, path.keys, strong=strong) if path.keys else []
            case "unique":
                items = await self._by_unique(layout, path, strong=strong)
            case "index":
                calls = [
                    partial(self._along, layout, path, each, enough, most) for each in path.ranges
                ]
                found = await self.service.network.all_of(calls, at_once=_AT_ONCE)
                items = [item for each in found for item in each]
            case "scan":
                items = await self._scan(layout, path, enough, strong=strong)
        return items

    async def along_reference(
        self, model: Model[object], spec: FieldSpec, key: object
    ) -> list[Item]:
        """Return the rows of *model* that the index on its reference *spec* finds for *key*."""
        layout = self.layout(model)
        path = AccessPath("index", ranges=(IndexRange(layout.index_by(spec), (key,)),))
        return await self.walk(layout, path)

    async def count(self, layout: TableLayout[object], path: AccessPath) -> int:
        """Return how many rows *path* leads to, all of it decided by the service."""
        if path.access == "index":
            requests = [
                PageRequest("Query", self._query(layout, path, each)) for each in path.ranges
            ]
        else:
            requests = [self.scan_request(layout, path)]
        total = 0
        for operation, request in requests:
            request["Select"] = "COUNT"
            while True:
                answer = await self.ask(operation, request, layout)
                total += answer.get("Count", 0)
                last = answer.get("LastEvaluatedKey")
                if last is None:
                    break
                request["ExclusiveStartKey"] = last
        return total

    def page_requests(
        self,
        layout: TableLayout[object],
        path: AccessPath,
        most: int | None,
        *,
        strong: bool = False,
    ) -> list[PageRequest]:
        """Return the first request of each part of a scan, or of an index.

        A page has *most* items at the most, where the service reads no others.
        """
        if path.access == "index":
            asked = [PageRequest("Query", self._query(layout, path, each)) for each in path.ranges]
        else:
            segments = self._options.scan_segments
            request = self.scan_request(layout, path, strong=strong).request
            parts: list[dict[str, object]] = [{}]
            if segments > 1:
                parts = [{"Segment": each, "TotalSegments": segments} for each in range(segments)]
            asked = [PageRequest("Scan", {**request, **each}) for each in parts]
        if most is not None and not path.server and not path.client:
            for each in asked:
                each.request["Limit"] = max(1, most // len(asked))
        return asked

    def scan_request(
        self,
        layout: TableLayout[object],
        path: AccessPath,
        *,
        behind: object = None,
        strong: bool = False,
    ) -> PageRequest:
        """Return the request for a scan of all the table, or of what lies *behind* a key."""
        request: dict[str, object] = {
            "TableName": layout.name,
            "ConsistentRead": strong or self._options.consistent,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if behind is not None:
            request["ExclusiveStartKey"] = layout.key_of(behind)
        return PageRequest("Scan", _filtered(request, path.server, ExpressionNames()))

    async def page(
        self, asked: PageRequest, layout: TableLayout[object]
    ) -> tuple[list[Item], PageRequest | None]:
        """Return the items of one page, and the request for the next, None at the end."""
        answer = await self.ask(asked.operation, asked.request, layout)
        last = answer.get("LastEvaluatedKey")
        behind = None
        if last is not None:
            behind = PageRequest(asked.operation, {**asked.request, "ExclusiveStartKey": last})
        return answer.get("Items", []), behind

    def require_scan(self, layout: TableLayout[object], where: Predicate) -> None:
        """Raise UnsupportedError unless scans were asked for; it names an index that helps."""
        if self._options.scan:
            return
        fields = [
            part.operand.name
            for part in parts_of(where)
            if isinstance(part, (Compare, In))
            and isinstance(part.operand, Column)
            and (isinstance(part, In) or part.operator is Operator.EQ)
        ]
        model = layout.model
        helps = (
            f"{model.name} with indexes=[({', '.join(map(repr, fields))},)] would be asked by it"
            if fields
            else "no index helps a query that fixes no field"
        )
        raise UnsupportedError(
            f"scans that nobody asked for (of {model.table}; {helps}, and scan=True allows them)",
            NAME,
        )

    async def ask(
        self,
        operation: str,
        request: Mapping[str, object],
        layout: TableLayout[object] | None,
    ) -> DynamoDBAnswer:
        """Return the answer to a request that reads. Raises ConfigurationError without a table."""
        try:
            return await self.service.read(operation, request)
        except DynamoDBError as refusal:
            raise absent_table(refusal, layout) from refusal

    async def _by_unique(
        self, layout: TableLayout[object], path: AccessPath, *, strong: bool
    ) -> list[Item]:
        assert path.unique is not None
        guard = guard_key(layout.model, path.unique, path.keys)
        found = await self.owners([guard])
        if guard not in found:
            return []
        return await self.items(layout, [guard_owner(layout, found[guard])], strong=strong)

    def _query(
        self, layout: TableLayout[object], path: AccessPath, part: IndexRange
    ) -> dict[str, object]:
        names = ExpressionNames()
        request: dict[str, object] = {
            "TableName": layout.name,
            "IndexName": part.index.name,
            "KeyConditionExpression": part.condition(names),
            "ScanIndexForward": part.forward,
            "ReturnConsumedCapacity": "TOTAL",
        }
        start = part.start_key(layout)
        if start is not None:
            request["ExclusiveStartKey"] = start
        return _filtered(request, path.server, names)

    async def _along(
        self,
        layout: TableLayout[object],
        path: AccessPath,
        part: IndexRange,
        enough: Callable[[list[Item]], bool] | None,
        most: int | None,
    ) -> list[Item]:
        request = self._query(layout, path, part)
        if most is not None and not path.server and not path.client:
            request["Limit"] = max(most, 1)
        return await self._pages(PageRequest("Query", request), layout, enough)

    async def _scan(
        self,
        layout: TableLayout[object],
        path: AccessPath,
        enough: Callable[[list[Item]], bool] | None,
        *,
        strong: bool,
    ) -> list[Item]:
        calls = [
            partial(self._pages, each, layout, enough)
            for each in self.page_requests(layout, path, None, strong=strong)
        ]
        found = await self.service.network.all_of(calls, at_once=len(calls))
        return [item for each in found for item in each]

    async def _pages(
        self,
        first: PageRequest,
        layout: TableLayout[object],
        enough: Callable[[list[Item]], bool] | None,
    ) -> list[Item]:
        items: list[Item] = []
        asked: PageRequest | None = first
        while asked is not None and not (items and enough is not None and enough(items)):
            came, asked = await self.page(asked, layout)
            items += came
        return items


def absent_table(refusal: DynamoDBError, layout: TableLayout[object] | None) -> Exception:
    """Return what *refusal* says: that a table or an index is missing, or what it says itself."""
    if not refusal.is_absent_table:
        return refusal
    table = "of guards" if layout is None else repr(layout.name)
    return ConfigurationError(f"there is no table {table} yet: call store.create_schema()")


def _filtered(
    request: dict[str, object], server: tuple[Predicate, ...], names: ExpressionNames
) -> dict[str, object]:
    if server:
        parts = [cast("str", compiled(part, names)) for part in server]
        request["FilterExpression"] = " AND ".join(parts)
    return request | names.parameters()
