"""What Sigstore's library is asked: to sign a list of files, and to check such a signature.

It hashes files itself unless told otherwise, by its public `set_hashing_config`; here it is told
the SHA-256 that the registry has.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from model_signing import hashing, manifest, signing, verifying
from model_signing._hashing.hashing import Digest  # what its public manifest is made of

from holdfast.models.model_tree import is_single

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from holdfast.models.model_tree import ModelFile
    from holdfast.models.signatures.model_bundle import BundleSigner

_FILE_ITSELF = "."
"""How the library names the file where a model is one file and not a folder."""
_LONGEST_REASON = 500
_KIND = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}


class _RegisteredFiles(hashing.Config):
    """Tells the library the files of a model, where it would read them."""

    def __init__(self, name: str, registered: Mapping[str, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = name
        self._registered = registered

    def hash(
        self,
        model_path: hashing.PathLike,  # noqa: ARG002 - where it would read
        *,
        files_to_hash: Iterable[hashing.PathLike] | None = None,  # noqa: ARG002 - the same
    ) -> manifest.Manifest:
        kind = manifest.SerializationType.from_args(_KIND)
        items = [
            kind.new_item(path, Digest("sha256", bytes.fromhex(sha256)))
            for path, sha256 in self._registered.items()
        ]
        return manifest.Manifest(self._name, items, kind)


def signed(signer: BundleSigner, name: str, files: Sequence[ModelFile]) -> bytes:
    """Return the bundle. Raises OSError, ValueError and TypeError for keys and certificates."""
    config = signing.Config().set_hashing_config(_RegisteredFiles(name, _namings(files)[0]))
    if signer.certificate is None:
        config.use_elliptic_key_signer(private_key=signer.key)
    else:
        config.use_certificate_signer(
            private_key=signer.key,
            signing_certificate=signer.certificate,
            certificate_chain=signer.chain,
        )
    with tempfile.TemporaryDirectory(prefix="holdfast-bundle-") as folder:
        made = Path(folder) / "model.sig"
        config.sign(folder, made)
        return made.read_bytes()


def refusals(
    bundle: bytes, files: Sequence[ModelFile], keys: Sequence[bytes], roots: Sequence[bytes]
) -> Iterator[str | None]:
    """Yield for each key, and the roots, why *bundle* is not theirs over *files*; None if it is."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bundle-") as folder:
        given = Path(folder) / "model.sig"
        given.write_bytes(bundle)
        trusted = Path(folder) / "trusted.pem"
        for verifier, content in (
            *((_by_key, key) for key in keys),
            *((_by_certificate, b"\n".join(roots)) for _ in roots[:1]),
        ):
            trusted.write_bytes(content)
            for registered in _namings(files):
                config = verifier(trusted).set_hashing_config(_RegisteredFiles("", registered))
                yield _refusal(config, Path(folder), given)


def _refusal(config: verifying.Config, folder: Path, bundle: Path) -> str | None:
    try:
        config.verify(folder, bundle)
    except Exception as error:  # noqa: BLE001 - it trips over hostile bundles in many ways
        return f"{str(error) or type(error).__name__:.{_LONGEST_REASON}}"
    return None


def _by_key(trusted: Path) -> verifying.Config:
    return verifying.Config().use_elliptic_key_verifier(public_key=trusted)


def _by_certificate(trusted: Path) -> verifying.Config:
    return verifying.Config().use_certificate_verifier(certificate_chain=[trusted])


def _namings(files: Sequence[ModelFile]) -> list[dict[str, str]]:
    """Return the files as the library names them: first as they are when they are downloaded."""
    by_path = {file.path: file.sha256 for file in files}
    if is_single(files):
        return [{_FILE_ITSELF: files[0].sha256}, by_path]
    return [by_path]
