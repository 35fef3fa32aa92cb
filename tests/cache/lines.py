"""What lies between one client and a server: it can be cut, or hold back what is on its way."""

import asyncio
import contextlib

WINDOW = 64 * 1024


class _Pipe:
    """One connection through a line, held back in neither direction at first."""

    def __init__(self):
        self.asks = asyncio.Event()
        self.answers = asyncio.Event()
        self.asks.set()
        self.answers.set()
        self.ends = []

    async def carry(self, source, sink, gate):
        with contextlib.suppress(OSError):  # either side went away: so does the other
            while data := await source.read(WINDOW):
                await gate.wait()
                sink.write(data)
                await sink.drain()
        sink.close()

    def cut(self):
        self.asks.set()
        self.answers.set()
        for end in self.ends:
            end.transport.abort()


class Line:
    """A port of its own that leads to *port*; an async context manager.

    What is held back is delivered when it is released, however late: also to a server that has
    heard from the same client on another connection since.
    """

    def __init__(self, port):
        self._to = port
        self._pipes = []
        self._tasks = set()
        self._open = True
        self._server = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks)

    def hold(self, direction, number=None):
        """Hold back the *asks* or *answers* of the connections there are; return what ends that.

        *number* is that of one connection alone, the oldest being 0.
        """
        held = self._pipes if number is None else self._pipes[number : number + 1]
        gates = [getattr(pipe, direction) for pipe in held]
        for gate in gates:
            gate.clear()

        def release():
            for gate in gates:
                gate.set()

        return release

    def refuse(self):
        """Take no new connection until `mend`."""
        self._open = False

    def cut(self):
        """End every connection, and `refuse`."""
        self.refuse()
        for pipe in self._pipes:
            pipe.cut()

    def mend(self):
        self._open = True

    def lead_to(self, port):
        """Lead new connections to *port*."""
        self._to = port

    async def _enter(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        pipe = _Pipe()
        try:
            if not self._open:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            pipe.ends = [writer, far_writer]
            self._pipes.append(pipe)
            await asyncio.gather(
                pipe.carry(reader, far_writer, pipe.asks),
                pipe.carry(far_reader, writer, pipe.answers),
            )
        except OSError:  # the server is away, and so is its line
            return
        finally:
            if pipe in self._pipes:
                self._pipes.remove(pipe)
            self._tasks.discard(task)
            for end in (writer, *pipe.ends):
                end.close()
