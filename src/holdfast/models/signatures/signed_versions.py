"""Signatures of versions: made, kept beside them, and asked for where a version is used."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from holdfast.errors import IntegrityError, SignatureError
from holdfast.models.model_entities import ManifestSignature, SignatureBundle
from holdfast.models.model_tree import ModelFile, digest_of
from holdfast.models.registry_reads import RegistryReads
from holdfast.models.signatures.manifest_signing import DetachedSignature, is_valid, key_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.models.model_entities import ModelVersion, VersionFile
    from holdfast.models.signatures.manifest_signing import ManifestSigner, TrustedKeys
    from holdfast.models.signatures.model_bundle import BundleSigner
    from holdfast.records import Store


class SignedVersions(RegistryReads):
    """What is signed of the models of a store; `ModelRegistry` inherits it."""

    def __init__(self, store: Store, trusted: TrustedKeys | None = None) -> None:
        super().__init__(store)
        self._trusted = trusted
        self._signatures = store.repository(ManifestSignature)
        self._bundles = store.repository(SignatureBundle)

    async def sign(self, version: ModelVersion, signer: ManifestSigner) -> ManifestSignature:
        """Sign the version's manifest, keep the signature, one for each key, and return it."""
        return await self.add_signature(version, signer.sign(await self.manifest(version)))

    async def add_signature(
        self, version: ModelVersion, signature: DetachedSignature
    ) -> ManifestSignature:
        """Keep a signature that was made elsewhere, one for each key.

        Raises SignatureError unless it is its key's over the version's manifest.
        """
        if not is_valid(await self.manifest(version), signature):
            raise SignatureError(await self.label(version), "that is no signature over its files")
        name = key_id(signature.public)
        row = ManifestSignature(
            version_id=version.id,
            key_id=name,
            public=signature.public,
            signature=signature.signature,
        )
        on = (ManifestSignature.version_id, ManifestSignature.key_id)
        return (await self._signatures.upsert(row, on=on)).entity

    async def signatures(self, version: ModelVersion) -> Sequence[ManifestSignature]:
        """Return the signatures that the version has, whoever made them, the oldest first."""
        return await self._signatures.find(
            ManifestSignature.version_id == version.id, order_by=ManifestSignature.id.asc()
        )

    async def sign_bundle(self, version: ModelVersion, signer: BundleSigner) -> SignatureBundle:
        """Sign the version's files in the format of Sigstore's model-signing, and keep the bundle.

        No file is read. Raises what `BundleSigner.sign` raises.
        """
        files = await self.manifest(version)
        name = await self.label(version)
        return await self._keep(version, await asyncio.to_thread(signer.sign, name, files))

    async def add_bundle(
        self, version: ModelVersion, content: bytes, trusted: TrustedKeys
    ) -> SignatureBundle:
        """Keep a bundle of Sigstore's model-signing that was made elsewhere, and return it.

        Raises SignatureError unless it is over the version's files, the SHA-256 of each as a
        whole, and by one of the *trusted* keys or certificates.
        """
        label, files = await self.label(version), await self.manifest(version)
        await asyncio.to_thread(trusted.check, label, files, (), [content])
        return await self._keep(version, content)

    async def bundles(self, version: ModelVersion) -> Sequence[SignatureBundle]:
        """Return the bundles that the version has, whoever made them, the oldest first."""
        return await self._bundles.find(
            SignatureBundle.version_id == version.id, order_by=SignatureBundle.id.asc()
        )

    async def manifest(self, version: ModelVersion) -> tuple[ModelFile, ...]:
        """Return the files that the version's digest is over.

        Raises IntegrityError when the records name others.
        """
        files = _listed(await self.files(version))
        if digest_of(files) != version.digest:
            raise IntegrityError(
                f"{await self.label(version)}: its files are not those of its digest"
            )
        return files

    async def _keep(self, version: ModelVersion, content: bytes) -> SignatureBundle:
        row = SignatureBundle(
            version_id=version.id, sha256=hashlib.sha256(content).hexdigest(), content=content
        )
        on = (SignatureBundle.version_id, SignatureBundle.sha256)
        return (await self._bundles.upsert(row, on=on)).entity

    async def _check_signed(self, version: ModelVersion, files: Sequence[VersionFile]) -> None:
        """Raise SignatureError where trusted keys are asked for and none has signed *files*."""
        trusted = self._trusted
        if trusted is None:
            return
        signatures = [
            DetachedSignature(each.public, each.signature)
            for each in await self.signatures(version)
        ]
        bundles = []
        if trusted.elliptic or trusted.roots:
            bundles = [each.content for each in await self.bundles(version)]
        label = await self.label(version)
        await asyncio.to_thread(trusted.check, label, _listed(files), signatures, bundles)


def _listed(files: Sequence[VersionFile]) -> tuple[ModelFile, ...]:
    return tuple(ModelFile(file.path, file.sha256, file.size) for file in files)
