"""Decoding in a child process, where a hostile file can exhaust neither memory nor time.

The child has bounds on memory, CPU time, file size and silence, and on Linux neither network nor
the right to start programs. It ends with its parent, however that ends. A file that makes it
exceed a bound, or crash, is a `MediaError`; the process that asked goes on.
"""

from __future__ import annotations

import math
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from holdfast.errors import HoldfastError, MediaError, StorageError, UnavailableError
from holdfast.media.analysis_options import AnalysisOptions
from holdfast.media.decoder_messages import (
    HEADER,
    LONGEST,
    Answer,
    Answered,
    Failed,
    Progressed,
    Ready,
    Refused,
    Request,
    decode_answer,
    decode_value,
    framed,
)
from holdfast.media.decoding_limits import DecoderLimits
from holdfast.media.video_info import VideoInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from holdfast.media.vision.detector import Detector

T = TypeVar("T")

_TICK = 0.25  # seconds between two looks at whether to go on
_START = 120.0  # seconds that a busy machine may take to start a process
_MEBIBYTE = 1 << 20
_PROGRAM = """
import sys
sys.path[:] = {path!r}
from holdfast.media.decoder_child import main
main({limits!r})
"""
# Libraries that would otherwise reserve memory for every core.
_ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
# What a process sends to itself, or the kernel to one that went wrong.
_CRASHES = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP)
)


class DecoderProcess:
    """One child process for the files of one job, started by the first call.

    A context manager: leaving it ends the child, also in the middle of a call. Calls block; one
    runs at a time. Each raises MediaError for a file that can't be used, that makes the decoder
    crash, or that goes beyond the limits; StorageError for the disk; UnavailableError when
    somebody else has killed the child.
    """

    def __init__(self, limits: DecoderLimits | None = None) -> None:
        self.limits = limits or DecoderLimits()
        self._process: subprocess.Popen[bytes] | None = None
        self._received = bytearray()
        self._busy = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child. Idempotent; may be called while another thread waits for an answer."""
        process = self._process
        if process is not None:
            process.kill()
            with self._busy:  # a thread that waits for an answer sees the end of the stream
                self._forget()

    def probe(self, path: str | os.PathLike[str]) -> VideoInfo:
        """Describe the video at *path*, as `holdfast.media.probe.probe` does."""
        return self._ask("probe", path, (), VideoInfo, cpu=self.limits.cpu)

    def thumbnail(self, path: str | os.PathLike[str]) -> bytes:
        """Return a JPEG of a telling frame, as `holdfast.media.probe.thumbnail` does."""
        return self._ask("thumbnail", path, (), bytes, cpu=self.limits.cpu)

    def analyse(
        self,
        path: str | os.PathLike[str],
        folder: Path,
        detector: Detector,
        progress: Callable[[float, str], None],
        *,
        options: AnalysisOptions | None = None,
    ) -> None:
        """Run *detector* over the video at *path*, and write into *folder* what it finds.

        Written is what `analyse` and `write_clips` of `holdfast.media.vision` write. *progress*
        is called with the share that is done and what is being done, and with the same again
        while nothing changes; what it raises ends the child and is raised here. The detector
        goes to the child by pickle: TypeError when it can't.
        """
        arguments = (str(folder), detector, options or AnalysisOptions())
        self._ask("analyse", path, arguments, bool, cpu=self.limits.analysis_cpu, tell=progress)

    def cut(
        self,
        path: str | os.PathLike[str],
        folder: Path,
        times: tuple[float, float],
        *,
        frames: int,
        progress: Callable[[float, str], None],
    ) -> Path:
        """Cut *times*, in seconds, out of the video of *frames* at *path*; return the file's path.

        It lies in *folder*, and is not there when nothing is shown at these times. *progress* is
        called as by `analyse`.
        """
        arguments = (str(folder), *times, frames)
        cpu = self.limits.analysis_cpu
        return folder / self._ask("cut", path, arguments, str, cpu=cpu, tell=progress)

    def _ask(
        self,
        name: str,
        path: str | os.PathLike[str],
        arguments: tuple[object, ...],
        kind: type[T],
        *,
        cpu: float,
        tell: Callable[[float, str], None] = lambda _fraction, _message: None,
    ) -> T:
        shown = os.fspath(path)
        size = _size_of(shown)
        allowance = cpu + self.limits.cpu_per_mebibyte * size / _MEBIBYTE
        written = self.limits.written + math.ceil(self.limits.written_per_byte * size)
        try:
            request = pickle.dumps(Request(name, (shown, *arguments), allowance, written))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(f"the detector can't be sent to another process: {error}") from error
        with self._busy:
            try:
                process = self._started(shown)
                self._send(process, request, shown, allowance)
                answer = self._answer(process, shown, allowance, tell)
                if isinstance(answer, Answered):
                    return decode_value(answer.value, kind)
            except (msgspec.MsgspecError, OverflowError) as error:
                self._forget()
                raise MediaError(shown, f"the process that decodes it said {error}") from error
            except BaseException:
                self._forget()
                raise
        raise _error_of(answer, shown)

    def _answer(
        self,
        process: subprocess.Popen[bytes],
        path: str,
        allowance: float,
        tell: Callable[[float, str], None],
    ) -> Answered | Refused | Failed:
        """Return what the child answers in the end, passing on what it tells before."""
        fraction, message = 0.0, "starting"
        while True:
            answer = self._next(
                process, path, (self.limits.silence, allowance), lambda: tell(fraction, message)
            )
            match answer:
                case Progressed(fraction=fraction, message=message):
                    tell(fraction, message)
                case Ready():
                    continue
                case _:
                    return answer

    def _started(self, path: str) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        program = _PROGRAM.format(path=sys.path, limits=msgspec.json.encode(self.limits))
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and a text of ours
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
        )
        self._process = process
        self._received.clear()
        self._next(process, path, (_START, self.limits.cpu), lambda: None)
        return process

    def _send(
        self, process: subprocess.Popen[bytes], request: bytes, path: str, allowance: float
    ) -> None:
        if process.stdin is None:
            raise ValueError("the child has no standard input")
        try:
            process.stdin.write(framed(request))
            process.stdin.flush()
        except BrokenPipeError:
            raise self._end_of(process, path, allowance) from None

    def _next(
        self,
        process: subprocess.Popen[bytes],
        path: str,
        bounds: tuple[float, float],
        tick: Callable[[], None],
    ) -> Answer:
        """Return the child's next answer, calling *tick* while there is none."""
        silence, allowance = bounds
        if process.stdout is None:
            raise ValueError("the child has no standard output")
        source = process.stdout.fileno()
        readable = select.poll()
        readable.register(source, select.POLLIN)
        ends = time.monotonic() + silence
        while True:
            message = self._whole_message()
            if message is not None:
                return decode_answer(message)
            left = ends - time.monotonic()
            if left <= 0:
                raise MediaError(
                    path, f"decoding it made no progress for {silence:.0f} s, and was stopped"
                )
            if not readable.poll(min(left, _TICK) * 1000):
                tick()
                continue
            data = os.read(source, 1 << 16)
            if not data:
                raise self._end_of(process, path, allowance)
            self._received += data

    def _whole_message(self) -> bytearray | None:
        if len(self._received) < HEADER:
            return None
        length = int.from_bytes(self._received[:HEADER], "big")
        if length > LONGEST:
            raise OverflowError(f"{length} bytes; expected at most {LONGEST}")
        if len(self._received) < HEADER + length:
            return None
        message = self._received[HEADER : HEADER + length]
        del self._received[: HEADER + length]
        return message

    def _end_of(
        self, process: subprocess.Popen[bytes], path: str, allowance: float
    ) -> HoldfastError:
        """Return what it means that the child has ended in the middle of a call."""
        status = process.wait()
        ended = signal.Signals(-status) if -status in set(signal.Signals) else None
        if ended is signal.SIGXCPU:
            return MediaError(path, f"decoding it takes more than {allowance:.0f} s of CPU time")
        if ended in _CRASHES:
            return MediaError(
                path,
                f"it makes the decoder crash ({ended and ended.name}) within "
                f"{self.limits.memory >> 20} MiB of memory: it is damaged, forged or too large",
            )
        how = ended.name if ended else f"status {status}"
        return UnavailableError(f"the process that decoded {path!r} was ended from outside: {how}")

    def _forget(self) -> None:
        """Kill what is left of the child and close the pipes to it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # a request that nobody read


def _error_of(answer: Refused | Failed, path: str) -> Exception:
    match answer:
        case Refused(kind="storage", reason=reason):
            return StorageError(reason)
        case Refused(reason=reason):
            return MediaError(path, reason)
        case Failed(error=error, traceback=traceback):
            return RuntimeError(f"{error}, in the process that decodes:\n{traceback}")


def _size_of(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return 0  # the child says what is wrong with it
