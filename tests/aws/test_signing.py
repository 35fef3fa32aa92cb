"""Signatures are those that botocore makes, for thousands of generated requests."""

import random
import string
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from holdfast.aws.credentials import Credentials
from holdfast.aws.signature import Signer, query_string

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
LETTERS = string.ascii_letters + string.digits + "-_.~/ +%&=?!$'()*,;:@é\u202e\U0001f3a5\x01"
PAYLOADS = ("UNSIGNED-PAYLOAD", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def text(chance, letters=LETTERS, longest=20):
    return "".join(chance.choice(letters) for _ in range(chance.randrange(longest)))


@pytest.mark.parametrize("service", ["s3", "dynamodb"])
def test_signatures_are_those_of_botocore(monkeypatch, service):
    chance = random.Random(service)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    signer = Signer("eu-central-1", service)
    current = {}
    monkeypatch.setattr(auth, "get_current_datetime", lambda: current["now"].replace(tzinfo=None))
    kind = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth
    for number in range(3000):
        now += timedelta(minutes=chance.randrange(600))  # over midnights, so keys of days change
        current["now"] = now
        ours = Credentials(f"AKIA{number % 3}", "secret/+=" * 4, chance.choice([None, "token=="]))
        method = chance.choice(METHODS)
        path = "/" + (quote(text(chance), safe="-_.~/") if service == "s3" else "")
        query = query_string([(text(chance) or "k", text(chance)) for _ in range(number % 5)])
        headers = {
            "host": "bucket.example.test:9000",
            "x-amz-content-sha256": chance.choice(PAYLOADS),
            "user-agent": "not signed",
        }
        for _ in range(chance.randrange(4)):
            name = "x-amz-meta-" + text(chance, string.ascii_lowercase, 8)
            headers[name] = "  ".join(text(chance, string.printable[:94]) for _ in range(2)).strip()
        request = AWSRequest(method, f"http://bucket.example.test:9000{path}?{query}", headers)
        request.headers.replace_header("host", headers["host"])
        theirs = BotocoreCredentials(ours.access_key, ours.secret_key, ours.session_token)
        signing = kind(theirs, service, "eu-central-1")
        monkeypatch.setattr(
            signing, "payload", lambda _request, sha=headers["x-amz-content-sha256"]: sha
        )
        signing.add_auth(request)
        signer.sign(method, path, query, headers=headers, credentials=ours, now=now)
        assert headers["authorization"] == request.headers["Authorization"], (method, path, query)
