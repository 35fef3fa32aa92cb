"""Detached signatures over a version's manifest (Ed25519, RFC 8032), and the keys that count.

What is signed is a line that says what it is, then the manifest: it names every file by path, size
and SHA-256, so whoever checks the signature and the files has the signer's own bytes. It says
nothing of the name under which they are registered.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from holdfast.errors import ConfigurationError, SignatureError
from holdfast.extras import needs_extra
from holdfast.models.model_tree import manifest_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from holdfast.models.model_tree import ModelFile

_PURPOSE = b"holdfast model manifest, version 1\n"
_PUBLIC_BYTES = 32


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
    """The public keys whose signatures count, 32 bytes each."""

    keys: frozenset[bytes]

    @classmethod
    def from_pem(cls, path: Path) -> Self:
        """Return the keys in the file *path*: public keys in PEM, any number one after another.

        Raises ConfigurationError for a file with anything else, or with none.
        """
        with needs_extra("signing", "checking signatures of models"):
            from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415 - an extra
                ed25519,
            )
            from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - the same
                load_pem_public_key,
            )
        try:
            text = path.read_text(encoding="ascii")
            end = "-----END PUBLIC KEY-----"
            found = [
                load_pem_public_key(f"{part}{end}\n".lstrip().encode())
                for part in text.split(end)[:-1]
            ]
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{str(path)!r} has no public keys in PEM: {error}") from None
        keys = [key for key in found if isinstance(key, ed25519.Ed25519PublicKey)]
        if not keys or len(keys) != len(found) or text.rsplit(end, maxsplit=1)[-1].strip():
            raise ConfigurationError(
                f"{str(path)!r}: expected public keys of the kind Ed25519, in PEM, and nothing else"
            )
        return cls(frozenset(key.public_bytes_raw() for key in keys))

    def check(
        self, label: str, files: Iterable[ModelFile], signatures: Iterable[DetachedSignature]
    ) -> None:
        """Raise SignatureError unless one of the keys has signed the manifest of *files*.

        *label* is what the error calls the version.
        """
        listed = tuple(files)
        good = [each for each in signatures if each.public in self.keys]
        if not any(is_valid(listed, each) for each in good):
            why = "no key that is trusted has signed it"
            if good:
                why = "the signature of a trusted key is not over these files"
            raise SignatureError(label, why)


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
