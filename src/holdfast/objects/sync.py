"""The blocking twin of `holdfast.objects`: the same names, without ``await``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, overload

from holdfast.aws.sockets import SocketNetwork
from holdfast.blocking import iterate, run
from holdfast.objects.drivers.s3.options import S3Options
from holdfast.objects.grants import Grant, PostGrant
from holdfast.objects.opening import DiskOptions, Options, plan_of, started
from holdfast.objects.storing import PutOptions
from holdfast.objects.watching import Hooks
from holdfast.offload import Inline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from datetime import timedelta
    from pathlib import Path

    from holdfast.objects import administration, bucket, reader
    from holdfast.objects.driver import Capability, CommonPrefix, ObjectInfo
    from holdfast.objects.erasure import Erasure
    from holdfast.objects.filtering import Filter
    from holdfast.objects.grants import Presigned, PresignedPost
    from holdfast.objects.history import ObjectVersion, Upload
    from holdfast.objects.mirroring import SyncReport
    from holdfast.objects.settings import ObjectLock, Retention, S, Setting
    from holdfast.objects.sources import BlockingBody
    from holdfast.objects.transfer import Progress
    from holdfast.objects.watching import Health, Stats

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

_PLAIN = PutOptions()
_READ = Grant()
_FORM = PostGrant()
_QUIET = Hooks()


def open_bucket(
    url: str | Path, *, options: Options | None = None, hooks: Hooks = _QUIET
) -> AbstractContextManager[Bucket]:
    """Return a context manager that opens the bucket at *url*, as `holdfast.objects` does.

    Nothing in *hooks* may wait for an event loop.
    """
    plan = plan_of(url, options)
    return _opened(started(plan, Inline(), SocketNetwork, hooks))


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
        version: str | None = None,
        if_match: str | None = None,
    ) -> bytes:
        return run(self._bucket.get(key, start=start, end=end, version=version, if_match=if_match))

    @contextmanager
    def open(self, key: str, *, version: str | None = None) -> Iterator[ObjectReader]:
        with _entered(self._bucket.open(key, version=version)) as opened:
            yield ObjectReader(opened)

    def upload(
        self,
        path: str | Path,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        options: PutOptions = _PLAIN,
    ) -> ObjectInfo:
        return run(
            self._bucket.upload(
                path,
                key,
                content_type=content_type,
                metadata=metadata,
                progress=progress,
                options=options,
            )
        )

    def download(
        self,
        key: str,
        path: str | Path,
        *,
        version: str | None = None,
        progress: Progress | None = None,
        resume: bool = False,
    ) -> ObjectInfo:
        return run(
            self._bucket.download(key, path, version=version, progress=progress, resume=resume)
        )

    def head(self, key: str, *, version: str | None = None) -> ObjectInfo | None:
        return run(self._bucket.head(key, version=version))

    def exists(self, key: str) -> bool:
        return run(self._bucket.exists(key))

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
    def list(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        where: Filter | None = None,
    ) -> Iterator[ObjectInfo] | Iterator[ObjectInfo | CommonPrefix]:
        if delimiter is None:
            return iterate(self._bucket.list(prefix, start_after=start_after, where=where))
        return iterate(
            self._bucket.list(prefix, delimiter=delimiter, start_after=start_after, where=where)
        )

    def delete(self, key: str, *, version: str | None = None) -> bool:
        return run(self._bucket.delete(key, version=version))

    def delete_many(self, keys: Iterable[str]) -> int:
        return run(self._bucket.delete_many(keys))

    def copy(self, source: str, target: str) -> ObjectInfo:
        return run(self._bucket.copy(source, target))

    def as_file(self, key: str) -> AbstractContextManager[Path]:
        return _entered(self._bucket.as_file(key))

    def tags(self, key: str) -> dict[str, str]:
        return run(self._bucket.tags(key))

    def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        run(self._bucket.set_tags(key, tags))

    def versions(self, prefix: str = "") -> Iterator[ObjectVersion]:
        return iterate(self._bucket.versions(prefix))

    def restore(self, key: str, version: str) -> ObjectInfo:
        return run(self._bucket.restore(key, version))

    def acting_as(self, actor: str) -> Bucket:
        return Bucket(self._bucket.acting_as(actor))

    def stats(self) -> Stats:
        return self._bucket.stats()

    def health(self) -> Health:
        return run(self._bucket.health())

    @property
    def admin(self) -> Administration:
        return Administration(self._bucket.admin)

    def presign(self, key: str, grant: Grant = _READ) -> Presigned:
        return run(self._bucket.presign(key, grant))

    def presign_post(self, key: str, grant: PostGrant = _FORM) -> PresignedPost:
        return run(self._bucket.presign_post(key, grant))

    def erase(self, key: str) -> Erasure:
        return run(self._bucket.erase(key))

    def erase_prefix(self, prefix: str) -> Erasure:
        return run(self._bucket.erase_prefix(prefix))

    def sync_up(self, folder: str | Path, prefix: str = "", *, delete: bool = False) -> SyncReport:
        return run(self._bucket.sync_up(folder, prefix, delete=delete))

    def sync_down(self, prefix: str, folder: str | Path, *, delete: bool = False) -> SyncReport:
        return run(self._bucket.sync_down(prefix, folder, delete=delete))

    def sweep_incomplete(self, older_than: timedelta) -> int:
        return run(self._bucket.sweep_incomplete(older_than))

    def sweep(self) -> int:
        return run(self._bucket.sweep())


class Administration:
    """`holdfast.objects.Administration` for code that blocks."""

    def __init__(self, opened: administration.Administration) -> None:
        self._admin = opened

    def get(self, kind: type[S]) -> S | None:
        return run(self._admin.get(kind))

    def set(self, setting: Setting) -> None:
        run(self._admin.set(setting))

    def unset(self, kind: type[Setting]) -> None:
        run(self._admin.unset(kind))

    def uploads(self, prefix: str = "") -> Iterator[Upload]:
        return iterate(self._admin.uploads(prefix))

    def abort(self, upload: Upload) -> None:
        run(self._admin.abort(upload))

    def lock_of(self, key: str, *, version: str | None = None) -> ObjectLock:
        return run(self._admin.lock_of(key, version=version))

    def retain(self, key: str, retention: Retention, *, version: str | None = None) -> None:
        run(self._admin.retain(key, retention, version=version))

    def hold(self, key: str, *, version: str | None = None) -> None:
        run(self._admin.hold(key, version=version))

    def release(self, key: str, *, version: str | None = None) -> None:
        run(self._admin.release(key, version=version))
