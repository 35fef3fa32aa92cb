"""Signatures over manifests: made, checked at each use, refused where they are not good."""

import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from holdfast.domain import RoleBucket
from holdfast.errors import ConfigurationError, SignatureError
from holdfast.models import DetachedSignature, ManifestSigner, ModelRegistry, TrustedKeys
from holdfast.models.model_entities import VersionFile
from holdfast.models.model_tree import manifest_of, read_model
from servers import require

pytestmark = pytest.mark.anyio


@pytest.fixture
def signer():
    return ManifestSigner(Ed25519PrivateKey.generate())


def trusting(registry, *signers):
    """The same registry, of somebody who trusts *signers* alone."""
    keys = frozenset(signer.sign(()).public for signer in signers)
    place = RoleBucket(registry.bucket, "models/")
    cache = registry._cache._folder
    return ModelRegistry(registry.store, place, cache, trusted=TrustedKeys(keys))


async def test_what_a_trusted_key_has_signed_is_used_and_nothing_else(
    registry, weights, signer, tmp_path
):
    version = (await registry.register("vehicles", weights(b"x"))).version
    careful = trusting(registry, signer)
    assert (await careful.resolve("vehicles")).id == version.id
    for use in (
        lambda: careful.local_file(version),
        lambda: careful.download(version, tmp_path / "out"),
        lambda: careful.presign(version),
        lambda: careful.object_key(version),
    ):
        with pytest.raises(SignatureError, match="no key that is trusted"):
            await use()
    await registry.sign(version, ManifestSigner(Ed25519PrivateKey.generate()))
    with pytest.raises(SignatureError, match="no key that is trusted"):
        await careful.local_file(version)
    made = await registry.sign(version, signer)
    assert (await registry.sign(version, signer)).id == made.id, "one for each key"
    assert (await careful.local_file(version)).read_bytes() == b"x"
    assert len(await registry.signatures(version)) == 2


async def test_files_that_were_changed_in_the_records_are_no_longer_signed(
    registry, weights, signer
):
    version = (await registry.register("vehicles", weights(b"x"))).version
    await registry.sign(version, signer)
    other = (await registry.register("forged", weights(b"forged"))).version
    (forged,) = await registry.files(other)
    (file,) = await registry.files(version)
    await registry.store.repository(VersionFile).patch(
        file.id,
        VersionFile.sha256.to(forged.sha256),
        VersionFile.size.to(forged.size),
        VersionFile.blob_id.to(forged.blob_id),
    )
    with pytest.raises(SignatureError, match="not over these files"):
        await trusting(registry, signer).local_file(version)


async def test_a_signature_of_other_files_is_not_taken(registry, weights, signer):
    version = (await registry.register("vehicles", weights(b"x"))).version
    good = signer.sign(read_model(weights(b"x")).files)
    assert (await registry.add_signature(version, good)).public == good.public
    wrong = [
        signer.sign(read_model(weights(b"y")).files),
        DetachedSignature(good.public, good.signature[:-1] + bytes([good.signature[-1] ^ 1])),
        DetachedSignature(good.public[:-1], good.signature),
        DetachedSignature(good.public, b""),
    ]
    for signature in wrong:
        with pytest.raises(SignatureError):
            await registry.add_signature(version, signature)


async def test_openssl_makes_the_keys_and_agrees_on_the_signature(tmp_path, weights):
    require("openssl")
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    openssl("genpkey", "-algorithm", "ed25519", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    files = read_model(weights(b"x")).files
    made = ManifestSigner.from_pem(private).sign(files)
    trusted = TrustedKeys.from_pem(public)
    trusted.check("vehicles:1", files, [made])
    (tmp_path / "signature").write_bytes(made.signature)
    (tmp_path / "message").write_bytes(b"holdfast model manifest, version 1\n" + manifest_of(files))
    openssl(
        "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", tmp_path / "message",
        "-sigfile", tmp_path / "signature",
    )  # fmt: skip
    public.write_text(public.read_text() * 2)
    assert TrustedKeys.from_pem(public) == trusted
    with pytest.raises(ConfigurationError, match="private key"):
        ManifestSigner.from_pem(public)
    for text in ("", "nothing", public.read_text() + "more", private.read_text()):
        public.write_text(text)
        with pytest.raises(ConfigurationError, match=r"public\.pem"):
            TrustedKeys.from_pem(public)
