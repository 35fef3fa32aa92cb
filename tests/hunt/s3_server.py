"""A random search for trouble between a bucket and an S3 server that misbehaves.

    python tests/hunt/s3_server.py --minutes 3     rounds with seeds of their own, until time is up
    python tests/hunt/s3_server.py --seed 1234     one round again

The model knows for each key what may be there: after a call that succeeded one thing, after one
that raised UnavailableError what was there before or what the call would have left. Each answer
must be one of them, and no error may come but for those that the faults explain.
"""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from holdfast.errors import (
    IntegrityError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnavailableError,
)
from holdfast.objects import PutOptions, sync
from hunt.rounds import hunt
from objects.faulty_s3 import BUCKET, Answer, FaultyS3, refusal

KEYS = [f"key{number}" for number in range(5)]
MIB = 1024 * 1024
STEPS = 120


def lost(_request, proceed):
    proceed()


def cut(_request, _proceed):
    return None


def says(answer):
    return lambda _request, _proceed: answer


def truncated(request, proceed):
    answer = proceed()
    length = {"Content-Length": str(len(answer.body))}
    request.close_connection = True
    return Answer(answer.status, {**length, **answer.headers}, answer.body[: len(answer.body) // 2])


def damaged(request, proceed):
    answer = proceed()
    if not answer.body or answer.status >= 300:
        return answer
    body = bytearray(answer.body)
    body[len(body) // 2] ^= 1
    return Answer(answer.status, answer.headers, bytes(body))


def padded(request, proceed):
    answer = proceed()
    if not answer.body.startswith(b"<"):
        return answer
    body = b" \r\n" * 100 + b'<?xml version="1.0"?>\n' + answer.body
    return Answer(answer.status, answer.headers, body)


def last_word(request, proceed):
    """Do it, answer, and close the connection although nothing said so."""
    answer = proceed()
    request.close_connection = True
    return answer


PASSING = [
    lost,
    cut,
    last_word,
    says(refusal(500, "InternalError")),
    says(refusal(503, "SlowDown", retry_after="0")),
    says(Answer(502, {}, b"<html>bad gateway")),
    says(Answer(503)),
    says(refusal(200, "InternalError")),
]
FAULTS = {
    "PutObject": PASSING[:-1],
    "GetObject": [*PASSING[:-1], truncated, damaged],
    "HeadObject": PASSING[:-2],
    "DeleteObject": PASSING[:-1],
    "CopyObject": [*PASSING, padded],
    "ListObjectsV2": [*PASSING, padded, truncated],
    "CreateMultipartUpload": [*PASSING[:-1], padded],
    "UploadPart": PASSING[:-1],
    "CompleteMultipartUpload": [*PASSING, padded],
}


class Search:
    """One round: a bucket, its server, and what may be under each key (None for nothing)."""

    def __init__(self, seed, server, bucket):
        self.chance = random.Random(seed)
        self.server = server
        self.bucket = bucket
        self.possible = {key: {None} for key in KEYS}

    def step(self):
        for _ in range(self.chance.choice([0, 0, 1, 1, 2, 5])):
            operation = self.chance.choice([*FAULTS])
            self.server.plant(operation, self.chance.choice(FAULTS[operation]))
        key = self.chance.choice(KEYS)
        verb = self.chance.choice(
            (
                *(self.put, self.put, self.put_new, self.get, self.get, self.piece, self.head),
                *(self.delete, self.copy, self.move, self.list, self.replace),
            )
        )
        verb(key)

    def body(self):
        size = self.chance.choice([0, 1, 10, 1000, 200_000])
        if self.chance.random() < 0.03:
            size = 6 * MIB
        return self.chance.randbytes(min(size, 1000)) * max(1, size // 1000) if size else b""

    def put(self, key, **options):
        body = self.body()
        try:
            self.bucket.put(key, body, options=PutOptions(**options))
        except UnavailableError:
            self.possible[key] |= {body}
        else:
            self.possible[key] = {body}

    def put_new(self, key):
        try:
            self.put(key, if_absent=True)
        except PreconditionFailedError:
            self.possible[key] -= {None}
            assert self.possible[key], f"{key}: refused, though nothing can be there"

    def replace(self, key):
        try:
            found = self.bucket.head(key)
            if found is None:
                self.is_there(key, None)
                return
            self.put(key, if_match=found.etag)
        except UnavailableError:
            return
        except PreconditionFailedError:
            raise AssertionError(f"{key}: changed, though nobody changed it") from None

    def get(self, key):
        try:
            found = self.bucket.get(key)
        except ObjectNotFoundError:
            found = None
        except (UnavailableError, IntegrityError):
            return
        self.is_there(key, found)

    def piece(self, key):
        """Ranges carry no checksum, so a damage that is planted for them may not be seen."""
        self.server.faults.pop("GetObject", None)
        self.server.plant("GetObject", self.chance.choice([*PASSING[:-1], truncated]))
        sizes = [len(each) for each in self.possible[key] if each is not None]
        if len(self.possible[key]) != 1 or not sizes:
            return
        (content,) = self.possible[key]
        start = self.chance.randrange(len(content) + 1)
        end = self.chance.randrange(start, len(content) + 1)
        try:
            found = self.bucket.get(key, start=start, end=end)
        except (UnavailableError, IntegrityError):
            return
        assert found == content[start:end], f"{key}: bytes {start} to {end} are others"

    def head(self, key):
        try:
            found = self.bucket.head(key)
        except UnavailableError:
            return
        if found is None:
            self.is_there(key, None)
        else:
            sizes = {len(each) for each in self.possible[key] if each is not None}
            assert found.size in sizes, f"{key}: {found.size} bytes, expected {sizes}"

    def delete(self, key):
        try:
            there = self.bucket.delete(key)
        except UnavailableError:
            self.possible[key] |= {None}
            return
        before = self.possible[key]
        assert before != {None} if there else None in before, f"{key}: delete says {there}"
        self.possible[key] = {None}

    def copy(self, key, verb="copy"):
        target = self.chance.choice([other for other in KEYS if other != key])
        try:
            getattr(self.bucket, verb)(key, target)
        except ObjectNotFoundError:
            assert None in self.possible[key], f"{key}: said to be absent"
            if verb == "copy":
                self.possible[key] = {None}
        except UnavailableError:
            self.possible[target] |= self.possible[key] - {None}
            if verb == "move":
                self.possible[key] |= {None}
        else:
            self.possible[target] = self.possible[key] - {None}
            if verb == "copy":
                self.possible[key] -= {None}
            else:
                self.possible[key] = {None}
            assert self.possible[target], f"{key}: copied, though nothing can be there"

    def move(self, key):
        self.copy(key, "move")

    def list(self, _key):
        try:
            found = {info.key for info in self.bucket.list()}
        except UnavailableError:
            return
        for key, possible in self.possible.items():
            if key in found:
                assert possible != {None}, f"{key}: listed, though it can't be there"
            else:
                assert None in possible, f"{key}: not listed, though it is there"

    def is_there(self, key, found):
        assert found in self.possible[key], f"{key}: what is there was never put there"
        self.possible[key] = {found}


def run_round(seed, steps=STEPS):
    """Search once. Raises AssertionError, and any error that no fault explains."""
    with FaultyS3().running() as server:
        options = server.options(multipart=5 * MIB, part=5 * MIB, attempts=4)
        with sync.open_bucket(f"s3://{BUCKET}", options=options) as bucket:
            service = bucket.asynchronous._driver._service

            async def no_pause(_seconds):
                return None

            service.network.sleep = no_pause
            search = Search(seed, server, bucket)
            for number in range(steps):
                service._budget.tokens = service._budget.most
                try:
                    search.step()
                except BaseException:
                    print(f"seed {seed}, step {number}", file=sys.stderr)
                    raise
            server.faults.clear()
            for key in KEYS:
                search.get(key)
            left = [upload for upload in server.uploads if server.uploads[upload]]
            return len(left)


if __name__ == "__main__":
    hunt(__doc__, run_round, STEPS)
