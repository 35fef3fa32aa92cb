"""Detectors that a test hands to another process, so that they live in a module."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.media.vision import MotionDetector
from holdfast.media.vision.detector import Findings

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Meanwhile:
    """Tells by a file that it has begun, then does what a motion detector does."""

    flag: Path

    def start(self, video):
        self.flag.touch()
        return MotionDetector().start(video)


@dataclass(frozen=True)
class Misbehaving:
    """Does with the first frame what *how* says."""

    how: str

    def start(self, video):
        return self

    def look(self, frame):
        HOW[self.how]()
        return Findings([], frame.index + 1)

    def finish(self):
        return Findings([], 1 << 62)


def connect():
    with socket.socket() as tried:
        tried.connect(("127.0.0.1", 9))


def crash():
    ctypes.string_at(0)


HOW = {
    "waits": threading.Event().wait,
    "spins": lambda: [None for _ in iter(int, 1)],
    "hoards": lambda: bytearray(8 << 30),
    "crashes": crash,
    "connects": connect,
    "starts a program": lambda: os.execv("/bin/true", ["true"]),
    "raises": lambda: {}["nothing"],
    "exits": lambda: os._exit(3),
}
