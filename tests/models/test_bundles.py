"""Signatures in the format of Sigstore's model-signing, made here and there and checked by both."""

import base64
import json
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from model_signing import hashing, signing, verifying

from cli.program import here
from holdfast.domain import RoleBucket
from holdfast.errors import ConfigurationError, SignatureError
from holdfast.models import BundleSigner, ManifestSigner, ModelRegistry, TrustedKeys

pytestmark = pytest.mark.anyio
TOO_DEEP = "recursion" if sys.version_info < (3, 14) else "Stack overflow"


class Keys:
    """A key in files, with a certificate of a root of its own."""

    def __init__(self, folder, curve):
        folder.mkdir()
        key, root = ec.generate_private_key(curve), ec.generate_private_key(curve)
        self.private, self.public = folder / "key.pem", folder / "public.pem"
        self.certificate, self.root = folder / "certificate.pem", folder / "root.pem"
        pem = serialization.Encoding.PEM
        self.private.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        self.public.write_bytes(
            key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        self.certificate.write_bytes(certificate(key, root).public_bytes(pem))
        self.root.write_bytes(certificate(root, root).public_bytes(pem))


def certificate(key, issuer):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    own = key is issuer
    subject = name if own else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "release")])
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "crl_sign", "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2 if own else 1))
        .not_valid_after(now + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not own, key_cert_sign=own, **usage), True)
        .sign(issuer, hashes.SHA256())
    )


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "keys", ec.SECP384R1())


@pytest.fixture
async def version(registry, weights):
    weights(b"one", "deep/weights.bin")
    folder = weights(b"{}", "config.json").parent
    return (await registry.register("vehicles", folder)).version


def trusting(registry, trusted):
    place = RoleBucket(registry.bucket, "models/")
    return ModelRegistry(registry.store, place, registry._cache._folder, trusted=trusted)


def both_ways(keys):
    """A signer of ours, the library's, its verifier and what we trust: by key, by certificate."""
    return (
        (
            BundleSigner(key=keys.private),
            signing.Config().use_elliptic_key_signer(private_key=keys.private),
            verifying.Config().use_elliptic_key_verifier(public_key=keys.public),
            TrustedKeys.from_pem(keys.public),
        ),
        (
            BundleSigner(key=keys.private, certificate=keys.certificate, chain=(keys.root,)),
            signing.Config().use_certificate_signer(
                private_key=keys.private,
                signing_certificate=keys.certificate,
                certificate_chain=[keys.root],
            ),
            verifying.Config().use_certificate_verifier(certificate_chain=[keys.root]),
            TrustedKeys.from_pem(keys.root),
        ),
    )


@pytest.mark.parametrize("single", [False, True])
async def test_the_librarys_verifier_takes_ours_and_ours_takes_the_librarys(
    registry, version, weights, keys, tmp_path, single
):
    if single:
        version = (await registry.register("alone", weights(b"x"))).version
    place = await registry.download(version, tmp_path / "placed")
    for number, (ours, theirs, verifier, trusted) in enumerate(both_ways(keys)):
        careful = trusting(registry, trusted)
        theirs.sign(place, tmp_path / "theirs.sig")
        content = (tmp_path / "theirs.sig").read_bytes()
        made = await registry.add_bundle(version, content, trusted)
        assert (await registry.add_bundle(version, content, trusted)).id == made.id
        assert (await careful.download(version, tmp_path / f"theirs{number}")).exists()

        await registry._bundles.delete(made.id)
        with pytest.raises(SignatureError, match="no key that is trusted"):
            await careful.download(version, tmp_path / f"none{number}")
        kept = await registry.sign_bundle(version, ours)
        (tmp_path / "ours.sig").write_bytes(kept.content)
        verifier.verify(place, tmp_path / "ours.sig")
        assert (await careful.download(version, tmp_path / f"ours{number}")).exists()
        assert [each.id for each in await registry.bundles(version)] == [kept.id]
        await registry._bundles.delete(kept.id)


async def test_a_bundle_counts_for_the_key_and_the_files_it_is_of(
    registry, version, weights, keys, tmp_path
):
    trusted = TrustedKeys.from_pem(keys.public)
    other = Keys(tmp_path / "others", ec.SECP256R1())
    place = await registry.download(version, tmp_path / "placed")
    made = signing.Config().use_elliptic_key_signer(private_key=keys.private)
    refused = {}

    def add(said, *, change=None, config=made):
        if change:
            change(place)
        config.sign(place, tmp_path / "made.sig")
        refused[said] = (tmp_path / "made.sig").read_bytes()

    add("Key mismatch", config=signing.Config().use_elliptic_key_signer(private_key=other.private))
    shards = hashing.Config().use_shard_serialization(shard_size=2)
    sharded = signing.Config().use_elliptic_key_signer(private_key=keys.private)
    add("weights.bin:0:2", config=sharded.set_hashing_config(shards))
    weights = place / "deep" / "weights.bin"
    add("Hash mismatch for 'deep/weights.bin'", change=lambda _: weights.write_bytes(b"two"))
    add("Extra files found in model '': deep/weights.bin", change=lambda _: weights.unlink())
    good = (await registry.sign_bundle(version, BundleSigner(key=keys.private))).content
    forged = json.loads(good)
    payload = base64.b64decode(forged["dsseEnvelope"]["payload"])
    forged["dsseEnvelope"]["payload"] = base64.b64encode(payload + b" ").decode()
    refused["InvalidSignature"] = json.dumps(forged).encode()
    refused |= {
        "Expecting value": b"",
        "verificationMaterial": b"{}",
        TOO_DEEP: b"[" * 200_000,
        "Unterminated": good[:-9],
        "utf-8": b"\xff",
        "more than": b"x" * (5 << 20),
    }
    for said, content in refused.items():
        with pytest.raises(SignatureError, match=re.escape(said)):
            await registry.add_bundle(version, content, trusted)
    with pytest.raises(SignatureError):  # a root that did not issue the certificate
        await registry.add_bundle(version, good, TrustedKeys.from_pem(other.root))
    assert len(await registry.bundles(version)) == 1


async def test_trusted_keys_of_both_kinds_stand_in_one_file(registry, version, keys, tmp_path):
    plain = ed25519.Ed25519PrivateKey.generate()
    pem = plain.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    both = tmp_path / "trusted.pem"
    both.write_bytes(pem + keys.root.read_bytes() + keys.public.read_bytes())
    trusted = TrustedKeys.from_pem(both)
    assert [len(each) for each in (trusted.keys, trusted.elliptic, trusted.roots)] == [1, 1, 1]
    careful = trusting(registry, trusted)
    await registry.sign(version, ManifestSigner(plain))
    assert await careful.local_file(version, "config.json")
    both.write_bytes(keys.private.read_bytes())
    with pytest.raises(ConfigurationError, match="public keys"):
        TrustedKeys.from_pem(both)
    with pytest.raises(ConfigurationError, match="P-256"):
        await registry.sign_bundle(version, BundleSigner(key=keys.public))


async def test_without_the_library_it_is_said_what_to_install(registry, version, keys, monkeypatch):
    monkeypatch.delitem(sys.modules, "holdfast.models.signatures.bundle_library", raising=False)
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'holdfast\[sigstore\]'"):
        await registry.sign_bundle(version, BundleSigner(key=keys.private))
    with pytest.raises(ConfigurationError, match=r"pip install 'holdfast\[sigstore\]'"):
        TrustedKeys.from_pem(keys.public)


def test_the_commands_sign_take_and_give_bundles(tmp_path, keys, weights):
    data, out = tmp_path / "data", tmp_path / "out"
    here("models", "register", "vehicles", weights(b"x"), "--data", data)
    signed = here("models", "sign-bundle", "vehicles:1", "--key", keys.private, "--data", data)
    assert "vehicles:1 is signed" in signed.err
    here("models", "bundles", "vehicles:1", out, "--data", data)
    (bundle,) = out.iterdir()
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=keys.public)
    verifier.verify(weights(b"x"), bundle)
    again = ("models", "add-bundle", "vehicles:1", bundle, "--data", data, "--trusted")
    assert here(*again, keys.public, "--json").json["bundle"] == bundle.stem
    assert "not used" in here(*again, keys.root).err
