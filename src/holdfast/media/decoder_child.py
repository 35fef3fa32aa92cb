"""The process that decodes: it confines itself, then does what its parent asks.

The parent's end of standard input is the child's life: when it closes, the child ends.
"""

from __future__ import annotations

import errno
import math
import os
import pickle
import resource
import sys
import threading
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from holdfast.errors import HoldfastError, MediaError, StorageError
from holdfast.media.decoder_messages import (
    HEADER,
    Answer,
    Answered,
    Failed,
    Progressed,
    Ready,
    Refused,
    Request,
    encode_answer,
    encode_value,
)
from holdfast.media.decoding_limits import DecoderLimits
from holdfast.media.object_keys import ANNOTATED, CLIPS
from holdfast.media.seccomp import refuse_network_and_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.media.analysis_options import AnalysisOptions
    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.detector import Detector

    Progress = Callable[[float, str], None]

ANALYSED = 0.9  # of the work; the rest is cutting clips and storing what was found
_OPEN_FILES = 256
_OPENCV_NO_MEMORY = -4


def main(limits: bytes) -> NoReturn:
    """Confine this process by *limits* (JSON), then answer requests until the parent is gone."""
    inbox, outbox = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)  # what a library prints is no message
    bounds = msgspec.json.decode(limits, type=DecoderLimits)
    filtered = refuse_network_and_programs()
    _confine(bounds)
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(inbox, requests), daemon=True).start()

    def send(answer: Answer) -> None:
        data = memoryview(encode_answer(answer))
        while data:
            data = data[os.write(outbox, data) :]

    send(Ready(filtered))
    while True:
        send(_answer(requests.get(), bounds, send))


def _confine(limits: DecoderLimits) -> None:
    # On Linux the limit on data counts what can be written to; the one on addresses, elsewhere,
    # counts also what libraries only reserve.
    memory = resource.RLIMIT_DATA if sys.platform.startswith("linux") else resource.RLIMIT_AS
    for kind, value in (
        (memory, limits.memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        hard = resource.getrlimit(kind)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (least, least))


def _receive(inbox: int, requests: SimpleQueue[bytes]) -> None:
    try:
        with os.fdopen(inbox, "rb") as file:
            while len(head := file.read(HEADER)) == HEADER:
                requests.put(file.read(int.from_bytes(head, "big")))
    finally:
        os._exit(0)  # the parent is gone, whatever is being decoded


def _answer(message: bytes, limits: DecoderLimits, send: Callable[[Answer], None]) -> Answer:
    try:
        # The parent's own words: it is trusted, and its detectors are objects.
        request: Request = pickle.loads(message)  # noqa: S301
    except Exception as error:  # noqa: BLE001 - a detector's own way to be unpickled
        return _failed(error)
    used = resource.getrusage(resource.RUSAGE_SELF)
    _soften(
        resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + max(1, request.allowance))
    )
    _soften(resource.RLIMIT_FSIZE, request.written)

    def progress(fraction: float, message: str) -> None:
        send(Progressed(fraction, message))

    try:
        return Answered(encode_value(_TASKS[request.name](progress, *request.arguments)))
    except Exception as error:  # noqa: BLE001 - told to the parent, which raises it
        return _told(error, request, limits)


def _told(error: Exception, request: Request, limits: DecoderLimits) -> Answer:
    if any(isinstance(each, OSError) and each.errno == errno.EFBIG for each in _chain(error)):
        return Refused(
            "media", f"its results grow beyond the {request.written} bytes that a file may have"
        )
    if any(map(_is_want_of_memory, _chain(error))):
        return Refused("media", f"decoding it takes more than {limits.memory >> 20} MiB of memory")
    if isinstance(error, MediaError):
        return Refused("media", error.reason)
    if isinstance(error, StorageError):
        return Refused("storage", str(error))
    if isinstance(error, HoldfastError):
        return Refused("media", str(error))
    return _failed(error)


def _failed(error: Exception) -> Failed:
    return Failed(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def _soften(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what it comes from."""
    at: BaseException | None = error
    for _ in range(20):
        if at is None:
            return
        yield at
        at = at.__cause__ or at.__context__


def _is_want_of_memory(error: BaseException) -> bool:
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or getattr(error, "code", None) == _OPENCV_NO_MEMORY
        or (isinstance(error, RuntimeError) and "start new thread" in str(error))
    )


def _probe(_progress: Progress, path: str) -> VideoInfo:
    from holdfast.media.probe import probe  # noqa: PLC0415 - after the bounds are set

    return probe(path)


def _thumbnail(_progress: Progress, path: str) -> bytes:
    from holdfast.media.probe import thumbnail  # noqa: PLC0415 - the same

    return thumbnail(path)


class _NoPandas:
    """Says of pandas that it is not installed."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def _spare_pandas() -> None:
    """Let pyarrow not find pandas, unless a detector has brought it.

    With its first array pyarrow imports it, for two seconds, and nothing here has use for it.
    """
    import pyarrow as pa  # noqa: PLC0415 - after the bounds are set

    if "pandas" in sys.modules:
        return
    finder: Any = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)


def _analyse(
    progress: Progress, path: str, folder: str, detector: Detector, options: AnalysisOptions
) -> bool:
    """Analyse and cut the clips; what is found lies in *folder*."""
    _spare_pandas()
    from holdfast.media.vision.analysis import analyse  # noqa: PLC0415 - the same
    from holdfast.media.vision.clip_writer import write_clips  # noqa: PLC0415 - the same

    def analysing(done: int, total: int | None) -> None:
        share = 0.0 if total is None else done / total
        progress(ANALYSED * share, f"frame {done} of {total or 'some'}")

    def cutting(done: int) -> None:
        progress(ANALYSED, f"cutting clips: frame {done}")

    found = analyse(path, folder, detector, options=options, progress=analysing)
    target = Path(folder)
    write_clips(target / ANNOTATED, target / CLIPS, found.stretches, progress=cutting)
    return True


def _cut(progress: Progress, path: str, folder: str, start: float, end: float, frames: int) -> str:
    """Cut one part out of the video; return the name of its file in *folder*."""
    from holdfast.media.vision.clip_writer import write_clips  # noqa: PLC0415 - as above
    from holdfast.media.vision.detector import Stretch  # noqa: PLC0415 - the same

    def cutting(done: int) -> None:
        progress(min(1.0, done / max(1, frames)), f"frame {done} of {frames or 'some'}")

    write_clips(path, folder, [Stretch(0, 0, start, end)], progress=cutting)
    return "clip-1.mp4"


_TASKS: dict[str, Callable[..., object]] = {
    "probe": _probe,
    "thumbnail": _thumbnail,
    "analyse": _analyse,
    "cut": _cut,
}
