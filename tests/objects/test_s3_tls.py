"""Over TLS: verified certificates, and nothing signed that the wire protects already."""

import ssl

import pytest

from holdfast.errors import UnavailableError
from holdfast.objects import open_bucket, sync
from objects.faulty_s3 import BUCKET, FaultyS3

MIB = 1024 * 1024


@pytest.fixture
def server(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    with FaultyS3().running(tls) as running:
        yield running


def options(server, host, ca_bundle):
    settings = {"endpoint_url": f"https://{host}:{server.port}", "ca_bundle": str(ca_bundle)}
    return server.options(**settings, multipart=5 * MIB, part=5 * MIB)


@pytest.mark.parametrize("way", ["async", "blocking"])
async def test_a_trusted_server_is_used(server, certificate, way, tmp_path):
    content = bytes(12 * MIB)
    chosen = options(server, "localhost", certificate[0])
    if way == "async":
        async with open_bucket(f"s3://{BUCKET}", options=chosen) as bucket:
            await bucket.put("k", content)
            await bucket.download("k", tmp_path / "file")
    else:
        with sync.open_bucket(f"s3://{BUCKET}", options=chosen) as bucket:
            bucket.put("k", content)
            bucket.download("k", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("way", ["async", "blocking"])
@pytest.mark.parametrize("why", ["unknown", "another name"])
async def test_a_server_that_is_not_trusted_is_not_asked_twice(server, certificate, way, why):
    trusted = certificate[0] if why == "another name" else ssl.get_default_verify_paths().cafile
    chosen = options(server, "127.0.0.1" if why == "another name" else "localhost", trusted or "")
    with pytest.raises(UnavailableError, match="not trusted"):
        if way == "async":
            async with open_bucket(f"s3://{BUCKET}", options=chosen):
                pass
        else:
            with sync.open_bucket(f"s3://{BUCKET}", options=chosen):
                pass
    assert server.log == []
