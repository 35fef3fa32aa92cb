"""Sends signed requests to one bucket of S3, with retries."""

from __future__ import annotations

import base64
import hashlib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from holdfast.aws.http import Deadline, HTTPRequest
from holdfast.aws.retry import RetryBudget, backoff, retry_after
from holdfast.aws.signature import EMPTY_SHA256, UNSIGNED, query_string
from holdfast.errors import ConfigurationError, IntegrityError, ServiceError, UnavailableError
from holdfast.objects.drivers.s3.post_policy import signed_form
from holdfast.objects.drivers.s3.xml_document import Element, parse, unreadable
from holdfast.objects.presign import PresignedURL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from holdfast.aws.client import HTTPClient, HTTPResponse
    from holdfast.aws.http import Limits, RequestBody
    from holdfast.aws.signature import CredentialProvider, Signer
    from holdfast.objects.drivers.s3.options import BucketAddress
    from holdfast.objects.presign import PresignedPost, PresignOptions, PresignPostOptions
    from holdfast.offload import Offload

T = TypeVar("T")

_LONGEST_ANSWER = 16 * 1024 * 1024
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_CODES = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "Throttling",
        "ThrottlingException",
    }
)
# What arrived is not what was sent: sent again, and then it is an IntegrityError.
_DAMAGED = frozenset(
    {
        "BadDigest",
        "InvalidDigest",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
_STALE_CREDENTIALS = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_MISCONFIGURED = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "InvalidAccessKeyId",
        "NoSuchBucket",
        "PermanentRedirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TemporaryRedirect",
    }
)


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

    def document(self, *names: str) -> Element:
        """Return the root element. Raises ServiceError unless it has one of *names*."""
        root = parse(self.body)
        if root.name not in names:
            raise unreadable(f"expected <{'> or <'.join(names)}>, got <{root.name[:50]}>")
        return root


class S3Service:
    """Sends requests to one bucket. Safe to use from many tasks or threads at once."""

    def __init__(
        self,
        client: HTTPClient,
        address: BucketAddress,
        limits: Limits,
        *,
        signer: Signer,
        credentials: CredentialProvider,
        offload: Offload,
    ) -> None:
        self._client = client
        self._address = address
        self._limits = limits
        self._signer = signer
        self._credentials = credentials
        self.offload = offload
        self.network = client.network
        self._budget = RetryBudget()
        self.retries = 0

    @property
    def secure(self) -> bool:
        """Whether TLS protects what is sent."""
        return self._client.endpoint.secure

    @property
    def address(self) -> str:
        """Server and bucket, as text that no other bucket has."""
        return f"{self._client.authority}/{self._address.bucket}"

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self._address.bucket

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
        credentials = await self._credentials.current(self.offload)
        now = datetime.now(UTC).replace(microsecond=0)
        ends = min(now + options.expires, credentials.expires or datetime.max.replace(tzinfo=UTC))
        sent = {}
        if options.method == "PUT" and options.content_type is not None:
            sent["content-type"] = options.content_type
        path = address.prefix + quote(key, safe="-_.~/")
        query = self._signer.presign(
            options.method,
            path,
            [*parameters, ("X-Amz-Expires", str(int((ends - now).total_seconds())))],
            headers={"host": address.endpoint.authority, **sent},
            credentials=credentials,
            now=now,
        )
        scheme = "https" if address.endpoint.secure else "http"
        url = f"{scheme}://{address.endpoint.authority}{path}?{query}"
        return PresignedURL(options.method, url, sent, ends)

    async def presign_post(
        self, address: BucketAddress, key: str, options: PresignPostOptions
    ) -> PresignedPost:
        """Return a form for *key* at *address*, where those who get it reach the service."""
        credentials = await self._credentials.current(self.offload)
        return signed_form(address, key, options, signer=self._signer, credentials=credentials)

    async def _repeat(
        self, request: S3Request, finish: Callable[[S3Request, HTTPResponse], Awaitable[T]]
    ) -> T:
        deadline = Deadline(self._limits)
        attempt = 0
        while True:
            attempt += 1
            wish: str | None = None  # of the service: how long to wait
            failure: Exception
            try:
                response = await self._client.send(await self._request(request), deadline)
                wish = response.headers.get("retry-after")
                result = await self._finished(request, response, finish)
            except ssl.SSLCertVerificationError as error:
                raise UnavailableError(
                    f"{self._client.authority} is not trusted: {error.verify_message}"
                ) from error
            except OSError as error:  # TimeoutError is one too
                failure = UnavailableError(
                    f"{self._named(request)}: {self._client.authority} failed after "
                    f"{attempt} attempts: {type(error).__name__}: {error}"
                )
                failure.__cause__ = error
            except ServiceError as error:
                if not _passing(error):
                    raise _meaning(error) from error.__cause__
                failure = _last_word(error)
            else:
                if self._budget.tokens < self._budget.most:
                    self._budget.earn()
                return result
            if attempt >= self._limits.attempts or not self._budget.spend():
                raise failure
            seconds = backoff(attempt, retry_after(wish, deadline.left))
            if seconds >= deadline.left:
                raise failure
            self.retries += 1
            await self.network.sleep(seconds)

    async def _request(self, request: S3Request) -> HTTPRequest:
        credentials = await self._credentials.current(self.offload)
        path = self._address.prefix
        path = (
            path.rstrip("/") or "/"
            if request.key is None
            else path + quote(request.key, safe="-_.~/")
        )
        query = query_string(request.query) if request.query else ""
        headers = {"host": self._client.authority, **request.headers}
        headers["x-amz-content-sha256"] = request.sha256 or UNSIGNED
        self._signer.sign(
            request.method,
            path,
            query,
            headers=headers,
            credentials=credentials,
            now=datetime.now(UTC),
        )
        size = len(request.body) if isinstance(request.body, bytes) else request.body.size
        if size or request.method in ("PUT", "POST"):
            headers["content-length"] = str(size)
        return HTTPRequest(
            request.method, f"{path}?{query}" if query else path, headers, request.body
        )

    async def _finished(
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
        if body.lstrip()[:256].find(b"<Error>") >= 0 and parse(body).name == "Error":
            # Long operations begin with 200 and report only at the end that they failed.
            raise self._refusal(request, response.status, response.headers, body)
        return S3Response(response.headers, body)

    def _refusal(
        self, request: S3Request, status: int, headers: Mapping[str, str], body: bytes
    ) -> ServiceError:
        code, message = _code(status, body)
        if status in (301, 307, 308) and code not in _MISCONFIGURED:
            code = "PermanentRedirect"
        region = headers.get("x-amz-bucket-region")
        if region:
            message += f" (the bucket's region is {region})"
        return ServiceError(self._named(request), status, code, message)

    def _named(self, request: S3Request) -> str:
        key = "" if request.key is None else f" of {request.key!r}"
        return f"{request.operation}{key} in the bucket {self._address.bucket!r}"


async def _as_it_is(_ask: S3Request, response: HTTPResponse) -> HTTPResponse:
    return response


def _meaning(error: ServiceError) -> Exception:
    return ConfigurationError(str(error)) if error.code in _MISCONFIGURED else error


def _passing(error: ServiceError) -> bool:
    return (
        error.status in _PASSING_STATUS
        or error.code in _PASSING_CODES
        or error.code in _DAMAGED
        or error.code in _STALE_CREDENTIALS
    )


def _last_word(error: ServiceError) -> Exception:
    if error.code in _DAMAGED:
        return IntegrityError(str(error))
    if error.code in _STALE_CREDENTIALS:
        return ConfigurationError(str(error))
    failure = UnavailableError(str(error))
    failure.__cause__ = error
    return failure


def _code(status: int, body: bytes) -> tuple[str, str]:
    if body.lstrip().startswith(b"<"):
        try:
            root = parse(body)
        except ServiceError:
            pass  # a proxy's page in HTML: the status is all there is
        else:
            if root.name == "Error":
                return root.get("Code") or f"{status}", root.get("Message") or "no reason given"
    return f"Status{status}", "no reason given"
