"""A short traffic scene, made with its truth: what passes, when, where and how fast.

Cars, a van, a cyclist and a pedestrian pass before a standing camera, each way and past one
another, with shadows, sensor noise and slowly drifting light, and with pauses in which nothing
moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from holdfast.media.scene.backdrop import LANES, backdrop
from holdfast.media.scene.sprites import Colour, Kind, Sprite, sprite
from holdfast.media.vision.detector import Box

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

WIDTH, HEIGHT = 960, 540
FRAME_RATE = 25
"""Frames a second of a generated scene."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One thing that is to pass: from *enters* (seconds) at *speed* (pixels a second)."""

    kind: Kind
    lane: Literal["far", "near", "edge", "path"]
    direction: Literal["right", "left"]
    enters: float
    speed: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class SceneObject:
    """The truth about one thing. *boxes* has its visible part by frame, shadow left out."""

    kind: Kind
    direction: Literal["right", "left"]
    speed: float
    width: int
    height: int
    enters: float
    leaves: float
    boxes: Mapping[int, Box]


TRAFFIC = (
    Passage("car", "near", "right", 1.2, 260, (60, 60, 190)),
    Passage("car", "far", "left", 2.6, 225, (205, 200, 195)),
    Passage("cyclist", "edge", "right", 10.0, 165, (60, 190, 235)),
    Passage("van", "far", "left", 11.2, 230, (225, 228, 230)),
    Passage("pedestrian", "path", "left", 18.9, 118, (170, 80, 60)),
    Passage("car", "near", "right", 19.8, 390, (150, 95, 35)),
    Passage("car", "far", "left", 22.6, 300, (44, 36, 34)),
)
_SIZES: dict[Kind, tuple[int, int]] = {
    "car": (164, 64),
    "van": (188, 96),
    "cyclist": (74, 78),
    "pedestrian": (36, 76),
}


def make_scene(
    path: str | os.PathLike[str],
    *,
    seconds: float = 29.6,
    seed: int = 7,
    traffic: Sequence[Passage] = TRAFFIC,
) -> list[SceneObject]:
    """Write the scene to *path* as H.264 MP4 and return what passes in it, in order of entry.

    The same arguments give the same pictures. The file appears whole or not at all.
    """
    frames = round(seconds * FRAME_RATE)
    if frames < 1:
        raise ValueError(f"a scene of {seconds} s; expected at least one frame")
    actors = [_Actor(passage) for passage in sorted(traffic, key=lambda each: each.enters)]
    final = Path(path).absolute()
    partial = final.with_name(final.name + ".partial")
    try:
        _film(partial, frames, actors, np.random.default_rng(seed))
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)
    return [actor.truth(frames) for actor in actors]


class _Actor:
    """One passage with its picture."""

    def __init__(self, passage: Passage) -> None:
        self.passage = passage
        self.base, scale = LANES[passage.lane]
        width, height = _SIZES[passage.kind]
        self.width, self.height = round(width * scale), round(height * scale)
        drawn = sprite(passage.kind, self.width, self.height, passage.colour)
        self.sprite: Sprite = drawn if passage.direction == "right" else drawn.mirrored()
        alpha = self.sprite.alpha[0][..., 0]
        flat = cv2.resize(alpha, (self.width, max(4, self.height // 4)))
        padded = cv2.copyMakeBorder(flat, 6, 6, 10, 10, cv2.BORDER_CONSTANT, value=0)
        self.shadow: NDArray[np.float32] = np.asarray(
            cv2.GaussianBlur(padded, (0, 0), 3.0), np.float32
        )

    def left(self, frame: int) -> float:
        """The left edge in pixels at *frame*."""
        gone = (frame / FRAME_RATE - self.passage.enters) * self.passage.speed
        return gone - self.width if self.passage.direction == "right" else WIDTH - gone

    def is_in(self, frame: int) -> bool:
        return frame / FRAME_RATE > self.passage.enters and -self.width < self.left(frame) < WIDTH

    def truth(self, frames: int) -> SceneObject:
        boxes = {}
        for frame in range(frames):
            if self.is_in(frame):
                whole = Box(self.left(frame), self.base - self.height, self.width, self.height)
                boxes[frame] = whole.clipped(WIDTH, HEIGHT)
        passage = self.passage
        return SceneObject(
            kind=passage.kind,
            direction=passage.direction,
            speed=passage.speed,
            width=self.width,
            height=self.height,
            enters=passage.enters,
            leaves=passage.enters + (WIDTH + self.width) / passage.speed,
            boxes=boxes,
        )

    def draw(self, picture: NDArray[np.uint8], frame: int) -> None:
        left = self.left(frame)
        whole = int(np.floor(left))
        phase = int(frame / FRAME_RATE * 1.6 * len(self.sprite.alpha)) % len(self.sprite.alpha)
        _darken(picture, self.shadow, whole - 2, self.base - self.height // 8 - 6)
        move = np.array([[1, 0, left - whole], [0, 1, 0]], np.float32)
        size = (self.width + 1, self.height)
        colour = cv2.warpAffine(self.sprite.premultiplied[phase], move, size)
        alpha = cv2.warpAffine(self.sprite.alpha[phase], move, size)[..., None]
        part, seen = _shared(picture, whole, self.base - self.height, size)
        part[:] = (colour[seen] * 255 + part * (1 - alpha[seen])).astype(np.uint8)


def _film(path: Path, frames: int, actors: Sequence[_Actor], random: np.random.Generator) -> None:
    scenery = backdrop(WIDTH, HEIGHT, random)
    margin = 64
    one = random.normal(0, 2.2, (HEIGHT + margin, WIDTH + margin)).astype(np.float32)
    grain = np.repeat(one[..., None], 3, axis=2)
    brighter = np.clip(grain, 0, 255).round().astype(np.uint8)
    darker = np.clip(-grain, 0, 255).round().astype(np.uint8)
    order = sorted(actors, key=lambda actor: actor.base)  # what stands nearer hides what is behind
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        # Slower presets weigh blocks over time, which is not the same in every run.
        stream.options = {"preset": "superfast", "crf": "21"}
        stream.codec_context.time_base = Fraction(1, FRAME_RATE)
        for frame in range(frames):
            picture = scenery.copy()
            for actor in order:
                if actor.is_in(frame):
                    actor.draw(picture, frame)
            light = 1 + 0.025 * np.sin(2 * np.pi * frame / (FRAME_RATE * 23))
            lit = cv2.convertScaleAbs(picture, alpha=float(light))
            down, across = (int(value) for value in random.integers(0, margin, 2))
            cut = np.s_[down : down + HEIGHT, across : across + WIDTH]
            noisy = cv2.subtract(cv2.add(lit, brighter[cut]), darker[cut])
            taken = VideoFrame.from_ndarray(np.asarray(noisy, np.uint8), format="bgr24")
            taken.pts = frame
            taken.time_base = Fraction(1, FRAME_RATE)
            container.mux(stream.encode(taken))
        container.mux(stream.encode())


def _shared(
    picture: NDArray[np.uint8], left: int, top: int, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], tuple[slice, slice]]:
    """The part of *picture* under a patch of *size*, and the part of the patch that is seen."""
    rows, columns = picture.shape[:2]
    x0, x1 = min(max(left, 0), columns), min(max(left + size[0], 0), columns)
    y0, y1 = min(max(top, 0), rows), min(max(top + size[1], 0), rows)
    return picture[y0:y1, x0:x1], (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))


def _darken(picture: NDArray[np.uint8], shadow: NDArray[np.float32], left: int, top: int) -> None:
    part, seen = _shared(picture, left, top, (shadow.shape[1], shadow.shape[0]))
    part[:] = (part * (1 - 0.42 * shadow[seen])[..., None]).astype(np.uint8)
