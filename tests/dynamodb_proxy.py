"""A proxy before an emulator of DynamoDB that does what emulators can't: throttle, conflict, lose
answers, damage them, leave a part undone, and let tables and indexes come late."""

import contextlib
import json
import threading
import zlib
from collections import Counter
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Proxy:
    """Passes requests on, unless a fault is waiting for their operation.

    A fault is a function of the handler and the request that answers in place of the emulator;
    *always* is what every request meets for which none is waiting.
    """

    def __init__(self, target):
        parts = urlsplit(target)
        self.target = (parts.hostname, parts.port)
        self.faults = []
        self.always = None
        self.seen = Counter()
        self.bodies = []
        self.lock = threading.Lock()

    def inject(self, operation, fault, *, times=1):
        """Let the next *times* requests of *operation* meet *fault*."""
        self.faults += [(operation, fault)] * times

    def taken(self, operation):
        with self.lock:
            self.seen[operation] += 1
            for place, (wanted, fault) in enumerate(self.faults):
                if wanted == operation:
                    del self.faults[place]
                    return fault
        return self.always

    def forward(self, headers, body):
        """Return status and body of the emulator's answer."""
        connection = HTTPConnection(*self.target)
        with contextlib.closing(connection):
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


@contextlib.contextmanager
def proxy_before(target):
    """Yield a proxy before the emulator at *target*, with its `url`."""
    proxy = Proxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.operation = self.headers["X-Amz-Target"].partition(".")[2]
            self.body = body
            self.request_headers = {
                name: text for name, text in self.headers.items() if name.lower() != "host"
            }
            fault = proxy.taken(self.operation)
            proxy.bodies.append((self.operation, body))
            if fault is None:
                self.answer(*proxy.forward(self.request_headers, body))
            else:
                fault(self, json.loads(body))

        def emulator(self, request=None):
            """Return what the emulator answers, as data."""
            body = self.body if request is None else json.dumps(request).encode()
            headers = {**self.request_headers, "Content-Length": str(len(body))}
            return json.loads(proxy.forward(headers, body)[1])

        def unread(self):
            """Return what the emulator answers, as it came: the status and the body."""
            return proxy.forward(self.request_headers, self.body)

        def answer(self, status, body, checksum=None):
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Amz-Crc32", str(zlib.crc32(body) if checksum is None else checksum))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def refuse(code, **details):
    """Answer that the service refuses, by *code*."""

    def fault(handler, _request):
        kind = f"com.amazonaws.dynamodb.v20120810#{code}"
        handler.answer(400, {"__type": kind, "message": "injected", **details})

    return fault


def fail(handler, _request):
    """Answer that the service failed inside."""
    handler.answer(500, {"__type": "#InternalServerError", "message": "injected"})


def damage(handler, _request):
    """Answer what the emulator does, with a checksum of other bytes."""
    handler.answer(200, handler.emulator(), checksum=1)


def lose(handler, _request):
    """Let the emulator do it, and hang up."""
    handler.emulator()
    handler.close_connection = True
    handler.connection.close()


def half(handler, request):
    """Answer for the first half of a batch's keys, and leave the others unprocessed."""
    ((table, asked),) = request["RequestItems"].items()
    middle = len(asked["Keys"]) // 2
    first, rest = asked["Keys"][:middle], asked["Keys"][middle:]
    answer = handler.emulator({"RequestItems": {table: {**asked, "Keys": first}}})
    handler.answer(200, {**answer, "UnprocessedKeys": {table: {**asked, "Keys": rest}}})


def creating(handler, _request):
    """Tell of a table that is still being made."""
    answer = handler.emulator()
    answer["Table"]["TableStatus"] = "CREATING"
    handler.answer(200, answer)


def lagging(handler, _request):
    """Answer as an index that has not heard of the newest writes."""
    handler.answer(200, {"Items": [], "Count": 0, "ScannedCount": 0})


def half_written(handler, request):
    """Write the first half of a batch, none of one, and leave the others unprocessed."""
    ((table, writes),) = request["RequestItems"].items()
    middle = len(writes) // 2
    answer = {}
    if middle:
        answer = handler.emulator({"RequestItems": {table: writes[:middle]}})
    handler.answer(200, {**answer, "UnprocessedItems": {table: writes[middle:]}})
