"""Sends signed requests to DynamoDB, in its JSON protocol 1.0, with retries."""

from __future__ import annotations

import hashlib
import ssl
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple, TypedDict, cast

import orjson

from holdfast.aws.adaptive_rate import AdaptiveRate
from holdfast.aws.http import Deadline, HTTPRequest
from holdfast.aws.retry import RetryBudget, backoff, transport_failure
from holdfast.aws.service_clock import ServiceClock
from holdfast.errors import ConfigurationError, ServiceError, UnavailableError
from holdfast.records.drivers.dynamodb.service_refusal import (
    KEY_REFUSED,
    MISCONFIGURED,
    THROTTLED,
    DynamoDBError,
    may_pass,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from holdfast.aws.client import HTTPClient, HTTPResponse
    from holdfast.aws.credential_provider import CredentialProvider
    from holdfast.aws.credentials import Credentials
    from holdfast.aws.http import Limits
    from holdfast.aws.signature import Signer
    from holdfast.offload import Offload
    from holdfast.records.drivers.dynamodb.attribute_codec import Item

_LONGEST_ANSWER = 32 * 1024 * 1024
_MOST_RENEWALS = 2  # of the credentials, for one request
_MOST_TURNS = 2  # of the clock, for one request
_READS = frozenset({"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"})


class IndexDescription(TypedDict, total=False):
    """What `DescribeTable` tells of an index."""

    IndexName: str
    IndexStatus: str
    IndexSizeBytes: int
    KeySchema: list[dict[str, str]]


class TableDescription(TypedDict, total=False):
    """What `DescribeTable` tells of a table."""

    TableName: str
    TableArn: str
    TableStatus: str
    TableSizeBytes: int
    KeySchema: list[dict[str, str]]
    AttributeDefinitions: list[dict[str, str]]
    GlobalSecondaryIndexes: list[IndexDescription]
    DeletionProtectionEnabled: bool


class DynamoDBAnswer(TypedDict, total=False):
    """The parts of an answer that are read, by the service's own names."""

    Item: Item
    Items: list[Item]
    Attributes: Item
    Count: int
    ScannedCount: int
    LastEvaluatedKey: Item
    Responses: dict[str, list[Item]]
    UnprocessedKeys: dict[str, dict[str, object]]
    UnprocessedItems: dict[str, list[object]]
    ConsumedCapacity: dict[str, object] | list[dict[str, object]]
    Table: TableDescription
    TableNames: list[str]
    LastEvaluatedTableName: str
    TimeToLiveDescription: dict[str, str]


class _Sent(NamedTuple):
    operation: str
    body: bytes
    repeatable: bool
    """Doing it twice is the same as doing it once."""
    rate: AdaptiveRate


class DynamoDBService:
    """Sends requests to one endpoint. Safe to use from many tasks or threads at once."""

    def __init__(
        self,
        client: HTTPClient,
        signer: Signer,
        limits: Limits,
        *,
        credentials: CredentialProvider,
        offload: Offload,
    ) -> None:
        self._client = client
        self._signer = signer
        self._limits = limits
        self._credentials = credentials
        self._offload = offload
        self._budget = RetryBudget()
        self._clock = ServiceClock()
        self._rates: dict[tuple[str, bool], AdaptiveRate] = {}
        """By the table, '' for several, and whether it is read: so the service limits them."""
        self.network = client.network
        self.requests = 0
        self.retries = 0
        self.throttled = 0
        self.paced = 0
        self.read_units = 0.0
        self.write_units = 0.0

    def close(self) -> None:
        """Let go of the connections. Idempotent."""
        self._client.close()

    async def read(self, operation: str, request: Mapping[str, object]) -> DynamoDBAnswer:
        """Return the answer to what changes nothing, or nothing more when it is done again.

        Raises DynamoDBError for a refusal, UnavailableError when no retry helped,
        ConfigurationError for what says that the address or the credentials are wrong.
        """
        return await self._repeat(self._sent(operation, request, repeatable=True))

    async def write(
        self, operation: str, request: Mapping[str, object], *, repeatable: bool = False
    ) -> DynamoDBAnswer:
        """Return the answer to a change, which goes on also when the caller is cancelled.

        Unless it is *repeatable*, it is never sent again once the service may have done it: then
        UnavailableError leaves open whether it was. Raises as `read` does.
        """
        sent = self._sent(operation, request, repeatable=repeatable)
        return await self.network.shielded(self._repeat(sent))

    def _sent(self, operation: str, request: Mapping[str, object], *, repeatable: bool) -> _Sent:
        among = (cast("str", request.get("TableName", "")), operation in _READS)
        rate = self._rates.get(among)
        if rate is None:
            rate = self._rates.setdefault(among, AdaptiveRate(time.monotonic))
        return _Sent(operation, orjson.dumps(request), repeatable, rate)

    @property
    def limited(self) -> int:
        """How many tables are read or written at a limited rate now, as they were throttled."""
        return sum(each.limit is not None for each in list(self._rates.values()))

    async def pause(self, attempt: int) -> bool:
        """Wait before what was left undone within an answer is asked for again.

        Returns False, at once, when *attempt* was the last, or the budget is spent.
        """
        if attempt >= self._limits.attempts or not self._budget.spend():
            return False
        self.retries += 1
        await self.network.sleep(backoff(attempt, None))
        return True

    async def _repeat(self, sent: _Sent) -> DynamoDBAnswer:
        deadline = Deadline(self._limits)
        attempt = renewals = turns = 0
        while True:
            attempt += 1
            failure: Exception
            keys: Credentials | None = None
            signed: datetime | None = None
            asked = time.monotonic()
            seconds = sent.rate.reserve()
            if seconds > 0:
                if seconds >= deadline.left:
                    raise UnavailableError(
                        f"{sent.operation}: throttled, and not to be sent in the time that is left"
                    )
                self.paced += 1
                await self.network.sleep(seconds)
            try:
                keys = await self._credentials.current(self._offload)
                signed = self._clock.now()
                answer = await self._answered(sent, keys, signed, deadline)
            except ssl.SSLCertVerificationError as error:
                raise UnavailableError(
                    f"{self._client.authority} is not trusted: {error.verify_message}"
                ) from error
            except OSError as error:  # TimeoutError is one too
                failure = transport_failure(sent.operation, self._client.authority, attempt, error)
                if not sent.repeatable:
                    raise failure from error
            except DynamoDBError as refusal:
                if refusal.code in THROTTLED:
                    self.throttled += 1
                    sent.rate.refused(asked)
                if turns < _MOST_TURNS and self._clock_was_off(refusal, signed):
                    turns += 1
                    self.retries += 1
                    continue
                if renewals < _MOST_RENEWALS and await self._renewed(refusal, keys):
                    renewals += 1
                    self.retries += 1
                    continue
                if refusal.code in MISCONFIGURED:
                    raise ConfigurationError(str(refusal)) from refusal
                failure = UnavailableError(str(refusal))
                failure.__cause__ = refusal
                if not may_pass(refusal, repeatable=sent.repeatable):
                    if refusal.status >= 500:
                        raise failure from refusal
                    raise
            else:
                self._budget.earn()
                return answer
            if attempt >= self._limits.attempts or not self._budget.spend():
                raise failure
            seconds = backoff(attempt, None)
            if seconds >= deadline.left:
                raise failure
            self.retries += 1
            await self.network.sleep(seconds)

    async def _renewed(self, refusal: DynamoDBError, used: Credentials | None) -> bool:
        """Ask for another key than *used* if that is why it was refused; tell if there is one."""
        if used is None or refusal.code not in KEY_REFUSED:
            return False
        return await self._credentials.replaced(self._offload, used, sure=True)

    def _clock_was_off(self, refusal: DynamoDBError, signed: datetime | None) -> bool:
        """Return whether *refusal* may come of when it was *signed*; then set the clock."""
        if signed is None or refusal.code not in KEY_REFUSED:
            return False
        return self._clock.follow(refusal.date, signed)

    async def _answered(
        self, sent: _Sent, credentials: Credentials, now: datetime, deadline: Deadline
    ) -> DynamoDBAnswer:
        body = sent.body
        headers = {
            "host": self._client.authority,
            "content-type": "application/x-amz-json-1.0",
            "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
            "x-amz-target": f"DynamoDB_20120810.{sent.operation}",
        }
        self._signer.sign("POST", "/", "", headers=headers, credentials=credentials, now=now)
        headers["content-length"] = str(len(body))
        request = HTTPRequest("POST", "/", headers, body, sent.repeatable)
        self.requests += 1
        response = await self._client.send(request, deadline)
        try:
            content = await response.read(_LONGEST_ANSWER)
        finally:
            response.close()
        try:
            answer = _parsed(sent.operation, response, content)
        except DynamoDBError as refusal:
            refusal.date = response.headers.get("date")
            raise
        self._count(sent.operation, answer)
        return answer

    def _count(self, operation: str, answer: DynamoDBAnswer) -> None:
        consumed = answer.get("ConsumedCapacity")
        if not consumed:
            return
        if isinstance(consumed, list):
            units = sum(cast("float", one.get("CapacityUnits", 0.0)) for one in consumed)
        else:
            units = cast("float", consumed.get("CapacityUnits", 0.0))
        if operation in _READS:
            self.read_units += units
        else:
            self.write_units += units


def _parsed(operation: str, response: HTTPResponse, content: bytes) -> DynamoDBAnswer:
    """Return the answer, whole by its checksum. Raises DynamoDBError, ConnectionError."""
    expected = response.headers.get("x-amz-crc32")
    if expected is not None and expected != str(zlib.crc32(content)):
        raise ConnectionError("the answer's CRC-32 is not that of the bytes that came")
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = None
    if response.status == 200 and isinstance(answer, dict):
        return cast("DynamoDBAnswer", answer)
    if response.status == 200:
        raise ServiceError(operation, 200, "Unreadable", "the answer is not a JSON object")
    raise DynamoDBError.read(operation, response.status, answer)
