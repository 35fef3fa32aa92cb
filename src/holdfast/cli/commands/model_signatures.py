"""The commands that sign models, by Ed25519 and in the format of Sigstore's model-signing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.given_files import given_bytes
from holdfast.cli.model_arguments import Reference
from holdfast.cli.model_output import registry_of
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import note, plain, print_json
from holdfast.cli.runner import look, run
from holdfast.errors import StorageError

if TYPE_CHECKING:
    from holdfast.platform import Platform


def sign(
    reference: Reference,
    key: Annotated[Path, typer.Option(help="A private key (Ed25519) in PEM, without a password.")],
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Sign a version's manifest, so that those who trust the key may use it."""
    from holdfast.models import ManifestSigner

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        version = await registry.resolve(reference)
        made = await registry.sign(version, ManifestSigner.from_pem(key))
        if as_json:
            said = {"digest": version.digest, "key": made.key_id}
            print_json({**said, "signature": made.signature.hex()})
        else:
            note(f"{await registry.label(version)} is signed by {made.key_id}.")

    run(data, work)


def sign_bundle(  # noqa: PLR0913, PLR0917 - options of a command
    reference: Reference,
    key: Annotated[Path, typer.Option(help="A private key (P-256, P-384, P-521) in PEM.")],
    certificate: Annotated[Path | None, typer.Option(help="The key's certificate, in PEM.")] = None,
    chain: Annotated[
        list[Path] | None, typer.Option(help="Those that issued it, any number of times.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Sign a version in the format of Sigstore's model-signing, and keep the bundle."""
    from holdfast.models import BundleSigner

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        version = await registry.resolve(reference)
        signer = BundleSigner(key=key, certificate=certificate, chain=tuple(chain or ()))
        made = await registry.sign_bundle(version, signer)
        if as_json:
            print_json({"digest": version.digest, "bundle": made.sha256})
        else:
            note(f"{await registry.label(version)} is signed: the bundle sha256:{made.sha256}.")

    run(data, work)


def add_bundle(
    reference: Reference,
    bundle: Annotated[Path, typer.Argument(help="A signature file of model-signing.")],
    trusted: Annotated[Path, typer.Option(help="Public keys or root certificates in PEM.")],
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Keep a bundle of Sigstore's model-signing that one of the trusted keys made."""
    from holdfast.models import TrustedKeys

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        version = await registry.resolve(reference)
        keys = TrustedKeys.from_pem(trusted)
        made = await registry.add_bundle(version, given_bytes(bundle), keys)
        if as_json:
            print_json({"digest": version.digest, "bundle": made.sha256})
        else:
            note(f"{await registry.label(version)} has the bundle sha256:{made.sha256}.")

    run(data, work)


def bundles(
    reference: Reference,
    folder: Annotated[Path, typer.Argument(help="Where they go, each as SHA-256.sig.")],
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Write the bundles that a version has into files, for the verifier of model-signing."""

    async def work(platform: Platform) -> None:
        registry = registry_of(platform)
        found = await registry.bundles(await registry.resolve(reference))
        places = [folder / f"{each.sha256}.sig" for each in found]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for place, each in zip(places, found, strict=True):
                place.write_bytes(each.content)
        except OSError as error:
            raise StorageError(f"{str(folder)!r} can't be written: {error.strerror}") from error
        if as_json:
            print_json([str(place) for place in places])
        else:
            note(f"{len(places)} bundles are in {plain(folder)}.")

    look(data, work)
