"""The street of the made scene: houses, a pavement, a road with two lanes, grass and a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where wheels and feet stand (pixels from the top of 540) and how large things look there.
LANES = {"far": (312, 0.86), "near": (392, 1.06), "edge": (424, 1.08), "path": (506, 1.12)}

_WALLS = ((120, 148, 178), (150, 160, 168), (98, 118, 152), (168, 172, 176), (112, 134, 148))


def backdrop(width: int, height: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """The empty street as rows, columns and blue, green, red."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = (196, 176, 158)  # sky
    _houses(picture, random)
    cv2.rectangle(picture, (0, 196), (width, 244), (148, 152, 156), -1)  # pavement
    for x in range(-20, width + 60, 34):
        cv2.line(picture, (x, 243), (x + 12, 196), (136, 140, 144), 1, cv2.LINE_AA)
    cv2.rectangle(picture, (0, 244), (width, 250), (176, 180, 182), -1)  # kerb
    cv2.rectangle(picture, (0, 250), (width, 432), (84, 82, 80), -1)  # road
    cv2.line(picture, (0, 256), (width, 256), (190, 194, 196), 2, cv2.LINE_AA)
    cv2.line(picture, (0, 427), (width, 427), (190, 194, 196), 2, cv2.LINE_AA)
    for x in range(12, width, 88):
        corners = np.array([[x + 5, 328], [x + 47, 328], [x + 44, 334], [x, 334]], np.int32)
        cv2.fillPoly(picture, [corners], (200, 204, 206), cv2.LINE_AA)
    cv2.rectangle(picture, (0, 432), (width, 439), (172, 176, 178), -1)  # kerb
    cv2.rectangle(picture, (0, 439), (width, height), (66, 118, 92), -1)  # grass
    cv2.rectangle(picture, (0, 478), (width, 518), (138, 156, 172), -1)  # path
    cv2.line(picture, (0, 478), (width, 478), (112, 132, 146), 1)
    cv2.line(picture, (0, 518), (width, 518), (112, 132, 146), 1)
    _tufts(picture, random)
    rough = random.normal(0, 4.0, (height, width)).astype(np.float32)
    rough = np.asarray(cv2.GaussianBlur(rough, (0, 0), 0.9)) * np.float32(1.6)
    return np.asarray(np.clip(picture + rough[..., None], 0, 255), np.uint8)


def _houses(picture: NDArray[np.uint8], random: np.random.Generator) -> None:
    width = picture.shape[1]
    x, number = -24, 0
    while x < width:
        wide = int(random.integers(130, 210))
        top = int(random.integers(18, 74))
        wall = _WALLS[number % len(_WALLS)]
        dark = tuple(int(part * 0.7) for part in wall)
        cv2.rectangle(picture, (x, top), (x + wide, 196), wall, -1)
        cv2.rectangle(picture, (x - 3, top - 7), (x + wide + 3, top), dark, -1)
        cv2.line(picture, (x + wide, top), (x + wide, 196), dark, 2)
        for y in range(top + 16, 134, 36):
            for left in range(x + 16, x + wide - 26, 34):
                lit = bool(random.random() < 0.15)
                pane = (150, 205, 228) if lit else (108, 96, 82)
                cv2.rectangle(picture, (left - 2, y - 2), (left + 20, y + 24), (206, 210, 212), -1)
                cv2.rectangle(picture, (left, y), (left + 18, y + 22), pane, -1)
                cv2.line(picture, (left + 9, y), (left + 9, y + 22), (206, 210, 212), 1)
        door = x + wide // 2 - 12
        cv2.rectangle(picture, (door - 2, 148), (door + 26, 196), dark, -1)
        cv2.rectangle(picture, (door, 150), (door + 24, 196), (62, 72, 96), -1)
        x += wide
        number += 1


def _tufts(picture: NDArray[np.uint8], random: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    for _ in range(900):
        x, y = int(random.integers(0, width)), int(random.integers(442, height))
        if 474 < y < 524:
            continue
        green = int(random.integers(96, 142))
        cv2.line(picture, (x, y), (x + int(random.integers(-2, 3)), y - 4),
                 (56, green, 78), 1, cv2.LINE_AA)  # fmt: skip
    for x in (90, 420, 770):
        cv2.rectangle(picture, (x - 3, 150), (x + 3, 240), (52, 72, 92), -1)
        for _ in range(26):
            spot = (x + int(random.integers(-30, 31)), 132 + int(random.integers(-32, 33)))
            shade = int(random.integers(84, 132))
            cv2.circle(picture, spot, int(random.integers(9, 17)), (52, shade, 66), -1, cv2.LINE_AA)
