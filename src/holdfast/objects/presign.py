"""Presigned URLs and forms: what they permit, and what they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, get_args

from holdfast.errors import InvalidValueError
from holdfast.objects.checks import check_count, check_header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_MOST_POSTED = 5 * 1024**3
_LONGEST = timedelta(days=7)
_MOST_PARTS = 10_000
_ANSWERED = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    }
)
Method = Literal["GET", "HEAD", "PUT", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignOptions:
    """What a presigned URL permits.

    *expires*: for how long, a second to 7 days. *content_type*: of a GET's answer, or what a PUT
    has to send. *filename*: under which name a browser saves what it GETs. *answer*: further
    headers of a GET's or HEAD's answer, of ``cache-control``, ``content-disposition``,
    ``content-encoding``, ``content-language``, ``content-type`` and ``expires``. *upload* and
    *part*: a PUT of that part, from 1 on, of the upload in parts with that id.
    """

    method: Method = "GET"
    expires: timedelta = timedelta(hours=1)
    content_type: str | None = None
    filename: str | None = None
    answer: Mapping[str, str] = field(default_factory=dict)
    upload: str | None = None
    part: int | None = None

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise InvalidValueError(
                "presign", "method", f"expected GET, HEAD, PUT or DELETE, got {self.method!r}"
            )
        self._check_answer()
        self._check_part()
        _check_expiry("presign", self.expires)
        _check_type("presign", self.content_type)
        if self.filename is not None and (
            self.method != "GET"
            or not isinstance(self.filename, str)
            or not self.filename.isprintable()
        ):
            raise InvalidValueError(
                "presign", "filename", "expected printable text, and only with GET"
            )

    def _check_answer(self) -> None:
        for name, text in self.answer.items():
            if self.method not in ("GET", "HEAD") or name not in _ANSWERED:
                raise InvalidValueError(
                    "presign",
                    "answer",
                    f"{name!r}: expected one of {', '.join(sorted(_ANSWERED))}, with GET or HEAD",
                )
            check_header(name, text)
        if "content-disposition" in self.answer and self.filename is not None:
            raise InvalidValueError("presign", "answer", "filename is a content-disposition too")
        if "content-type" in self.answer and self.content_type is not None:
            raise InvalidValueError("presign", "answer", "content_type is given twice")

    def _check_part(self) -> None:
        if self.upload is None and self.part is None:
            return
        number = self.part
        whole = isinstance(number, int) and not isinstance(number, bool)
        if not whole or number is None or not 1 <= number <= _MOST_PARTS:
            raise InvalidValueError(
                "presign", "part", f"expected 1 to {_MOST_PARTS}, and an upload, got {number!r}"
            )
        if self.method != "PUT" or not isinstance(self.upload, str) or not self.upload:
            raise InvalidValueError("presign", "upload", "expected the id of one, with PUT")


@dataclass(frozen=True, slots=True)
class PresignedURL:
    """A URL that carries a permission, for *method*.

    *headers* have to be sent along; *expires* is an aware time.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str]
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignPostOptions:
    """What a presigned form permits a browser to send.

    *expires*: for how long, a second to 7 days. *content_type*: what the file has to be, None for
    anything. *least* and *most*: how many bytes it has to have.
    """

    expires: timedelta = timedelta(hours=1)
    content_type: str | None = None
    least: int = 0
    most: int = _MOST_POSTED

    def __post_init__(self) -> None:
        _check_expiry("presign_post", self.expires)
        _check_type("presign_post", self.content_type)
        check_count(self.least, of="presign_post", field="least")
        check_count(self.most, of="presign_post", field="most")
        if not 0 <= self.least <= self.most <= _MOST_POSTED:
            raise InvalidValueError(
                "presign_post",
                "most",
                f"expected 0 <= least <= most <= 5 GiB, got least={self.least}, most={self.most}",
            )


@dataclass(frozen=True, slots=True)
class PresignedPost:
    """A form that carries a permission: POST *fields*, then the file as ``file``, to *url*.

    *expires* is an aware time.
    """

    url: str
    fields: Mapping[str, str] = field(repr=False)
    expires: datetime


def _check_expiry(what: str, expires: timedelta) -> None:
    if not isinstance(expires, timedelta):
        raise InvalidValueError(what, "expires", f"expected a timedelta, got {expires!r}")
    if not timedelta(seconds=1) <= expires <= _LONGEST:
        raise InvalidValueError(what, "expires", f"expected a second to 7 days, got {expires}")


def _check_type(what: str, content_type: str | None) -> None:
    if content_type is not None and not isinstance(content_type, str):
        raise InvalidValueError(what, "content_type", f"expected text, got {content_type!r}")
