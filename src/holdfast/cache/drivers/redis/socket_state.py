"""What the operating system knows of a socket: whether it is closed, and what it has not sent."""

from __future__ import annotations

import fcntl
import select
import struct
import termios

_CLOSED = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


def is_closed(handle: int) -> bool:
    """Return whether the other side has closed the socket *handle*, read or not."""
    poll = select.poll()
    poll.register(handle, _CLOSED)
    return bool(poll.poll(0))


def unsent(handle: int) -> int:
    """Return the bytes given to the socket *handle* that the other side has not taken yet."""
    try:
        answer = fcntl.ioctl(handle, termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:  # a kind of socket that can't tell
        return 0
    (count,) = struct.unpack("i", answer)
    return int(count)
