"""Small films for the tests, good and broken."""

from __future__ import annotations

import wave
from fractions import Fraction

import av
import cv2
import numpy as np


def film(
    path, *, frames=60, size=(160, 120), rate=25, codec="libx264", turn=0, moving=True, begins=0
):
    """A square that crosses a still, rough ground from left to right, from stamp *begins* on."""
    width, height = size
    ground = np.random.default_rng(5).integers(70, 110, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if turn:
            stream.set_display_rotation(turn)
        for number in range(frames):
            picture = ground.copy()
            if moving:
                x = number * 4 - 30
                y = height // 3
                cv2.rectangle(picture, (x, y), (x + 28, y + 24), (235, 235, 245), -1)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = begins + number, Fraction(1) / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(path, share, target):
    """The first *share* of the bytes of *path*, as *target*."""
    data = path.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def sound(path):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\1" * 8000)
    return path
