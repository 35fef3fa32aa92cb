"""The blocking twin of `holdfast.objects`: the same names, without ``await``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, overload

from holdfast.blocking import BlockingTwin, blocking, documented_by, iterate, run
from holdfast.objects.administration import Administration as AsyncAdministration
from holdfast.objects.bucket import Bucket as AsyncBucket
from holdfast.objects.connect import DiskOptions, Options, connected, plan_of
from holdfast.objects.drivers.s3.options import S3Options
from holdfast.objects.instrumentation import NO_HOOKS, Hooks
from holdfast.objects.reader import ObjectReader as AsyncObjectReader
from holdfast.objects.upload import PutOptions
from holdfast.offload import Inline
from holdfast.opening import BlockingOpening
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from holdfast.objects.body import BlockingBody
    from holdfast.objects.compression import Compression
    from holdfast.objects.driver import BucketCapability
    from holdfast.objects.filter import Filter
    from holdfast.objects.object_info import CommonPrefix, ObjectInfo, ObjectVersion, Upload
    from holdfast.stats import Stats

__all__ = [
    "Administration",
    "Bucket",
    "DiskOptions",
    "ObjectReader",
    "PutOptions",
    "S3Options",
    "open_bucket",
]


T = TypeVar("T")

_DEFAULTS = PutOptions()


def open_bucket(
    url: str | Path, *, options: Options | None = None, hooks: Hooks = NO_HOOKS
) -> BlockingOpening[Bucket]:
    """Return a context manager that opens the bucket at *url*, as `holdfast.objects` does.

    Nothing in *hooks* may wait for an event loop. Raises as `holdfast.objects.open_bucket` does.
    """
    check_kind(hooks, Hooks, "hooks")
    plan = plan_of(url, options)

    @contextmanager
    def opened() -> Iterator[Bucket]:
        with _entered(connected(plan, Inline(), hooks, blocking=True)) as bucket:
            yield Bucket(bucket)

    return BlockingOpening(opened(), "bucket")


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


class ObjectReader(BlockingTwin[AsyncObjectReader]):
    """The bytes of one object, in order: a readable binary file and an iterator of windows.

    Reading up to the end checks all bytes against the stored checksum: IntegrityError.
    """

    def __init__(self, asynchronous: AsyncObjectReader) -> None:
        self.asynchronous = asynchronous
        self.info = asynchronous.info

    read = blocking(AsyncObjectReader.read)

    def readable(self) -> bool:
        """Return True, as binary files say it."""
        return True

    def seekable(self) -> bool:
        """Return False, as binary files say it."""
        return False

    @documented_by(AsyncObjectReader.__aiter__)
    def __iter__(self) -> Iterator[bytes]:
        return iterate(self.asynchronous.__aiter__())


class Bucket(BlockingTwin[AsyncBucket]):
    """`holdfast.objects.Bucket` for code that blocks: every promise is the same.

    Safe to use from many threads at once.
    """

    def __init__(self, asynchronous: AsyncBucket) -> None:
        self.asynchronous = asynchronous

    get = blocking(AsyncBucket.get)
    upload = blocking(AsyncBucket.upload)
    download = blocking(AsyncBucket.download)
    head = blocking(AsyncBucket.head)
    exists = blocking(AsyncBucket.exists)
    delete = blocking(AsyncBucket.delete)
    delete_many = blocking(AsyncBucket.delete_many)
    copy = blocking(AsyncBucket.copy)
    move = blocking(AsyncBucket.move)
    tags = blocking(AsyncBucket.tags)
    set_tags = blocking(AsyncBucket.set_tags)
    restore = blocking(AsyncBucket.restore)
    erase = blocking(AsyncBucket.erase)
    erase_prefix = blocking(AsyncBucket.erase_prefix)
    sync_up = blocking(AsyncBucket.sync_up)
    sync_down = blocking(AsyncBucket.sync_down)
    health = blocking(AsyncBucket.health)
    sweep = blocking(AsyncBucket.sweep)
    sweep_incomplete = blocking(AsyncBucket.sweep_incomplete)
    presign = blocking(AsyncBucket.presign)
    presign_post = blocking(AsyncBucket.presign_post)

    @documented_by(AsyncBucket.put)
    def put(
        self,
        key: str,
        body: BlockingBody,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        options: PutOptions = _DEFAULTS,
    ) -> ObjectInfo:
        return run(
            self.asynchronous.put(
                key, body, content_type=content_type, metadata=metadata, options=options
            )
        )

    @contextmanager
    @documented_by(AsyncBucket.open)
    def open(
        self,
        key: str,
        *,
        start: int | None = None,
        end: int | None = None,
        version: str | None = None,
        if_match: str | None = None,
    ) -> Iterator[ObjectReader]:
        reader = self.asynchronous.open(
            key, start=start, end=end, version=version, if_match=if_match
        )
        with _entered(reader) as opened:
            yield ObjectReader(opened)

    @contextmanager
    @documented_by(AsyncBucket.as_file)
    def as_file(self, key: str) -> Iterator[Path]:
        with _entered(self.asynchronous.as_file(key)) as path:
            yield path

    @overload
    def list(
        self,
        prefix: str = "",
        *,
        delimiter: None = None,
        start_after: str | None = None,
        where: Filter | None = None,
    ) -> Iterator[ObjectInfo]: ...
    @overload
    def list(
        self,
        prefix: str = "",
        *,
        delimiter: str,
        start_after: str | None = None,
        where: Filter | None = None,
    ) -> Iterator[ObjectInfo | CommonPrefix]: ...
    @documented_by(AsyncBucket.list)
    def list(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        where: Filter | None = None,
    ) -> Iterator[ObjectInfo] | Iterator[ObjectInfo | CommonPrefix]:
        if delimiter is None:
            return iterate(self.asynchronous.list(prefix, start_after=start_after, where=where))
        return iterate(
            self.asynchronous.list(
                prefix, delimiter=delimiter, start_after=start_after, where=where
            )
        )

    @documented_by(AsyncBucket.versions)
    def versions(self, prefix: str = "") -> Iterator[ObjectVersion]:
        return iterate(self.asynchronous.versions(prefix))

    @documented_by(AsyncBucket.acting_as)
    def acting_as(self, actor: str) -> Bucket:
        return Bucket(self.asynchronous.acting_as(actor))

    @documented_by(AsyncBucket.compressing)
    def compressing(self, compression: Compression) -> Bucket:
        return Bucket(self.asynchronous.compressing(compression))

    @documented_by(AsyncBucket.encrypted_with)
    def encrypted_with(self, key: bytes) -> Bucket:
        return Bucket(self.asynchronous.encrypted_with(key))

    @documented_by(AsyncBucket.stats)
    def stats(self) -> Stats:
        return self.asynchronous.stats()

    @property
    def backend(self) -> str:
        """The name of the backend, as errors and metrics say it."""
        return self.asynchronous.backend

    @property
    def capabilities(self) -> frozenset[BucketCapability]:
        """What this backend can do beyond what every backend can."""
        return self.asynchronous.capabilities

    @property
    def admin(self) -> Administration:
        """The bucket's settings, locks and incomplete uploads."""
        return Administration(self.asynchronous.admin)


class Administration(BlockingTwin[AsyncAdministration]):
    """`holdfast.objects.Administration` for code that blocks."""

    def __init__(self, asynchronous: AsyncAdministration) -> None:
        self.asynchronous = asynchronous

    get = blocking(AsyncAdministration.get)
    set = blocking(AsyncAdministration.set)
    unset = blocking(AsyncAdministration.unset)
    abort = blocking(AsyncAdministration.abort)
    begin_upload = blocking(AsyncAdministration.begin_upload)
    parts = blocking(AsyncAdministration.parts)
    complete_upload = blocking(AsyncAdministration.complete_upload)
    lock_of = blocking(AsyncAdministration.lock_of)
    retain = blocking(AsyncAdministration.retain)
    hold = blocking(AsyncAdministration.hold)
    release = blocking(AsyncAdministration.release)

    @documented_by(AsyncAdministration.uploads)
    def uploads(self, prefix: str = "") -> Iterator[Upload]:
        return iterate(self.asynchronous.uploads(prefix))
