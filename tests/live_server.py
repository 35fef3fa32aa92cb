"""An application on a real socket, and connections to it that a test holds in its hands."""

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn


class Live:
    """A server that runs in the test's own loop, on a port of its own."""

    def __init__(self, server, port):
        self.server = server
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    @asynccontextmanager
    async def connected(self):
        """Give a plain connection, which is closed at the end of the block."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    @property
    def connections(self):
        return len(self.server.server_state.connections)

    @property
    def tasks(self):
        return len(self.server.server_state.tasks)


@asynccontextmanager
async def served(app, **settings):
    """Serve *app* until the end of the block."""
    config = uvicorn.Config(app, port=0, lifespan="on", log_level="critical", ws="none", **settings)
    server = uvicorn.Server(config)
    server.capture_signals = _uncaptured  # of the test's own process
    running = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started or running.done())
        if running.done():
            running.result()
        (socket,) = server.servers[0].sockets
        yield Live(server, socket.getsockname()[1])
    finally:
        server.should_exit = True
        await running


@contextmanager
def _uncaptured():
    yield


async def until(condition, seconds=60):
    """Return once *condition* holds. Fails when that takes *seconds*."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition, of whatever the test looks at
            await asyncio.sleep(0.005)
