"""Signatures in the format of Sigstore's model-signing, made and checked by its own library.

Such a bundle signs a list of files by path and SHA-256. The registry knows both, so no file is read
to make one, and none to check one: what is compared is the list. The digest of a version is over
the same list, so a bundle is worth as much as a signature over the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.models.model_tree import ModelFile

BUNDLE_BYTES = 4 << 20
"""The largest bundle that is looked at: of 10,000 files with long paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSigner:
    """Signs by the private key in the file *key*: PEM without a password, P-256, P-384 or P-521.

    With a *certificate* of that key, and the *chain* of those that issued it, the bundle holds
    them, and whoever trusts the root can check it.
    """

    key: Path
    certificate: Path | None = None
    chain: tuple[Path, ...] = ()

    def sign(self, name: str, files: Sequence[ModelFile]) -> bytes:
        """Return a bundle over *files*, those of a model called *name*. Blocks.

        Raises ConfigurationError for a key or certificate that does not fit, and where the library
        is not installed.
        """
        with needs_extra("sigstore", "signing in the format of model-signing"):
            from holdfast.models.signatures.bundle_library import signed  # noqa: PLC0415 - an extra
        try:
            return signed(self, name, files)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"{str(self.key)!r} does not sign: expected a key of P-256, P-384 or P-521 in PEM "
                f"without a password, and its own certificates: {error}"
            ) from error


def refusal_of_bundle(
    bundle: bytes, files: Sequence[ModelFile], keys: Sequence[bytes], roots: Sequence[bytes]
) -> str | None:
    """Return why *bundle* is no signature over *files*, None for one that is. Blocks.

    It has to be by one of the public *keys*, or by a certificate that leads to one of the *roots*,
    all in PEM, and has to name each file by its SHA-256, no more and no less. Raises
    ConfigurationError where the library is not installed.
    """
    with needs_extra("sigstore", "checking signatures in the format of model-signing"):
        from holdfast.models.signatures.bundle_library import refusals  # noqa: PLC0415 - an extra
    if len(bundle) > BUNDLE_BYTES:
        return f"the bundle has more than {BUNDLE_BYTES} bytes"
    reasons = []
    for reason in refusals(bundle, files, keys, roots):
        if reason is None:
            return None
        reasons.append(reason)
    return "; ".join(dict.fromkeys(reasons)) or "no key that is trusted can have signed it"
