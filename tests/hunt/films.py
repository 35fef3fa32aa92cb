"""A random search: films made at random, whose truth is known, against what is found in them.

    python tests/hunt/films.py [--minutes 3] [--seed N]

Each film has a square that crosses, with a container, codec, frame rate, pixel aspect, rotation,
jitter, gaps, streams of sound and pictures drawn by its seed. What must hold: every frame is seen,
times rise and are those that were written, the size is the displayed one, the annotated copy lasts
as long, there is one track and it crosses the middle once, and clips are where the movement is.
What fails is printed with its seed, and the exit code is 1; `--seed N` makes that film again.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from holdfast.errors import HoldfastError
from holdfast.media.probe import probe
from holdfast.media.video_file import VideoFile
from holdfast.media.vision.analysis import analyse
from holdfast.media.vision.clip_writer import write_clips
from holdfast.media.vision.frames import frames
from holdfast.media.vision.motion_detector import MotionDetector

KINDS = [
    ("mp4", "libx264"), ("mkv", "libx264"), ("mov", "libx264"), ("avi", "mpeg4"),
    ("avi", "libx264"), ("ts", "libx264"), ("webm", "libvpx"), ("mkv", "ffv1"),
    ("mpg", "mpeg2video"), ("flv", "flv"), ("nut", "mpeg4"), ("mp4", "libx265"),
]  # fmt: skip
STEADY = {"avi", "mpg"}  # containers that keep no uneven times
TURNED = {"mp4", "mov"}
RATES = [Fraction(8), Fraction(10), Fraction(15), Fraction(24000, 1001), Fraction(25),
         Fraction(30000, 1001), Fraction(50), Fraction(60)]  # fmt: skip
MPEG_RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(50)]


@dataclass(frozen=True)
class Plan:
    """What one film is, by its seed."""

    seed: int
    kind: str
    codec: str
    rate: Fraction
    size: tuple[int, int]
    aspect: Fraction
    turn: int
    stamps: tuple[int, ...]
    sound: bool
    b_frames: int
    begins: int

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as displayed."""
        width, height = round(self.size[0] * self.aspect), self.size[1]
        return (height, width) if self.turn in (90, -90) else (width, height)

    @property
    def times(self) -> list[float]:
        """Seconds of each frame from the first one on."""
        return [float((stamp - self.stamps[0]) / self.rate) for stamp in self.stamps]


def plan_of(seed: int) -> Plan:
    """Draw a film by *seed*."""
    chance = random.Random(seed)
    kind, codec = chance.choice(KINDS)
    rate = chance.choice(MPEG_RATES if kind in ("mpg", "flv") else RATES)
    count = round(chance.uniform(4.0, 7.0) * float(rate))
    stamps = list(range(count))
    if kind not in STEADY:
        match chance.randrange(4):
            case 0:  # a slow half
                stamps = [n for n in stamps if n > count // 2 or n % 3 == 0]
            case 1:  # frames lost
                stamps = [n for n in stamps if n == 0 or chance.random() > 0.15]
            case 2:  # a gap
                at, long = count // 2, chance.randrange(2, 3 * int(rate) + 3)
                stamps = [n if n < at else n + long for n in stamps]
            case _:
                pass
    begins = chance.choice((0, 0, 0, 1000)) if kind in ("mkv", "ts", "nut") else 0
    return Plan(
        seed=seed,
        kind=kind,
        codec=codec,
        rate=rate,
        size=chance.choice([(160, 120), (192, 108), (176, 144), (120, 160), (322, 182)]),
        aspect=chance.choice([Fraction(1), Fraction(1), Fraction(64, 45), Fraction(8, 9)])
        if kind in ("mp4", "mkv", "mov") and codec.startswith("libx26")
        else Fraction(1),
        turn=chance.choice([0, 0, 90, 180, -90]) if kind in TURNED else 0,
        stamps=tuple(n + begins for n in stamps),
        sound=chance.random() < 0.3 and kind in ("mp4", "mkv", "mov", "ts"),
        b_frames=chance.choice([0, 2]) if codec in ("libx264", "mpeg4", "mpeg2video") else 0,
        begins=begins,
    )


def make(plan: Plan, path: Path) -> Path:
    """Write the film of *plan*: a bright square that crosses a rough ground in the longer way."""
    width, height = plan.size
    ground = np.random.default_rng(plan.seed).integers(70, 110, (height, width, 3), dtype=np.uint8)
    side = max(16, min(width, height) // 5)
    last = plan.stamps[-1] - plan.stamps[0]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(plan.codec, rate=plan.rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = 1 / plan.rate
        if plan.codec == "libx265":
            stream.options = {"x265-params": "log-level=none:crf=18"}
        if plan.codec in ("mpeg4", "mpeg2video", "flv", "libvpx"):
            # At the coders' own rates the square leaves smears behind, which are there to be seen.
            stream.bit_rate = 2_000_000
        if plan.aspect != 1:
            stream.codec_context.sample_aspect_ratio = plan.aspect
        if plan.b_frames:
            stream.codec_context.max_b_frames = plan.b_frames
        if plan.turn:
            stream.set_display_rotation(plan.turn)
        voice = container.add_stream("aac", rate=44_100) if plan.sound else None
        for stamp in plan.stamps:
            share = (stamp - plan.stamps[0]) / max(1, last)
            picture = ground.copy()
            left = round(share * (width + 2 * side) - side)
            top = height // 2 - side // 2
            picture[top : top + side, max(0, left) : max(0, left + side)] = 235
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = stamp, 1 / plan.rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if voice is not None:
            for number in range(int(last / float(plan.rate) * 44_100 / 1024)):
                part = av.AudioFrame.from_ndarray(
                    np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
                )
                part.sample_rate, part.pts = 44_100, number * 1024
                container.mux(voice.encode(part))
            container.mux(voice.encode())
    return path


def faults(plan: Plan, folder: Path) -> list[str]:
    """Return what is wrong with what is found in the film of *plan*."""
    path = make(plan, folder / f"film.{plan.kind}")
    period = float(1 / plan.rate)
    # An AVI keeps no times of presentation: those of decoding serve, some frames late at first.
    leeway = (4 if (plan.kind, plan.codec) == ("avi", "libx264") else 1) * period + 0.002
    wrong = []
    info = probe(path)
    if (info.width, info.height) != plan.shown:
        wrong.append(f"shown as {info.width}x{info.height}, made as {plan.shown}")
    with VideoFile(path) as source:
        times = [frame.time for frame in frames(source)]
    if len(times) != len(plan.stamps):
        wrong.append(f"{len(times)} frames of {len(plan.stamps)}")
    elif max(abs(a - b) for a, b in zip(times, plan.times, strict=True)) > leeway:
        worst = max(zip(times, plan.times, strict=True), key=lambda pair: abs(pair[0] - pair[1]))
        wrong.append(f"a frame of {worst[1]:.3f} s is at {worst[0]:.3f} s")
    if any(b <= a for a, b in itertools.pairwise(times)):
        wrong.append("times that do not rise")
    found = analyse(path, folder / "out", MotionDetector())
    length = plan.times[-1] + period
    shown = probe(folder / "out" / "annotated.mp4")
    if abs(shown.duration - length) > 2 * period + 0.1:
        wrong.append(f"the annotated copy lasts {shown.duration:.2f} s of {length:.2f}")
    if abs(found.video.duration - length) > 2 * period:
        wrong.append(f"{found.video.duration:.2f} s long, made {length:.2f}")
    # In a gap a square may leap too far to be the same; then there may be two tracks, or none.
    smooth = max(b - a for a, b in zip(plan.stamps, plan.stamps[1:], strict=False)) <= 3
    if smooth and len(found.tracks) != 1:
        wrong.append(f"{len(found.tracks)} tracks of one square")
    across = plan.turn in (0, 180)
    if smooth and across and found.forward + found.backward != 1:
        wrong.append(f"{found.forward} + {found.backward} crossings of one")
    if smooth and found.disturbances:
        wrong.append(f"disturbances: {found.disturbances}")
    clips = write_clips(folder / "out" / "annotated.mp4", folder / "clips", found.stretches)
    for clip, stretch in zip(clips, found.stretches, strict=True):
        lasts = probe(clip).duration
        if abs(lasts - (stretch.end_time - stretch.start_time)) > 3 * period + 0.1:
            wrong.append(f"{clip.name} lasts {lasts:.2f} s, listed {stretch}")
    return wrong


def main() -> None:
    """Make films until the time is over, and print those with which something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, help="this film alone")
    asked = parser.parse_args()
    first = random.SystemRandom().randrange(1 << 32) if asked.seed is None else asked.seed
    ends = time.monotonic() + asked.minutes * 60
    made = failed = 0
    while not made or (asked.seed is None and time.monotonic() < ends):
        plan = plan_of(first + made)
        made += 1
        with tempfile.TemporaryDirectory() as folder:
            try:
                wrong = faults(plan, Path(folder))
            except HoldfastError as error:
                wrong = [f"{type(error).__name__}: {error}"]
            except Exception:  # noqa: BLE001 - a bug that was hunted for
                wrong = [traceback.format_exc()]
        if wrong:
            failed += 1
            print(
                f"seed {plan.seed}: {plan}".replace(str(plan.stamps), f"{len(plan.stamps)} stamps")
            )
            for each in wrong:
                print(f"  {each}")
            sys.stdout.flush()
    print(f"{made} films from seed {first} on, {failed} with faults")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
