"""Detached signatures over a version's manifest (Ed25519, RFC 8032), and the keys that count.

What is signed is a line that says what it is, then the manifest: it names every file by path, size
and SHA-256, so whoever checks the signature and the files has the signer's own bytes. It says
nothing of the name under which they are registered.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from holdfast.errors import ConfigurationError, SignatureError
from holdfast.extras import check_extra, needs_extra
from holdfast.models.model_tree import manifest_of
from holdfast.models.signatures.model_bundle import refusal_of_bundle

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from holdfast.models.model_tree import ModelFile

_PURPOSE = b"holdfast model manifest, version 1\n"
_PUBLIC_BYTES = 32
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_BLOCK = re.compile(r"-----BEGIN (PUBLIC KEY|CERTIFICATE)-----[^-]*-----END \1-----")


@dataclass(frozen=True, slots=True)
class DetachedSignature:
    """A signature of 64 bytes, and the 32 bytes of the public key that checks it."""

    public: bytes
    signature: bytes


class ManifestSigner:
    """Signs manifests by one private key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @classmethod
    def from_pem(cls, path: Path) -> Self:
        """Return the signer whose key is in the file *path*, as `openssl genpkey` writes it.

        Raises ConfigurationError for any other file, and where cryptography is not installed.
        """
        with needs_extra("signing", "signing models"):
            from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415 - an extra
                ed25519,
            )
            from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - the same
                load_pem_private_key,
            )
        try:
            found = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"{str(path)!r} is no private key in PEM without a password: {error}"
            ) from None
        if not isinstance(found, ed25519.Ed25519PrivateKey):
            raise ConfigurationError(f"{str(path)!r} is no key of the kind Ed25519")
        return cls(found)

    def sign(self, files: Iterable[ModelFile]) -> DetachedSignature:
        """Return the signature over the manifest of *files*."""
        message = _PURPOSE + manifest_of(tuple(files))
        public = self._private.public_key().public_bytes_raw()
        return DetachedSignature(public, self._private.sign(message))


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The public keys whose signatures count, 32 bytes each.

    *elliptic* are public keys of elliptic curves and *roots* certificates, in PEM: they count for
    bundles in the format of Sigstore's model-signing.
    """

    keys: frozenset[bytes]
    elliptic: frozenset[bytes] = frozenset()
    roots: frozenset[bytes] = frozenset()

    @classmethod
    def from_pem(cls, path: Path) -> Self:
        """Return the keys in the file *path*: keys and certificates in PEM, one after another.

        Raises ConfigurationError for a file with anything else, or with none, and for keys whose
        signatures nothing that is installed can check.
        """
        check_extra("signing", "checking signatures of models", ("cryptography",))
        try:
            text = path.read_text(encoding="ascii")
            blocks = list(_BLOCK.finditer(text))
            public = [_public_key(each[0]) for each in blocks if each[1] == "PUBLIC KEY"]
            roots = [_certificate(each[0]) for each in blocks if each[1] == "CERTIFICATE"]
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{str(path)!r} has no public keys in PEM: {error}") from None
        if not blocks or _BLOCK.sub("", text).strip():
            raise ConfigurationError(
                f"{str(path)!r}: expected public keys and certificates in PEM, and nothing else"
            )
        elliptic = [key for key in public if len(key) != _PUBLIC_BYTES]
        if elliptic or roots:
            check_extra("sigstore", f"the keys in {str(path)!r}", ("model_signing", "OpenSSL"))
        return cls(frozenset(public) - frozenset(elliptic), frozenset(elliptic), frozenset(roots))

    def check(
        self,
        label: str,
        files: Iterable[ModelFile],
        signatures: Iterable[DetachedSignature],
        bundles: Iterable[bytes] = (),
    ) -> None:
        """Raise SignatureError unless a signature or a bundle of one of these is over *files*.

        *label* is what the error calls the version. Blocks, where there are bundles.
        """
        listed = tuple(files)
        good = [each for each in signatures if each.public in self.keys]
        if any(is_valid(listed, each) for each in good):
            return
        why = "no key that is trusted has signed it"
        if good:
            why = "the signature of a trusted key is not over these files"
        for bundle in bundles:
            refusal = refusal_of_bundle(bundle, listed, sorted(self.elliptic), sorted(self.roots))
            if refusal is None:
                return
            why = f"{why}, and a bundle does not count: {refusal}"
        raise SignatureError(label, why)


def _public_key(block: str) -> bytes:
    """Return a key of Ed25519 as its 32 bytes, one of P-256, P-384 or P-521 as PEM."""
    from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415 - an extra
        ec,
        ed25519,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - the same
        load_pem_public_key,
    )

    key = load_pem_public_key(block.encode())
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key.public_bytes_raw()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return block.encode()
    raise ValueError("a key is neither Ed25519 nor of the curve P-256, P-384 or P-521")


def _certificate(block: str) -> bytes:
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 - an extra

    load_pem_x509_certificate(block.encode())
    return block.encode()


def is_valid(files: Iterable[ModelFile], signature: DetachedSignature) -> bool:
    """Return whether *signature* is its key's over the manifest of *files*."""
    with needs_extra("signing", "checking signatures of models"):
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - the same
            Ed25519PublicKey,
        )
    if len(signature.public) != _PUBLIC_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(signature.public).verify(
            signature.signature, _PURPOSE + manifest_of(tuple(files))
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def key_id(public: bytes) -> str:
    """Return the name of a public key: the first 16 digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]
