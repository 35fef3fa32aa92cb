"""A server of bytes, for what no HTTP server would say."""

from __future__ import annotations

import contextlib
import socket
import threading


@contextlib.contextmanager
def serving(talk):
    """Call *talk* with each connection, on a thread of its own; yield the port.

    A connection may break: an exception in a thread would fail whatever test runs by then. At the
    end all threads are waited for, so the clients are closed before.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    talks = []

    def talked(connected):
        with connected, contextlib.suppress(OSError):
            talk(connected)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connected, _ = listener.accept()
                talks.append(threading.Thread(target=talked, args=(connected,), daemon=True))
                talks[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # closing it alone wakes nobody
        listener.close()
        for thread in (accepting, *talks):
            thread.join(120)
