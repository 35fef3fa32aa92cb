"""Applications as tests reach them: in this process, or over a socket of uvicorn's."""

import contextlib
import socket
import threading

import httpx
import uvicorn


@contextlib.asynccontextmanager
async def client_of(app, **options):
    """Start *app* and yield a client that calls it in this event loop."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test", **options) as client,
    ):
        yield client


@contextlib.contextmanager
def served(app, **options):
    """Serve *app* by uvicorn on a thread, and yield its address; stop it afterwards."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", lifespan="on", **options)
        server = uvicorn.Server(config)
        started = threading.Event()
        startup = server.startup

        async def told_startup(sockets=None):
            await startup(sockets)
            started.set()

        server.startup = told_startup
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not started.wait(0.05):
                assert thread.is_alive(), "the server ended while it started"
            assert server.started
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
