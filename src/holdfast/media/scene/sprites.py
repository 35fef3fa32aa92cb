"""The things that drive, ride and walk through the made scene: small pictures with an alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Kind = Literal["car", "van", "cyclist", "pedestrian"]
Colour = tuple[int, int, int]

_FINE = 4  # drawn this many times larger, then shrunk: smooth edges
_SKIN: Colour = (140, 170, 215)
_TYRE: Colour = (28, 28, 30)
_GLASS: Colour = (96, 84, 70)
PHASES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """Colour times alpha, and alpha, both from 0 to 1; heading right; one picture a phase."""

    premultiplied: tuple[NDArray[np.float32], ...]
    alpha: tuple[NDArray[np.float32], ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        rows, columns = self.alpha[0].shape[:2]
        return columns, rows

    def mirrored(self) -> Sprite:
        """The same heading left."""
        return Sprite(
            tuple(np.ascontiguousarray(part[:, ::-1]) for part in self.premultiplied),
            tuple(np.ascontiguousarray(part[:, ::-1]) for part in self.alpha),
        )


def sprite(kind: Kind, width: int, height: int, colour: Colour) -> Sprite:
    """Draw one thing, *width* by *height* pixels, heading right."""
    phases = 1 if kind in ("car", "van") else PHASES
    coloured, masks = [], []
    for phase in range(phases):
        canvas = _Canvas(width, height)
        match kind:
            case "car":
                _car(canvas, colour)
            case "van":
                _van(canvas, colour)
            case "cyclist":
                _cyclist(canvas, colour, phase)
            case "pedestrian":
                _pedestrian(canvas, colour, phase)
        picture, alpha = canvas.shrunk()
        coloured.append(picture * alpha)
        masks.append(alpha)
    return Sprite(tuple(coloured), tuple(masks))


class _Canvas:
    """Draws in a unit square whose y points down, whatever the size in pixels."""

    def __init__(self, width: int, height: int) -> None:
        self._size = (width, height)
        self._width, self._height = width * _FINE, height * _FINE
        self._picture = np.zeros((self._height, self._width, 3), np.uint8)
        self._alpha = np.zeros((self._height, self._width), np.uint8)

    def shrunk(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        alpha = cv2.resize(self._alpha, self._size, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(self._picture, self._size, interpolation=cv2.INTER_AREA)
        opaque = np.asarray(np.maximum(alpha, 1)[..., None], np.float32) / np.float32(255)
        return (
            np.asarray(np.minimum(picture / opaque, 255) / 255, np.float32),
            np.asarray(alpha[..., None] / 255, np.float32),
        )

    def shape(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        corners = np.array(
            [[round(x * self._width), round(y * self._height)] for x, y in points], np.int32
        )
        cv2.fillPoly(self._picture, [corners], colour)
        cv2.fillPoly(self._alpha, [corners], 255)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """*radius* is a share of the height."""
        centre = (round(x * self._width), round(y * self._height))
        cv2.circle(self._picture, centre, round(radius * self._height), colour, -1)
        cv2.circle(self._alpha, centre, round(radius * self._height), 255, -1)

    def ring(self, x: float, y: float, radius: float, colour: Colour) -> None:
        centre = (round(x * self._width), round(y * self._height))
        thick = max(2, round(0.045 * self._height))
        cv2.circle(self._picture, centre, round(radius * self._height), colour, thick)
        cv2.circle(self._alpha, centre, round(radius * self._height), 255, thick)

    def limb(self, points: Sequence[tuple[float, float]], thickness: float, colour: Colour) -> None:
        corners = np.array(
            [[round(x * self._width), round(y * self._height)] for x, y in points], np.int32
        )
        thick = max(1, round(thickness * self._height))
        cv2.polylines(self._picture, [corners], False, colour, thick)
        cv2.polylines(self._alpha, [corners], False, 255, thick)


def _shade(colour: Colour, by: float) -> Colour:
    blue, green, red = (min(255, max(0, round(part * by))) for part in colour)
    return blue, green, red


def _wheels(canvas: _Canvas, at: Sequence[float], radius: float) -> None:
    for x in at:
        canvas.disc(x, 1 - radius, radius, _TYRE)
        canvas.disc(x, 1 - radius, radius * 0.55, (150, 150, 152))
        canvas.disc(x, 1 - radius, radius * 0.2, (70, 70, 72))


def _car(canvas: _Canvas, colour: Colour) -> None:
    canvas.shape(
        [(0.01, 0.80), (0.01, 0.55), (0.06, 0.46), (0.20, 0.40), (0.30, 0.08), (0.36, 0.01),
         (0.60, 0.01), (0.67, 0.07), (0.78, 0.40), (0.93, 0.47), (0.99, 0.58), (0.99, 0.82),
         (0.95, 0.86), (0.04, 0.86)], colour,
    )  # fmt: skip
    canvas.shape([(0.01, 0.68), (0.99, 0.68), (0.99, 0.82), (0.95, 0.86), (0.04, 0.86),
                  (0.01, 0.80)], _shade(colour, 0.72))  # fmt: skip
    canvas.shape([(0.25, 0.38), (0.325, 0.12), (0.37, 0.07), (0.465, 0.07), (0.465, 0.38)], _GLASS)
    canvas.shape([(0.495, 0.38), (0.495, 0.07), (0.60, 0.07), (0.645, 0.12), (0.735, 0.38)], _GLASS)
    canvas.limb([(0.48, 0.42), (0.48, 0.80)], 0.014, _shade(colour, 0.55))
    canvas.limb([(0.53, 0.50), (0.58, 0.50)], 0.03, _shade(colour, 0.5))
    canvas.shape([(0.935, 0.52), (0.985, 0.57), (0.985, 0.64), (0.94, 0.62)], (215, 240, 250))
    canvas.shape([(0.01, 0.54), (0.045, 0.52), (0.045, 0.62), (0.01, 0.63)], (40, 40, 205))
    _wheels(canvas, (0.20, 0.80), 0.19)


def _van(canvas: _Canvas, colour: Colour) -> None:
    canvas.shape(
        [(0.01, 0.86), (0.01, 0.06), (0.04, 0.01), (0.70, 0.01), (0.78, 0.05), (0.90, 0.42),
         (0.98, 0.50), (0.99, 0.86)], colour,
    )  # fmt: skip
    canvas.shape([(0.01, 0.70), (0.99, 0.70), (0.99, 0.86), (0.01, 0.86)], _shade(colour, 0.78))
    canvas.shape([(0.66, 0.42), (0.66, 0.12), (0.76, 0.12), (0.86, 0.42)], _GLASS)
    canvas.limb([(0.62, 0.08), (0.62, 0.82)], 0.010, _shade(colour, 0.6))
    canvas.shape([(0.08, 0.24), (0.52, 0.24), (0.52, 0.34), (0.08, 0.34)], (150, 90, 40))
    canvas.shape([(0.95, 0.54), (0.985, 0.56), (0.985, 0.64), (0.95, 0.63)], (215, 240, 250))
    canvas.shape([(0.01, 0.50), (0.03, 0.50), (0.03, 0.62), (0.01, 0.62)], (40, 40, 205))
    _wheels(canvas, (0.19, 0.80), 0.14)


def _cyclist(canvas: _Canvas, colour: Colour, phase: int) -> None:
    turn = 2 * np.pi * phase / PHASES
    for x in (0.20, 0.80):
        canvas.ring(x, 0.78, 0.195, _TYRE)
    steel = (60, 60, 190)
    canvas.limb(
        [(0.20, 0.78), (0.45, 0.78), (0.70, 0.52), (0.38, 0.52), (0.20, 0.78)], 0.025, steel
    )
    canvas.limb([(0.45, 0.78), (0.37, 0.47)], 0.025, steel)
    canvas.limb([(0.80, 0.78), (0.69, 0.46), (0.76, 0.44)], 0.025, steel)
    for half, shade in ((np.pi, 0.6), (0.0, 1.0)):
        foot = (0.45 + 0.09 * float(np.cos(turn + half)), 0.80 + 0.07 * float(np.sin(turn + half)))
        knee = ((0.36 + foot[0]) / 2 + 0.11, (0.44 + foot[1]) / 2 - 0.04)
        canvas.limb([(0.36, 0.44), knee, foot], 0.062, _shade((95, 70, 50), shade))
    canvas.limb([(0.36, 0.44), (0.56, 0.22)], 0.12, colour)
    canvas.limb([(0.55, 0.24), (0.64, 0.38), (0.74, 0.44)], 0.042, _shade(colour, 0.85))
    canvas.disc(0.62, 0.105, 0.075, _SKIN)
    canvas.shape([(0.51, 0.10), (0.55, 0.02), (0.66, 0.005), (0.75, 0.07), (0.75, 0.095)],
                 (230, 230, 235))  # fmt: skip


def _pedestrian(canvas: _Canvas, colour: Colour, phase: int) -> None:
    swing = float(np.sin(2 * np.pi * phase / PHASES))
    for side, shade in ((-1.0, 0.65), (1.0, 1.0)):
        reach = 0.32 * swing * side
        knee = (0.5 + reach * 0.55 + 0.05, 0.74)
        canvas.limb([(0.5, 0.52), knee, (0.5 + reach, 0.97)], 0.075, _shade((110, 75, 55), shade))
    canvas.limb([(0.5, 0.24), (0.5 + 0.25 * swing, 0.40), (0.58 + 0.3 * swing, 0.50)], 0.05,
                _shade(colour, 0.7))  # fmt: skip
    canvas.limb([(0.5, 0.23), (0.5, 0.50)], 0.15, colour)
    canvas.limb([(0.5, 0.24), (0.5 - 0.25 * swing, 0.40), (0.56 - 0.3 * swing, 0.50)], 0.05,
                _shade(colour, 0.88))  # fmt: skip
    canvas.disc(0.52, 0.085, 0.072, _SKIN)
    canvas.disc(0.48, 0.065, 0.06, (40, 45, 60))
