"""Checkpoints as signed notes: C2SP's signed-note and tlog-checkpoint, signed by Ed25519.

A checkpoint is three lines, the log's name, its size and its root, then an empty line and a
signature. A key is one line of text: `PRIVATE+KEY+name+id+...` signs, `name+id+...` verifies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError, IntegrityError
from holdfast.extras import needs_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519 = b"\x01"
_PRIVATE = "PRIVATE+KEY+"
_DASH = "\N{EM DASH} "
_ID_BYTES = 4
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The statement that the log *origin* had *size* leaves, and *root* over them."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """What tells whether a note was signed by the key called *name*."""

    name: str
    public: bytes

    def __str__(self) -> str:
        encoded = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{_key_id(self.name, self.public).hex()}+{encoded}"

    @classmethod
    def read(cls, text: str) -> VerifierKey:
        """Return the key that *text* spells. Raises ConfigurationError."""
        name, _, rest = text.strip().partition("+")
        found = cls(name, _key_bytes(rest, "a verifier key, as in name+1a2b3c4d+AbCd..."))
        if str(found) != text.strip():
            raise ConfigurationError("a verifier key whose id is not that of its name and key")
        return found

    def checkpoint(self, note: str) -> Checkpoint:
        """Return the checkpoint that *note* is.

        Raises IntegrityError for one that this key did not sign, or that was changed since.
        """
        with needs_extra("signing", "checkpoints"):
            from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra
            from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
                Ed25519PublicKey,
            )
        found = read_checkpoint(note)
        wanted = _key_id(self.name, self.public)
        for line in note.partition("\n\n")[2].splitlines():
            name, _, signature = line.removeprefix(_DASH).partition(" ")
            given = _decoded(signature)
            if name == self.name and given[:_ID_BYTES] == wanted:
                try:
                    public = Ed25519PublicKey.from_public_bytes(self.public)
                    public.verify(given[_ID_BYTES:], found.body.encode())
                except InvalidSignature:
                    raise IntegrityError(
                        f"the checkpoint of {found.size} leaves has a false signature of {name}"
                    ) from None
                return found
        raise IntegrityError(f"the checkpoint of {found.size} leaves is not signed by {self.name}")

    def is_in_force(self, note: str) -> bool:
        """Return whether *note* names this key first: of two that sign, the new one does."""
        line = note.partition("\n\n")[2].partition("\n")[0]
        name, _, signature = line.removeprefix(_DASH).partition(" ")
        wanted = _key_id(self.name, self.public)
        return name == self.name and _decoded(signature)[:_ID_BYTES] == wanted


class SignerKey:
    """What signs checkpoints: an Ed25519 key with a *name*, which has no blank and no plus."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        if not name or any(each.isspace() or each == "+" for each in name):
            raise ConfigurationError(f"a signing key's name {name!r}: no blank and no plus in it")
        self.name = name
        self._private = private

    @classmethod
    def generate(cls, name: str) -> SignerKey:
        """Return a new key. Raises ConfigurationError without the extra `signing`."""
        with needs_extra("signing", "checkpoints"):
            from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - an extra
                Ed25519PrivateKey,
            )
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, text: str) -> SignerKey:
        """Return the key that *text* spells. Raises ConfigurationError."""
        with needs_extra("signing", "checkpoints"):
            from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - an extra
                Ed25519PrivateKey,
            )
        expected = "a signing key, as in PRIVATE+KEY+name+1a2b3c4d+AbCd..."
        if not text.startswith(_PRIVATE):
            raise ConfigurationError(f"expected {expected}")
        name, _, rest = text.strip().removeprefix(_PRIVATE).partition("+")
        found = cls(name, Ed25519PrivateKey.from_private_bytes(_key_bytes(rest, expected)))
        if found.text() != text.strip():
            raise ConfigurationError("a signing key whose id is not that of its name and key")
        return found

    def text(self) -> str:
        """Return the key as text: a secret."""
        encoded = base64.b64encode(_ED25519 + self._private.private_bytes_raw()).decode()
        return f"{_PRIVATE}{self.name}+{_key_id(self.name, self.verifier.public).hex()}+{encoded}"

    @property
    def verifier(self) -> VerifierKey:
        """The key by which others verify."""
        return VerifierKey(self.name, self._private.public_key().public_bytes_raw())

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return *checkpoint* as a signed note."""
        return self.cosign(f"{checkpoint.body}\n")

    def cosign(self, note: str) -> str:
        """Return *note* with the signature of this key behind those that it has."""
        body = note.partition("\n\n")[0] + "\n"
        signature = self._private.sign(body.encode())
        encoded = base64.b64encode(_key_id(self.name, self.verifier.public) + signature).decode()
        return f"{note}{_DASH}{self.name} {encoded}\n"


def read_checkpoint(note: str) -> Checkpoint:
    """Return the checkpoint that *note* is, whoever signed it. Raises IntegrityError."""
    lines = note.partition("\n\n")[0].split("\n")
    try:
        origin, size, root = lines[:3]
        found = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
    except (ValueError, binascii.Error):
        raise IntegrityError("that is no checkpoint: expected a name, a size and a root") from None
    if len(found.root) != _KEY_BYTES or found.size < 0 or not note.startswith(f"{found.body}\n"):
        raise IntegrityError("that is no checkpoint: expected a name, a size and a root")
    return found


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_ID_BYTES]


def _key_bytes(text: str, expected: str) -> bytes:
    decoded = _decoded(text.partition("+")[2])
    if decoded[:1] != _ED25519 or len(decoded) != _KEY_BYTES + 1:
        raise ConfigurationError(f"expected {expected}")
    return decoded[1:]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
