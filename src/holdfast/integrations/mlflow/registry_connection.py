"""The registry of a platform for threads that block: one event loop for each data folder."""

from __future__ import annotations

import asyncio
import atexit
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from holdfast import errors
from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from holdfast.models import ModelRegistry

T = TypeVar("T")

_CODES: tuple[tuple[type[errors.HoldfastError], int], ...] = (
    (errors.NotFoundError, codes.RESOURCE_DOES_NOT_EXIST),
    (errors.DuplicateError, codes.RESOURCE_ALREADY_EXISTS),
    (errors.InvalidValueError, codes.INVALID_PARAMETER_VALUE),
    (errors.InvalidQueryError, codes.INVALID_PARAMETER_VALUE),
    (errors.ModelFileError, codes.INVALID_PARAMETER_VALUE),
    (errors.SignatureError, codes.PERMISSION_DENIED),
    (errors.InUseError, codes.INVALID_STATE),
    (errors.ConflictError, codes.INVALID_STATE),
    (errors.UnavailableError, codes.TEMPORARILY_UNAVAILABLE),
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open platform: its event loop, its registry, and what closes it when it is set."""

    loop: asyncio.AbstractEventLoop
    registry: ModelRegistry
    stop: asyncio.Event


class RegistryConnection:
    """The registry of the platform in the folder *data*, or where settings say for None.

    It is opened when it is first asked, on a thread of its own with an event loop, and stays open
    until `close` or the end of the program; a forked child opens its own.
    """

    def __init__(self, data: Path | None) -> None:
        self._data = data
        self._lock = threading.Lock()
        self._ready: Future[_Opened] | None = None
        self._thread: threading.Thread | None = None
        after_fork(self._begin_afresh)

    def call(self, work: Callable[[ModelRegistry], Awaitable[T]]) -> T:
        """Return what *work* returns, done with the registry on its event loop. Blocks.

        Any number of threads may call. Raises MlflowException for what the registry refuses.
        """
        with told_to_mlflow():
            opened = self._opened()

            async def done() -> T:
                return await work(opened.registry)

            return asyncio.run_coroutine_threadsafe(done(), opened.loop).result()

    def close(self) -> None:
        """Close the platform, if it is open; the next call opens it again. Blocks."""
        with self._lock:
            ready, thread = self._ready, self._thread
            self._ready = self._thread = None
        if ready is None or thread is None or ready.exception() is not None:
            return
        opened = ready.result()
        opened.loop.call_soon_threadsafe(opened.stop.set)
        thread.join()
        atexit.unregister(self.close)

    def _opened(self) -> _Opened:
        with self._lock:
            ready = self._ready
            if ready is None:
                ready = self._ready = Future()
                self._thread = threading.Thread(
                    target=asyncio.run,
                    args=(self._serve(ready),),
                    name="holdfast-mlflow",
                    daemon=True,
                )
                self._thread.start()
                atexit.register(self.close)
        try:
            return ready.result()
        except Exception:
            with self._lock:
                if self._ready is ready:
                    self._ready = None  # the next call tries again
            raise

    async def _serve(self, ready: Future[_Opened]) -> None:
        """Keep the platform open until it is told to stop; *ready* hears when it is open."""
        from holdfast.models import ModelRegistry  # noqa: PLC0415 - MLflow loads us at its start
        from holdfast.platform import open_platform  # noqa: PLC0415
        from holdfast.settings import read_settings  # noqa: PLC0415

        stop = asyncio.Event()
        try:
            async with open_platform(read_settings(data=self._data)) as platform:
                registry = platform.service(ModelRegistry)
                ready.set_result(_Opened(asyncio.get_running_loop(), registry, stop))
                await stop.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)

    def _begin_afresh(self) -> None:
        self._lock = threading.Lock()
        self._ready = self._thread = None


_connections: dict[Path | None, RegistryConnection] = {}


def connection_to(data: Path | None) -> RegistryConnection:
    """Return this process's connection to the platform in *data*."""
    return _connections.setdefault(data, RegistryConnection(data))


def data_folder_of(uri: str) -> Path | None:
    """Return the data folder that `holdfast:///folder` names, None for `holdfast://` alone.

    Raises MlflowException for an address with anything else in it.
    """
    parts = urlsplit(uri)
    if parts.scheme != "holdfast" or parts.netloc or parts.query or parts.fragment:
        raise MlflowException.invalid_parameter_value(
            f"{uri!r}: expected holdfast:///data/folder, or holdfast:// for what settings say"
        )
    return Path(unquote(parts.path)) if parts.path.strip("/") else None


@contextmanager
def told_to_mlflow() -> Iterator[None]:
    """Raise what Holdfast refuses as the MlflowException that MLflow's callers expect."""
    try:
        yield
    except errors.HoldfastError as error:
        code = next(
            (code for kind, code in _CODES if isinstance(error, kind)), codes.INTERNAL_ERROR
        )
        raise MlflowException(str(error), error_code=code) from error
