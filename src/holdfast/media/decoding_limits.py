"""The bounds of what one video may be, and of what decoding it may cost."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PIXELS = 64_000_000  # of a frame; 8K has 33 million
MAX_STREAMS = 200  # a whole transponder has a hundred
MAX_DURATION = 31 * 86_400.0  # seconds
MAX_FRAMES = 100_000_000  # a month at 37 a second
SPARSEST = 3600.0  # seconds a frame, on average


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """What one file may cost the process that decodes it.

    *memory* is in bytes, with some hundred MB for the interpreter and its libraries. *cpu* is in
    seconds over all threads, for a probe or a thumbnail, *analysis_cpu* for an analysis;
    *cpu_per_mebibyte* is added to either for each MiB of the file. *silence* is the seconds of
    wall time without a sign of progress. *written* bounds the bytes of each file of results,
    *written_per_byte* is added for each byte of the video.
    """

    memory: int = 2 << 30
    cpu: float = 60.0
    analysis_cpu: float = 600.0
    cpu_per_mebibyte: float = 100.0
    silence: float = 300.0
    written: int = 512 << 20
    written_per_byte: float = 8.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected above 0")
