"""The dependency by which a route receives an upload before it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import Request, params

from holdfast.fastapi.exchange import exchange_of
from holdfast.fastapi.transfers.request_body import UploadLimits
from holdfast.fastapi.transfers.upload_request import ReceivedUpload, receive_upload
from holdfast.objects import PutOptions
from holdfast.option_checks import check_kind

ChooseKey: TypeAlias = Callable[[Request], str]
"""Makes the key of a new object for a request."""

_LIMITS = UploadLimits()
_OPTIONS = PutOptions()


@dataclass(frozen=True, eq=False)
class UploadTo:
    """The dependency that `upload_to` returns."""

    key: ChooseKey
    limits: UploadLimits
    options: PutOptions

    async def __call__(self, request: Request) -> AsyncIterator[ReceivedUpload]:
        """Yield what was received, in the application's bucket; remove it when the route fails."""
        bucket = exchange_of(request).resources.bucket
        async with receive_upload(
            request, bucket, self.key(request), limits=self.limits, options=self.options
        ) as received:
            yield received


def upload_to(
    key: ChooseKey, *, limits: UploadLimits = _LIMITS, options: PutOptions = _OPTIONS
) -> params.Depends:
    """Return the dependency that receives the request's file into the application's bucket.

    `upload: Annotated[ReceivedUpload, upload_to(lambda _: f"videos/{uuid7()}")]`. The file is
    received before the request's transaction begins, and removed when the route raises or that
    transaction fails to commit; see `receive_upload`. What stands in `dependencies=` of the route,
    its router or the application, such as who may upload, comes before it, outside of that
    transaction. The limit on bodies does not count for it, *limits* do.
    """
    check_kind(limits, UploadLimits, "limits")
    check_kind(options, PutOptions)
    return params.Depends(UploadTo(key, limits, options), scope="function")
