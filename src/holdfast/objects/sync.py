"""The blocking twin of `holdfast.objects`: the same names, without ``await``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, overload

from holdfast.aws.sockets import SocketNetwork
from holdfast.blocking import iterate, run
from holdfast.objects.bucket import PutOptions
from holdfast.objects.driver import Grant
from holdfast.objects.drivers.s3.options import S3Options
from holdfast.objects.opening import DiskOptions, Options, plan_of, started
from holdfast.offload import Inline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from datetime import timedelta
    from pathlib import Path

    from holdfast.objects import bucket, reader
    from holdfast.objects.driver import Capability, CommonPrefix, ObjectInfo, Presigned
    from holdfast.objects.sources import BlockingBody
    from holdfast.objects.transfer import Progress

__all__ = ["Bucket", "DiskOptions", "ObjectReader", "PutOptions", "S3Options", "open_bucket"]

T = TypeVar("T")

_PLAIN = PutOptions()
_READ = Grant()


def open_bucket(
    url: str | Path, *, options: Options | None = None
) -> AbstractContextManager[Bucket]:
    """Return a context manager that opens the bucket at *url*, as `holdfast.objects` does."""
    plan = plan_of(url, options)
    return _opened(started(plan, Inline(), SocketNetwork))


@contextmanager
def _opened(manager: AbstractAsyncContextManager[bucket.Bucket]) -> Iterator[Bucket]:
    with _entered(manager) as opened:
        yield Bucket(opened)


@contextmanager
def _entered(manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
    entered = run(manager.__aenter__())
    try:
        yield entered
    except BaseException as error:
        if not run(manager.__aexit__(type(error), error, error.__traceback__)):
            raise
    else:
        run(manager.__aexit__(None, None, None))


class ObjectReader:
    """The bytes of one object, in order: a readable binary file and an iterator of windows."""

    def __init__(self, opened: reader.ObjectReader) -> None:
        self._reader = opened
        self.info = opened.info

    def read(self, size: int = -1) -> bytes:
        """Return the next *size* bytes, fewer only at the end, all that are left when negative."""
        return run(self._reader.read(size))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def __iter__(self) -> Iterator[bytes]:
        """Yield what is left, in windows of at most 256 KiB."""
        return iterate(self._reader.__aiter__())


class Bucket:
    """`holdfast.objects.Bucket` for code that blocks: every promise is the same.

    Safe to use from many threads at once.
    """

    def __init__(self, opened: bucket.Bucket) -> None:
        self._bucket = opened

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._bucket.capabilities

    def put(
        self,
        key: str,
        body: BlockingBody,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        options: PutOptions = _PLAIN,
    ) -> ObjectInfo:
        return run(
            self._bucket.put(
                key, body, content_type=content_type, metadata=metadata, options=options
            )
        )

    def get(
        self,
        key: str,
        *,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
    ) -> bytes:
        return run(self._bucket.get(key, start=start, end=end, if_match=if_match))

    @contextmanager
    def open(self, key: str) -> Iterator[ObjectReader]:
        with _entered(self._bucket.open(key)) as opened:
            yield ObjectReader(opened)

    def upload(
        self,
        path: str | Path,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        return run(
            self._bucket.upload(
                path, key, content_type=content_type, metadata=metadata, progress=progress
            )
        )

    def download(
        self, key: str, path: str | Path, *, progress: Progress | None = None
    ) -> ObjectInfo:
        return run(self._bucket.download(key, path, progress=progress))

    def head(self, key: str) -> ObjectInfo | None:
        return run(self._bucket.head(key))

    def exists(self, key: str) -> bool:
        return run(self._bucket.exists(key))

    @overload
    def list(
        self, prefix: str = "", *, delimiter: None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo]: ...
    @overload
    def list(
        self, prefix: str = "", *, delimiter: str, start_after: str | None = None
    ) -> Iterator[ObjectInfo | CommonPrefix]: ...
    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> Iterator[ObjectInfo] | Iterator[ObjectInfo | CommonPrefix]:
        if delimiter is None:
            return iterate(self._bucket.list(prefix, start_after=start_after))
        return iterate(self._bucket.list(prefix, delimiter=delimiter, start_after=start_after))

    def delete(self, key: str) -> bool:
        return run(self._bucket.delete(key))

    def delete_many(self, keys: Iterable[str]) -> int:
        return run(self._bucket.delete_many(keys))

    def copy(self, source: str, target: str) -> ObjectInfo:
        return run(self._bucket.copy(source, target))

    def as_file(self, key: str) -> AbstractContextManager[Path]:
        return _entered(self._bucket.as_file(key))

    def presign(self, key: str, grant: Grant = _READ) -> Presigned:
        return run(self._bucket.presign(key, grant))

    def sweep_incomplete(self, older_than: timedelta) -> int:
        return run(self._bucket.sweep_incomplete(older_than))

    def sweep(self) -> int:
        return run(self._bucket.sweep())
