"""Sends signed requests to one bucket of S3, with retries."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from holdfast.aws.http import Deadline, HTTPRequest
from holdfast.aws.retry import RetryBudget, backoff, retry_after, transport_failure
from holdfast.aws.service_clock import ServiceClock
from holdfast.aws.signature import EMPTY_SHA256, UNSIGNED, query_string
from holdfast.errors import ConfigurationError, ServiceError, UnavailableError
from holdfast.objects.drivers.s3.customer_key import customer_key_headers
from holdfast.objects.drivers.s3.post_policy import signed_form
from holdfast.objects.drivers.s3.service_errors import (
    KEY_REFUSED,
    MISCONFIGURED,
    ElsewhereError,
    code_of,
    last_word,
    meaning,
    passing,
    region_in,
)
from holdfast.objects.drivers.s3.xml_document import Element, parse, parsed, unreadable
from holdfast.objects.presign import PresignedURL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from holdfast.aws.client import HTTPClient, HTTPResponse
    from holdfast.aws.credential_provider import CredentialProvider
    from holdfast.aws.credentials import Credentials
    from holdfast.aws.http import Limits, RequestBody
    from holdfast.aws.signature import Signer
    from holdfast.objects.drivers.s3.options import BucketAddress
    from holdfast.objects.presign import PresignedPost, PresignOptions, PresignPostOptions
    from holdfast.offload import Offload

T = TypeVar("T")

_LONGEST_ANSWER = 16 * 1024 * 1024
_MAYBE_REFUSED = frozenset({400, 401, 403})  # of an answer without a body, which names no code
_ELSEWHERE = frozenset({301, 307, 308, 400})
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_MOST_RENEWALS = 2  # of the credentials, for one request
_MOST_TURNS = 2  # of the clock, for one request


@dataclass(slots=True)
class S3Request:
    """One request in S3's terms: *operation* is its name there, *key* None for the bucket.

    *sha256* is the body's, None where TLS and the CRC-32 protect it.
    """

    operation: str
    method: str
    key: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | RequestBody = b""
    sha256: str | None = EMPTY_SHA256


def key_path(key: str) -> str:
    """Return *key* as it stands in the path of a URL."""
    return quote(key, safe="-_.~/")


def document_request(
    operation: str,
    method: str,
    query: tuple[tuple[str, str], ...],
    body: bytes,
    *,
    key: str | None = None,
) -> S3Request:
    """Return a request that sends a document, with the checksums that services require of one."""
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    headers = {"content-md5": md5, "content-type": "application/xml"}
    return S3Request(operation, method, key, query, headers, body, hashlib.sha256(body).hexdigest())


@dataclass(slots=True)
class S3Response:
    """A whole response that reports success."""

    headers: Mapping[str, str]
    body: bytes
    root: Element | None = None

    def document(self, *names: str) -> Element:
        """Return the root element. Raises ServiceError unless it has one of *names*."""
        root = parse(self.body) if self.root is None else self.root
        if root.name not in names:
            raise unreadable(f"expected <{'> or <'.join(names)}>, got <{root.name[:50]}>")
        return root


@dataclass(frozen=True, slots=True)
class ServiceLocation:
    """Where a bucket's requests go, and what signs them for *region*."""

    client: HTTPClient
    address: BucketAddress
    signer: Signer
    region: str


class S3Service:
    """Sends requests to one bucket. Safe to use from many tasks or threads at once.

    *locate* returns where the bucket is when it is in that region. Without *credentials* nothing is
    signed.
    """

    def __init__(
        self,
        locate: Callable[[str], ServiceLocation],
        region: str,
        limits: Limits,
        *,
        credentials: CredentialProvider | None,
        offload: Offload,
    ) -> None:
        self._locate = locate
        self._at = locate(region)
        self._former: list[HTTPClient] = []
        self._limits = limits
        self._credentials = credentials
        self.offload = offload
        self.network = self._at.client.network
        self._budget = RetryBudget()
        self._clock = ServiceClock()
        self.retries = 0
        self._customer_key: dict[str, dict[str, str]] = {}  # headers by operation

    @property
    def secure(self) -> bool:
        """Whether TLS protects what is sent."""
        return self._at.client.endpoint.secure

    @property
    def address(self) -> str:
        """Server and bucket, as text that no other bucket has."""
        at = self._at
        return f"{at.client.authority}{at.address.path}/{at.address.bucket}"

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self._at.address.bucket

    @property
    def region(self) -> str:
        """The region that the bucket is in, as far as is known."""
        return self._at.region

    def encrypted_with(self, key: bytes) -> S3Service:
        """Return the same service, whose requests for objects carry *key*.

        Raises ConfigurationError without TLS.
        """
        if not self.secure:
            raise ConfigurationError("a key of one's own is sent over TLS alone: use https://")
        keyed = copy(self)
        keyed._customer_key = customer_key_headers(key)  # noqa: SLF001 - its own
        return keyed

    def copy_source(self, key: str) -> str:
        """Return how a copy names *key*."""
        named = key_path(key)
        bucket = self.bucket
        return f"{bucket}/object/{named}" if bucket.startswith("arn:") else f"/{bucket}/{named}"

    def close(self) -> None:
        """Let go of the connections. Idempotent."""
        for client in (*self._former, self._at.client):
            client.close()

    async def pause(self, attempt: int) -> bool:
        """Wait before what a service refused within an answer is asked again.

        Returns False, at once, when *attempt* was the last, or the budget is spent.
        """
        if attempt >= self._limits.attempts or not self._budget.spend():
            return False
        self.retries += 1
        await self.network.sleep(backoff(attempt, None))
        return True

    async def call(self, request: S3Request) -> S3Response:
        """Return the whole response to *request*.

        Raises ServiceError for a refusal, UnavailableError when no retry helped, IntegrityError
        for a body that doesn't arrive whole, ConfigurationError for what says that the address or
        the credentials are wrong.
        """
        return await self._repeat(request, self._whole)

    async def open(self, request: S3Request) -> HTTPResponse:
        """Return the response to *request* with its body still to come; raises as `call` does."""
        return await self._repeat(request, _as_it_is)

    async def presign(
        self,
        address: BucketAddress,
        key: str,
        parameters: list[tuple[str, str]],
        options: PresignOptions,
    ) -> PresignedURL:
        """Return a URL for *key* at *address*, where those who get it reach the service."""
        credentials = await self._signing_credentials("presign")
        now = self._clock.now().replace(microsecond=0)
        ends = credentials.until(now + options.expires)
        sent = {}
        if options.method == "PUT" and options.content_type is not None:
            sent["content-type"] = options.content_type
        path = address.prefix + key_path(key)
        query = self._at.signer.presign(
            options.method,
            path,
            [*parameters, ("X-Amz-Expires", str(int((ends - now).total_seconds())))],
            headers={"host": address.endpoint.authority, **sent},
            credentials=credentials,
            now=now,
        )
        return PresignedURL(options.method, f"{address.endpoint.url}{path}?{query}", sent, ends)

    async def presign_post(
        self, address: BucketAddress, key: str, options: PresignPostOptions
    ) -> PresignedPost:
        """Return a form for *key* at *address*, where those who get it reach the service."""
        credentials = await self._signing_credentials("presign_post")
        now = self._clock.now().replace(microsecond=0)
        signer = self._at.signer
        return signed_form(address, key, options, signer=signer, credentials=credentials, now=now)

    async def _signing_credentials(self, what: str) -> Credentials:
        if self._credentials is None:
            raise ConfigurationError(f"{what}: a bucket that is opened anonymous signs nothing")
        return await self._credentials.current(self.offload)

    async def _repeat(
        self, request: S3Request, finish: Callable[[S3Request, HTTPResponse], Awaitable[T]]
    ) -> T:
        deadline = Deadline(self._limits)
        attempt = renewals = turns = 0
        moved = False
        while True:
            attempt += 1
            wish: str | None = None  # of the service: how long to wait
            date: str | None = None  # its time
            failure: Exception
            at, keys, now = self._at, None, self._clock.now()
            try:
                if self._credentials is not None:
                    keys = await self._credentials.current(self.offload)
                sent = self._request(request, at, keys, now)
                response = await at.client.send(sent, deadline)
                wish, date = response.headers.get("retry-after"), response.headers.get("date")
                result = await self._checked_response(request, response, finish)
            except ssl.SSLCertVerificationError as error:
                raise UnavailableError(
                    f"{at.client.authority} is not trusted: {error.verify_message}"
                ) from error
            except OSError as error:  # TimeoutError is one too
                failure = transport_failure(
                    self._named(request), at.client.authority, attempt, error
                )
            except ServiceError as error:
                if (
                    not moved
                    and isinstance(error, ElsewhereError)
                    and self._follow_region(at, error)
                ):
                    moved = True
                    continue
                if turns < _MOST_TURNS and self._clock_was_off(error, date, now):
                    turns += 1
                    self.retries += 1
                    continue
                if renewals < _MOST_RENEWALS and await self._renew_credentials(error, keys):
                    renewals += 1
                    self.retries += 1
                    continue
                if not passing(error):
                    raise meaning(error) from error.__cause__
                failure = last_word(error)
            else:
                self._budget.earn()
                return result
            if attempt >= self._limits.attempts or not self._budget.spend():
                raise failure
            seconds = backoff(attempt, retry_after(wish, deadline.left))
            if seconds >= deadline.left:
                raise failure
            self.retries += 1
            await self.network.sleep(seconds)

    async def _renew_credentials(self, error: ServiceError, used: Credentials | None) -> bool:
        """Ask for another key than *used*, which may be why *error* came; tell whether there is."""
        sure = error.code in KEY_REFUSED
        vague = error.status in _MAYBE_REFUSED and error.code == f"Status{error.status}"
        if self._credentials is None or used is None or not (sure or vague):
            return False
        return await self._credentials.replaced(self.offload, used, sure=sure)

    def _clock_was_off(self, error: ServiceError, date: str | None, signed: datetime) -> bool:
        """Return whether *error* may come of the time when it was *signed*; then set the clock."""
        refused = self._credentials is not None and error.status in _MAYBE_REFUSED
        return refused and self._clock.follow(date, signed)

    def _follow_region(self, at: ServiceLocation, error: ElsewhereError) -> bool:
        """Go to the region that *error* names; tell whether it is another than *at*."""
        if error.region == at.region:
            return False
        if self._at is at:  # else another request was faster
            there = self._locate(error.region)
            if there.client.endpoint == at.client.endpoint:
                there = replace(there, client=at.client)
            else:
                self._former.append(at.client)
            self._at = there
        return True

    def _request(
        self,
        request: S3Request,
        at: ServiceLocation,
        credentials: Credentials | None,
        now: datetime,
    ) -> HTTPRequest:
        path = at.address.prefix
        path = path.rstrip("/") or "/" if request.key is None else path + key_path(request.key)
        query = query_string(request.query) if request.query else ""
        headers = {"host": at.client.authority, **request.headers}
        if self._customer_key:
            headers |= self._customer_key.get(request.operation, {})
        if credentials is not None:
            headers["x-amz-content-sha256"] = request.sha256 or UNSIGNED
            at.signer.sign(
                request.method,
                path,
                query,
                headers=headers,
                credentials=credentials,
                now=now,
            )
        size = len(request.body) if isinstance(request.body, bytes) else request.body.size
        if size or request.method in ("PUT", "POST"):
            headers["content-length"] = str(size)
        return HTTPRequest(
            request.method, f"{path}?{query}" if query else path, headers, request.body
        )

    async def _checked_response(
        self,
        request: S3Request,
        response: HTTPResponse,
        finish: Callable[[S3Request, HTTPResponse], Awaitable[T]],
    ) -> T:
        try:
            if response.status < 300:
                return await finish(request, response)
            body = await response.read(_LONGEST_ANSWER)
        except BaseException:
            response.close()
            raise
        response.close()
        raise self._refusal(request, response.status, response.headers, body)

    async def _whole(self, request: S3Request, response: HTTPResponse) -> S3Response:
        body = await response.read(_LONGEST_ANSWER)
        response.close()
        root = parsed(body)
        if root is not None and root.name == "Error":
            # Long operations begin with 200 and report only at the end that they failed.
            raise self._refusal(request, response.status, response.headers, body)
        return S3Response(response.headers, body, root)

    def _refusal(
        self, request: S3Request, status: int, headers: Mapping[str, str], body: bytes
    ) -> ServiceError:
        code, message = code_of(status, body)
        if status in (301, 307, 308) and code not in MISCONFIGURED:
            code = "PermanentRedirect"
        region = headers.get("x-amz-bucket-region") or region_in(body)
        if _REGION.fullmatch(region):
            message += f" (the bucket's region is {region})"
            if status in _ELSEWHERE and region != self._at.region:
                elsewhere = ElsewhereError(self._named(request), status, code, message)
                elsewhere.region = region
                return elsewhere
        return ServiceError(self._named(request), status, code, message)

    def _named(self, request: S3Request) -> str:
        key = "" if request.key is None else f" of {request.key!r}"
        return f"{request.operation}{key} in the bucket {self.bucket!r}"


async def _as_it_is(_ask: S3Request, response: HTTPResponse) -> HTTPResponse:
    return response
