"""Puts the sound of a video beside pictures that were written without it."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.stream import Disposition

from holdfast.media.frame_clock import MAX_GAP
from holdfast.media.video_file import film_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

    from holdfast.media.video_file import VideoFile

RATE = 48_000
_UNIT = Fraction(1, RATE)
_SLOWEST, _FASTEST = 4_000, 384_000  # samples a second of sound that is believed
_DRIFT = 0.1  # seconds by which sound may be off before it is set right
_OFTEN = 64  # packets between two signs of progress


class _Heard(NamedTuple):
    time: float
    packet: Packet[AudioStream]


def add_sound(
    shown: Path,
    source: VideoFile,
    *,
    start: float = 0.0,
    end: float,
    progress: Callable[[], None] | None = None,
) -> bool:
    """Put the sound of *source* from *start* to *end* (seconds) into the MP4 *shown*, as AAC.

    Times are those of frames, from the first one on. The file is replaced whole. What of the
    sound does not decode is left out; False when there is none at all, and the file stays as it
    is. *progress* is called now and then.
    """
    partial = shown.with_name(f"{shown.name}.partial")
    with ExitStack() as stack:
        heard = stack.enter_context(source.container())
        voice = _sound_of(heard)
        if voice is None:
            return False
        pictures = stack.enter_context(av.open(str(shown.absolute())))
        target = stack.enter_context(
            av.open(str(partial.absolute()), "w", format="mp4", options={"movflags": "faststart"})
        )
        film = target.add_stream_from_template(pictures.streams.video[0])
        track = target.add_stream("aac", rate=RATE)
        track.layout = "mono" if voice.codec_context.channels == 1 else "stereo"
        sounds = _encoded(heard, voice, track, (start, end))
        sound = next(sounds, None)
        if sound is None:
            target.start_encoding()
        for number, packet in enumerate(pictures.demux(pictures.streams.video[0])):
            if packet.dts is None or packet.time_base is None:
                continue
            while sound is not None and sound.time <= float(packet.dts * packet.time_base):
                target.mux(sound.packet)
                sound = next(sounds, None)
            packet.stream = film
            target.mux(packet)
            if progress is not None and number % _OFTEN == 0:
                progress()
        while sound is not None:
            target.mux(sound.packet)
            sound = next(sounds, None)
    partial.replace(shown)
    return True


def _sound_of(container: InputContainer) -> AudioStream | None:
    """Return the stream of sound that a player would play: the default one, else the first."""
    known = [
        each
        for each in container.streams.audio
        if each.codec_context is not None
        and _SLOWEST <= (each.codec_context.sample_rate) <= _FASTEST
    ]
    return next((each for each in known if each.disposition & Disposition.default), None) or next(
        iter(known), None
    )


def _encoded(
    container: InputContainer, voice: AudioStream, track: AudioStream, span: tuple[float, float]
) -> Iterator[_Heard]:
    """Yield the packets of the sound in *span*, from time 0 on."""
    start, end = span
    film = film_of(container)
    origin = 0.0
    if film.start_time is not None and film.time_base is not None:
        origin = float(film.start_time * film.time_base)
    if start > 0 and voice.time_base is not None:
        container.seek(int((start + origin) / voice.time_base), stream=voice, backward=True)
    resampler = AudioResampler(format="fltp", layout=track.layout.name, rate=RATE)
    at: float | None = None  # the time that follows what was encoded
    shift = origin + start
    for frame in _decoded(container, voice):
        if frame.time is None:
            continue
        time = frame.time - shift
        if at is not None and abs(time - at) > MAX_GAP:  # the stamps have jumped
            shift += time - at
            time = at
        if time + frame.samples / max(1, frame.sample_rate) <= 0:
            continue
        if time >= end - start:
            break
        if at is None or time > at + _DRIFT:
            at = max(0.0, time)
        for part in resampler.resample(frame):
            part.pts, part.time_base = round(at * RATE), _UNIT
            at += part.samples / RATE
            yield from _heard(track, part)
    yield from _heard(track, None)


def _heard(track: AudioStream, frame: AudioFrame | None) -> Iterator[_Heard]:
    for packet in track.encode(frame):
        stamp = packet.dts if packet.dts is not None else packet.pts
        time = 0.0 if stamp is None else float(stamp * (packet.time_base or _UNIT))
        yield _Heard(time, packet)


def _decoded(container: InputContainer, voice: AudioStream) -> Iterator[AudioFrame]:
    packets = container.demux(voice)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        try:
            frames = packet.decode()
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            continue
        for frame in frames:
            if isinstance(frame, AudioFrame):
                yield frame
