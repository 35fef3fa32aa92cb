"""What is run for each extra: examples of the docs, with the URLs of real servers put in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.release.programs import CHECKOUT

FENCE = re.compile(r"^```(?:python|py)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RECORDS, BUCKET, CACHE, JOBS = (
    f"tutorial/{page}.md" for page in ("2-queries", "4-bucket", "5-cache", "6-jobs")
)


@dataclass(frozen=True)
class Example:
    """The example *number* (from 1) of a page of the docs; *put* replaces text in it.

    `{url}` in what is put is the URL of the trial's server.
    """

    page: str
    number: int = 1
    put: tuple[tuple[str, str], ...] = ()

    def program(self, url: str) -> str:
        """Return the example's text. A text to be replaced that isn't there is a ValueError."""
        text = (CHECKOUT / "docs" / self.page).read_text("utf-8")
        code: str = FENCE.findall(text)[self.number - 1]
        for before, after in self.put:
            if before not in code:
                raise ValueError(f"{self.page} has no {before} in its example {self.number}")
            code = code.replace(before, after.format(url=url))
        return code


@dataclass(frozen=True)
class Trial:
    """What shows that *extras*, and nothing else, are enough for *programs* and *commands*.

    *beside* are packages that people have already (a test client, pandas). *server* is that of
    `make services` by its name.
    """

    extras: tuple[str, ...]
    programs: tuple[Example | str, ...] = ()
    commands: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    server: str | None = None

    @property
    def name(self) -> str:
        """The extras with commas between, "none" for the library alone."""
        return ",".join(self.extras) or "none"


def on_server(extra: str) -> Trial:
    """The tutorial's queries on a database server."""
    store = Example(RECORDS, put=(('"memory://"', '"{url}"'),))
    return Trial((extra,), (store,), server=extra)


BLOCKING = """
from holdfast import Entity, Field, generated_key
from holdfast.sync import open_store

class Note(Entity, table="notes"):
    id: Field[int] = generated_key()
    text: Field[str]

with open_store("sqlite:///notes.db", [Note]) as store:
    store.create_schema()
    store.repository(Note).add(Note(text="hold fast"))
    assert store.repository(Note).count() == 1
"""
SIGNING = """
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from holdfast.models import ManifestSigner
from holdfast.models.model_tree import ModelFile

assert ManifestSigner(Ed25519PrivateKey.generate()).sign([ModelFile("a.bin", 1, "0" * 64)])
"""
BUNDLES = """
import model_signing
from holdfast.models import BundleSigner

assert BundleSigner and model_signing
"""
COMPRESSED = """
from holdfast.objects import PutOptions
from holdfast.sync import open_bucket

with open_bucket("memory://") as bucket:
    for codec in ("gzip", "zstd", "lz4"):
        bucket.put(codec, b"a" * 100_000, options=PutOptions(compression=codec))
        assert bucket.get(codec) == b"a" * 100_000
"""
FILES = """
import fsspec

with fsspec.open("holdfast://a.txt", "w", bucket="file:///tmp/holdfast-extras") as file:
    file.write("hold fast")
with fsspec.open("holdfast://a.txt", bucket="file:///tmp/holdfast-extras") as file:
    assert file.read() == b"hold fast"
"""
SUITE = """
import pytest
from holdfast.records.conformance import StoreConformance, StoreHarness

class TestSQLite(StoreConformance):
    @pytest.fixture
    def harness(self, tmp_path):
        return StoreHarness(f"sqlite:///{tmp_path}/a.db")

if __name__ == "__main__":
    raise SystemExit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "upsert", __file__]))
"""
SERVED = """
import subprocess, sys, time, urllib.request

server = subprocess.Popen(["holdfast", "serve", "--port", "29417", "--no-worker"])
try:
    for _ in range(600):
        try:
            with urllib.request.urlopen("http://127.0.0.1:29417/livez") as answer:
                assert answer.status == 200
            break
        except OSError:
            assert server.poll() is None, "the server ended"
            time.sleep(0.1)
    with urllib.request.urlopen("http://127.0.0.1:29417/console") as answer:
        assert b"Holdfast" in answer.read()
finally:
    server.terminate()
    server.wait()
"""
DETECTOR = """
import onnxruntime
from holdfast.media.vision import onnx_detector

assert onnx_detector and onnxruntime.get_available_providers()
"""

LOGIN = """
import json
from datetime import UTC, datetime, timedelta

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from holdfast.access.id_token import ExpectedToken, signing_key, verified_claims
from holdfast.access.openid_provider import OpenIDProvider, ProviderOptions

pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
keys = [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(pair.public_key()))]
options = ProviderOptions(issuer="https://id.example", client_id="a", roles={})
now = datetime.now(UTC)
claims = {"iss": options.issuer, "aud": "a", "sub": "1", "nonce": "n", "iat": now}
token = jwt.encode({**claims, "exp": now + timedelta(minutes=5)}, pair, "RS256")
expected = ExpectedToken(options.issuer, "a", "n")
assert OpenIDProvider(options).name == "id.example"
assert verified_claims(token, signing_key(token, keys), expected, now)["sub"] == "1"
"""

TRIALS = (
    Trial(
        (),
        (BLOCKING, *(Example(page) for page in (RECORDS, BUCKET, CACHE, JOBS))),
    ),
    on_server("postgresql"),
    on_server("mariadb"),
    on_server("mysql"),
    Trial(
        ("dynamodb",),
        (Example("tutorial/1-entity.md", put=(('"memory://"', '"{url}"'),)),),
        server="dynoxide",
    ),
    Trial(
        ("redis",),
        (Example(CACHE, put=(('open_cache("memory://")', 'open_cache("{url}")'),)),),
        server="redis",
    ),
    Trial(("s3",), (Example(BUCKET, put=(('Path("files")', '"{url}"'),)),), server="minio"),
    Trial(("aws",), (Example(BUCKET, put=(('Path("files")', '"{url}"'),)),), server="minio"),
    Trial(("migrations",), (Example("migrations.md", 2),)),
    Trial(("cli",), commands=("holdfast --help", "holdfast doctor")),
    Trial(("media",), (Example("media.md"),)),
    Trial(("cli", "media"), commands=("holdfast demo",)),
    Trial(("onnx",), (DETECTOR,)),
    Trial(("signing",), (SIGNING,)),
    Trial(("sigstore",), (BUNDLES,)),
    Trial(("orm",), (Example("sqlalchemy.md"),)),
    Trial(("compression",), (COMPRESSED,)),
    Trial(("fsspec",), (FILES,)),
    Trial(("conformance",), (SUITE,), beside=("anyio",)),
    Trial(("fastapi",), (Example("guides/fastapi.md"),), beside=("httpx",)),
    Trial(("oidc",), (LOGIN,)),
    Trial(("metrics",), (Example("guides/observability.md", 2),)),
    Trial(("tracing",), (Example("guides/observability.md"),)),
    Trial(("console",), (Example("console.md"),)),
    Trial(("mlflow",), ("import holdfast.integrations.mlflow",), beside=("mlflow-skinny",)),
    Trial(("serve",), (SERVED,)),
)
