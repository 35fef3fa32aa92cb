"""What the process that decodes and the one that asked it say to one another.

Requests are pickled, for they come from the process that is trusted. Answers are MessagePack with
types, so that a decoder that was taken over can say nothing but these values.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeVar

import msgspec

T = TypeVar("T")

HEADER = 4  # bytes before each message that say how long it is
LONGEST = 16 << 20  # bytes of an answer


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to do, by its *name* in the child's table.

    *allowance* is its seconds of CPU, *written* the bytes that each file it writes may have.
    """

    name: str
    arguments: tuple[object, ...]
    allowance: float
    written: int


class Ready(msgspec.Struct, tag="ready"):
    """The child has confined itself and waits. *filtered* tells whether it has no network."""

    filtered: bool


class Progressed(msgspec.Struct, tag="progressed"):
    """So much is done, as a share, and what is being done."""

    fraction: float
    message: str


class Answered(msgspec.Struct, tag="returned"):
    """Done; *value* is the answer, encoded."""

    value: bytes


class Refused(msgspec.Struct, tag="refused"):
    """A HoldfastError: the file's fault or a limit's, or else the disk's."""

    kind: Literal["media", "storage"]
    reason: str


class Failed(msgspec.Struct, tag="failed"):
    """A bug, or what somebody's detector raised, with its traceback."""

    error: str
    traceback: str


Answer = Ready | Progressed | Answered | Refused | Failed
_ANSWERS: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def framed(message: bytes) -> bytes:
    """Return *message* behind its length."""
    return len(message).to_bytes(HEADER, "big") + message


def encode_answer(answer: Answer) -> bytes:
    """Return *answer* as it goes through the pipe."""
    return framed(msgspec.msgpack.encode(answer))


def decode_answer(message: bytes | bytearray) -> Answer:
    """Return the answer in *message*. Raises msgspec.ValidationError or DecodeError."""
    return _ANSWERS.decode(message)


def encode_value(value: object) -> bytes:
    """Return what a task returned, fractions as text."""
    return msgspec.msgpack.encode(value, enc_hook=_plain)


def decode_value(data: bytes, kind: type[T]) -> T:
    """Return the value of type *kind* in *data*. Raises msgspec.ValidationError or DecodeError."""
    return msgspec.msgpack.decode(data, type=kind, dec_hook=_fraction)


def _plain(value: object) -> object:
    if isinstance(value, Fraction):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def _fraction(kind: type, value: object) -> object:
    if kind is Fraction and isinstance(value, str):
        try:
            return Fraction(value)
        except ZeroDivisionError:
            raise ValueError(f"{value!r} is no fraction") from None
    raise TypeError(f"{kind.__name__} has no place in an answer")
