"""Small, smooth letters as masks: drawn large once, shrunk, and kept."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FINE = 4
_FONT = cv2.FONT_HERSHEY_DUPLEX


@lru_cache(maxsize=256)
def letter(character: str, height: int) -> NDArray[np.float32]:
    """One *character* of ASCII in a line *height* pixels high: coverage from 0 to 1."""
    scale = height * _FINE / 36
    thick = max(1, round(scale * 1.6))
    (width, _), _ = cv2.getTextSize(character, _FONT, scale, thick)
    if character.isdigit():  # digits stand in columns, so that a running clock does not tremble
        (width, _), _ = cv2.getTextSize("0", _FONT, scale, thick)
    canvas = np.zeros((height * _FINE, max(_FINE, width)), np.uint8)
    base = round(height * _FINE * 0.78)
    cv2.putText(canvas, character, (0, base), _FONT, scale, 255, thick, cv2.LINE_AA)
    small = cv2.resize(canvas, (max(1, round(width / _FINE)), height), interpolation=cv2.INTER_AREA)
    mask = np.asarray(small, np.float32) / np.float32(255)
    mask.flags.writeable = False
    return mask


def line_of_text(text: str, height: int) -> NDArray[np.float32]:
    """*text* in one line *height* pixels high: coverage from 0 to 1."""
    return np.hstack([letter(character, height) for character in text])


def arrow(height: int, x: float, y: float) -> NDArray[np.float32]:
    """An arrow head towards (*x*, *y*), *height* pixels high and wide: coverage from 0 to 1."""
    size = height * _FINE
    length = max(1e-9, float(np.hypot(x, y)))
    ahead = np.array([x, y]) / length * size * 0.34
    aside = np.array([-ahead[1], ahead[0]]) * 0.95
    middle = np.array([size / 2, size / 2])
    corners = np.array([middle + ahead, middle - ahead + aside, middle - ahead - aside])
    canvas = np.zeros((size, size), np.uint8)
    cv2.fillPoly(canvas, [corners.round().astype(np.int32)], 255)
    small = cv2.resize(canvas, (height, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)
