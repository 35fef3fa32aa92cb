"""Signed requests to one bucket, repeated while that helps."""

from __future__ import annotations

import base64
import hashlib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from holdfast.aws.http import Request
from holdfast.aws.patience import Budget, Patience, pause, retry_after
from holdfast.aws.signing import EMPTY_SHA256, UNSIGNED, query_string
from holdfast.errors import ConfigurationError, IntegrityError, ServiceError, UnavailableError
from holdfast.objects.drivers.s3.document import Element, parse, unreadable
from holdfast.objects.drivers.s3.posting import form
from holdfast.objects.grants import Presigned

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from holdfast.aws.client import Client, Response
    from holdfast.aws.credentials import Wallet
    from holdfast.aws.http import Content
    from holdfast.aws.patience import Limits
    from holdfast.aws.signing import Signer
    from holdfast.objects.drivers.s3.options import Place
    from holdfast.objects.grants import Grant, PostGrant, PresignedPost
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
# What arrived is not what was sent: once more, and then it is an IntegrityError.
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
class Ask:
    """One request as S3 knows it: *operation* is its name there, *key* None for the bucket.

    *sha256* is the body's, None where the wire's own checks stand for it.
    """

    operation: str
    method: str
    key: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Content = b""
    sha256: str | None = EMPTY_SHA256


def sending(
    operation: str,
    method: str,
    query: tuple[tuple[str, str], ...],
    body: bytes,
    *,
    key: str | None = None,
) -> Ask:
    """Return an ask that sends a document, with the checksums that services want for one."""
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    headers = {"content-md5": md5, "content-type": "application/xml"}
    return Ask(operation, method, key, query, headers, body, hashlib.sha256(body).hexdigest())


@dataclass(slots=True)
class Reply:
    """A whole answer, and the server's word for success."""

    headers: Mapping[str, str]
    body: bytes

    def document(self, *names: str) -> Element:
        """Return the root, which has one of *names*: a page of HTML is no empty listing.

        Raises ServiceError.
        """
        root = parse(self.body)
        if root.name not in names:
            raise unreadable(f"expected <{'> or <'.join(names)}>, got <{root.name[:50]}>")
        return root


class Service:
    """Sends asks to one bucket. Safe to use from many tasks or threads at once."""

    def __init__(
        self,
        client: Client,
        place: Place,
        limits: Limits,
        *,
        signer: Signer,
        wallet: Wallet,
        offload: Offload,
    ) -> None:
        self._client = client
        self._place = place
        self._limits = limits
        self._signer = signer
        self._wallet = wallet
        self.offload = offload
        self.network = client.network
        self._budget = Budget()
        self.retries = 0

    @property
    def secure(self) -> bool:
        """Whether the wire itself protects what is sent."""
        return self._client.origin.secure

    @property
    def address(self) -> str:
        """What tells this bucket from those of other servers."""
        return f"{self._client.origin.authority}/{self._place.bucket}"

    @property
    def bucket(self) -> str:
        return self._place.bucket

    async def call(self, ask: Ask) -> Reply:
        """Return the whole answer to *ask*.

        Raises ServiceError for a refusal, UnavailableError when no repetition helped,
        IntegrityError for a body that doesn't arrive whole, ConfigurationError for what says that
        the place or the keys are wrong.
        """
        return await self._repeat(ask, self._whole)

    async def open(self, ask: Ask) -> Response:
        """Return the answer to *ask* with its body still to come; errors as of `call`."""
        return await self._repeat(ask, _as_it_is)

    async def presign(
        self, place: Place, key: str, parameters: list[tuple[str, str]], grant: Grant
    ) -> Presigned:
        """Return a URL for *key* at *place*, where its holder reaches the service."""
        credentials = await self._wallet.current(self.offload)
        now = datetime.now(UTC).replace(microsecond=0)
        ends = min(now + grant.expires, credentials.expires or datetime.max.replace(tzinfo=UTC))
        sent = {}
        if grant.method == "PUT" and grant.content_type is not None:
            sent["content-type"] = grant.content_type
        path = place.prefix + quote(key, safe="-_.~/")
        query = self._signer.presign(
            grant.method,
            path,
            [*parameters, ("X-Amz-Expires", str(int((ends - now).total_seconds())))],
            headers={"host": place.origin.authority, **sent},
            credentials=credentials,
            now=now,
        )
        scheme = "https" if place.origin.secure else "http"
        url = f"{scheme}://{place.origin.authority}{path}?{query}"
        return Presigned(grant.method, url, sent, ends)

    async def presign_post(self, place: Place, key: str, grant: PostGrant) -> PresignedPost:
        """Return a form for *key* at *place*, where its holder reaches the service."""
        credentials = await self._wallet.current(self.offload)
        return form(place, key, grant, signer=self._signer, credentials=credentials)

    async def _repeat(self, ask: Ask, finish: Callable[[Ask, Response], Awaitable[T]]) -> T:
        patience = Patience(self._limits)
        attempt = 0
        while True:
            attempt += 1
            asked_for = None
            failure: Exception
            try:
                response = await self._client.send(await self._request(ask), patience)
                asked_for = retry_after(response.headers.get("retry-after"), patience.left)
                result = await self._finished(ask, response, finish)
            except ssl.SSLCertVerificationError as error:
                raise UnavailableError(
                    f"{self._client.origin.authority} is not trusted: {error.verify_message}"
                ) from error
            except OSError as error:  # TimeoutError is one too
                failure = UnavailableError(
                    f"{self._named(ask)}: {self._client.origin.authority} failed after "
                    f"{attempt} attempts: {type(error).__name__}: {error}"
                )
                failure.__cause__ = error
            except ServiceError as error:
                if not _passing(error):
                    raise _meaning(error) from error.__cause__
                failure = _last_word(error)
            else:
                self._budget.earn()
                return result
            if attempt >= self._limits.attempts or not self._budget.spend():
                raise failure
            seconds = pause(attempt, asked_for)
            if seconds >= patience.left:
                raise failure
            self.retries += 1
            await self.network.sleep(seconds)

    async def _request(self, ask: Ask) -> Request:
        credentials = await self._wallet.current(self.offload)
        path = self._place.prefix
        path = path.rstrip("/") or "/" if ask.key is None else path + quote(ask.key, safe="-_.~/")
        query = query_string(ask.query) if ask.query else ""
        headers = {"host": self._client.origin.authority, **ask.headers}
        headers["x-amz-content-sha256"] = ask.sha256 or UNSIGNED
        self._signer.sign(
            ask.method,
            path,
            query,
            headers=headers,
            credentials=credentials,
            now=datetime.now(UTC),
        )
        size = len(ask.body) if isinstance(ask.body, bytes) else ask.body.size
        if size or ask.method in ("PUT", "POST"):
            headers["content-length"] = str(size)
        return Request(ask.method, f"{path}?{query}" if query else path, headers, ask.body)

    async def _finished(
        self, ask: Ask, response: Response, finish: Callable[[Ask, Response], Awaitable[T]]
    ) -> T:
        try:
            if response.status < 300:
                return await finish(ask, response)
            body = await response.read(_LONGEST_ANSWER)
        except BaseException:
            response.close()
            raise
        response.close()
        raise self._refusal(ask, response.status, response.headers, body)

    async def _whole(self, ask: Ask, response: Response) -> Reply:
        body = await response.read(_LONGEST_ANSWER)
        response.close()
        if body.lstrip()[:256].find(b"<Error>") >= 0 and parse(body).name == "Error":
            # Long operations begin with 200 and say only in the end that they failed.
            raise self._refusal(ask, response.status, response.headers, body)
        return Reply(response.headers, body)

    def _refusal(
        self, ask: Ask, status: int, headers: Mapping[str, str], body: bytes
    ) -> ServiceError:
        code, message = _code(status, body)
        if status in (301, 307, 308) and code not in _MISCONFIGURED:
            code = "PermanentRedirect"
        region = headers.get("x-amz-bucket-region")
        if region:
            message += f" (the bucket's region is {region})"
        return ServiceError(self._named(ask), status, code, message)

    def _named(self, ask: Ask) -> str:
        key = "" if ask.key is None else f" of {ask.key!r}"
        return f"{ask.operation}{key} in the bucket {self._place.bucket!r}"


async def _as_it_is(_ask: Ask, response: Response) -> Response:
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
