"""A small real S3 server that misbehaves when it is told to."""

# ruff: noqa: N802, N815 - operations have S3's names, methods those of http.server

import base64
import hashlib
import sys
import threading
import xml.etree.ElementTree as ET
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from holdfast.objects import Credentials, S3Options

BUCKET = "faulty"


@dataclass
class Stored:
    body: bytes
    headers: dict

    @property
    def etag(self):
        return f'"{hashlib.md5(self.body).hexdigest()}"'


@dataclass
class Answer:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""


def refusal(status, code, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = f"<Error><Code>{code}</Code><Message>planted</Message></Error>".encode()
    return Answer(status, named, body)


class FaultyS3:
    """Objects in memory, one bucket. *faults* are by operation, each used once, in order.

    A fault is called with the request's handler and a function that does what was asked and
    returns the answer; it returns what goes out instead, None to cut the connection.
    """

    def __init__(self):
        self.objects = {}
        self.uploads = {}
        self.aborted = []
        self.log = []
        self.connections = 0
        self.faults = {}
        self.lock = threading.RLock()

    def plant(self, operation, *faults):
        self.faults.setdefault(operation, []).extend(faults)

    def count(self, operation):
        return self.log.count(operation)

    @contextmanager
    def running(self, tls=None):
        outer = self

        class Handler(_Handler):
            s3 = outer

        server = _Server(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def options(self, **more):
        # Nothing here waits for them on a quiet machine; on a busy one they must not end a test.
        settings = {"attempts": 4, "read_timeout": 120.0, "total_timeout": 900.0, **more}
        settings.setdefault("endpoint_url", f"http://127.0.0.1:{self.port}")
        return S3Options(credentials=Credentials("key", "secret"), **settings)

    # What it does when nothing is planted.

    def handle(self, operation, request):
        with self.lock:
            return getattr(self, f"do_{operation}")(request)

    def do_HeadBucket(self, request):
        return Answer()

    def do_ListObjectsV2(self, request):
        items = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(stored.body)}</Size><ETag>{stored.etag}</ETag>"
            "<LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
            for key, stored in sorted(self.objects.items())
        )
        return Answer(body=f"<ListBucketResult>{items}</ListBucketResult>".encode())

    def do_PutObject(self, request):
        problem = self.condition(request) or checksum(request)
        if problem:
            return problem
        stored = self.objects[request.key] = Stored(request.body, kept(request.headers))
        return Answer(headers={"ETag": stored.etag, **echoed(request.headers)})

    def do_CopyObject(self, request):
        source = unquote(request.headers["x-amz-copy-source"]).removeprefix(f"/{BUCKET}/")
        if self.objects[source].etag != request.headers["x-amz-copy-source-if-match"]:
            return refusal(412, "PreconditionFailed")
        stored = Stored(self.objects[source].body, kept(request.headers))
        self.objects[request.key] = stored
        return Answer(
            body=f"<CopyObjectResult><ETag>{stored.etag}</ETag>"
            "<LastModified>2026-01-01T00:00:00Z</LastModified></CopyObjectResult>".encode()
        )

    def do_HeadObject(self, request):
        stored = self.objects.get(request.key)
        if stored is None:
            return Answer(404)
        return Answer(headers=told(stored), body=stored.body)

    def do_GetObject(self, request):
        stored = self.objects.get(request.key)
        if stored is None:
            return refusal(404, "NoSuchKey")
        if request.headers.get("if-match", stored.etag) != stored.etag:
            return refusal(412, "PreconditionFailed")
        wanted = request.headers.get("range")
        if wanted is None:
            return Answer(headers=told(stored), body=stored.body)
        first, last = wanted.removeprefix("bytes=").split("-")
        start, end = int(first), int(last or len(stored.body) - 1) + 1
        part = stored.body[start:end]
        if not part:
            return refusal(416, "InvalidRange")
        span = f"bytes {start}-{start + len(part) - 1}/{len(stored.body)}"
        return Answer(206, {**told(stored), "Content-Range": span}, part)

    def do_DeleteObject(self, request):
        self.objects.pop(request.key, None)
        return Answer(204)

    def do_CreateMultipartUpload(self, request):
        upload = f"upload{len(self.uploads) + len(self.aborted)}"
        self.uploads[upload] = (request.key, kept(request.headers), {})
        body = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
        return Answer(
            headers=echoed(request.headers), body=f"{body}</InitiateMultipartUploadResult>".encode()
        )

    def do_UploadPart(self, request):
        problem = checksum(request)
        if problem or request.query["uploadId"] not in self.uploads:
            return problem or refusal(404, "NoSuchUpload")
        self.uploads[request.query["uploadId"]][2][int(request.query["partNumber"])] = request.body
        return Answer(headers={"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'})

    def do_CompleteMultipartUpload(self, request):
        if request.query["uploadId"] not in self.uploads:
            return refusal(404, "NoSuchUpload")
        problem = self.condition(request)
        if problem:
            return problem
        key, headers, parts = self.uploads.pop(request.query["uploadId"])
        named = [int(part.findtext("PartNumber")) for part in ET.fromstring(request.body)]
        stored = self.objects[key] = Stored(b"".join(parts[number] for number in named), headers)
        body = f"<CompleteMultipartUploadResult><ETag>{stored.etag}</ETag>"
        return Answer(body=f"{body}</CompleteMultipartUploadResult>".encode())

    def do_ListParts(self, request):
        if request.query["uploadId"] not in self.uploads:
            return refusal(404, "NoSuchUpload")
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><Size>{len(body)}</Size>"
            f'<ETag>"{hashlib.md5(body).hexdigest()}"</ETag></Part>'
            for number, body in self.uploads[request.query["uploadId"]][2].items()
        )
        return Answer(body=f"<ListPartsResult>{parts}</ListPartsResult>".encode())

    def do_AbortMultipartUpload(self, request):
        self.aborted.append(request.query["uploadId"])
        self.uploads.pop(request.query["uploadId"], None)
        return Answer(204)

    def condition(self, request):
        stored = self.objects.get(request.key)
        if request.headers.get("if-none-match") == "*" and stored is not None:
            return refusal(412, "PreconditionFailed")
        wanted = request.headers.get("if-match")
        if wanted is not None and (stored is None or stored.etag != wanted):
            return refusal(412, "PreconditionFailed")
        return None


def kept(headers):
    return {
        name.lower(): value
        for name, value in headers.items()
        if name.lower().startswith("x-amz-meta-")
        or name.lower() in ("content-type", "x-amz-checksum-crc32")
    }


def told(stored):
    return {**stored.headers, "ETag": stored.etag, "Last-Modified": formatdate(usegmt=True)}


def echoed(headers):
    name = "x-amz-server-side-encryption"
    return {name: headers[name]} if name in headers else {}


def checksum(request):
    crc32 = base64.b64encode(zlib.crc32(request.body).to_bytes(4, "big")).decode()
    if request.headers.get("x-amz-checksum-crc32", crc32) != crc32:
        return refusal(400, "BadDigest")
    sha256 = hashlib.sha256(request.body).hexdigest()
    if request.headers["x-amz-content-sha256"] not in (sha256, "UNSIGNED-PAYLOAD"):
        return refusal(400, "XAmzContentSHA256Mismatch")
    return None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that hangs up is a part of the play, and no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    s3: FaultyS3

    def version_string(self):
        return "MinIO"

    def log_message(self, *_args):
        pass

    def handle_expect_100(self):
        going_on = super().handle_expect_100()
        self.wfile.flush()  # or the client waits its longest second for it
        return going_on

    def setup(self):
        super().setup()
        with self.s3.lock:
            self.s3.connections += 1

    def answer(self):
        parts = urlsplit(self.path)
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/") or None
        length = int(self.headers.get("content-length", 0))
        self.body = self.rfile.read(length)
        if len(self.body) < length:
            self.close_connection = True
            return
        operation = self.operation()
        with self.s3.lock:
            self.s3.log.append(operation)
            waiting = self.s3.faults.get(operation)
            fault = waiting.pop(0) if waiting else None
        try:
            if fault is None:
                answer = self.s3.handle(operation, self)
            else:
                answer = fault(self, lambda: self.s3.handle(operation, self))
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            headers = {"Content-Length": str(len(answer.body)), **answer.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

    def operation(self):
        match self.command, self.key, *sorted(self.query):
            case "HEAD", None, *_:
                return "HeadBucket"
            case "GET", None, *_:
                return "ListObjectsV2"
            case "HEAD", *_:
                return "HeadObject"
            case "GET", _, *_ if "uploadId" in self.query:
                return "ListParts"
            case "GET", *_:
                return "GetObject"
            case "POST", _, "uploads":
                return "CreateMultipartUpload"
            case "PUT", _, "partNumber", "uploadId":
                return "UploadPart"
            case "POST", _, "uploadId":
                return "CompleteMultipartUpload"
            case "DELETE", _, "uploadId":
                return "AbortMultipartUpload"
            case "DELETE", *_:
                return "DeleteObject"
        return "CopyObject" if "x-amz-copy-source" in self.headers else "PutObject"
