"""A driver with everything under it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.aws.client import Client
from holdfast.aws.credentials import Credentials, Wallet, find_credentials
from holdfast.aws.origin import refuse_proxy
from holdfast.aws.signing import Signer
from holdfast.objects.drivers.s3.driver import S3Driver
from holdfast.objects.drivers.s3.service import Service

if TYPE_CHECKING:
    from holdfast.aws.network import Network
    from holdfast.objects.drivers.s3.options import Place, S3Options
    from holdfast.offload import Offload


def assembled(
    place: Place, options: S3Options, network: Network, offload: Offload
) -> tuple[S3Driver, Client]:
    """Return a driver of the bucket at *place*, and the client to close after it. No I/O."""
    refuse_proxy(place.origin)
    given = options.credentials
    if isinstance(given, Credentials):
        static = given
        provider = lambda: static  # noqa: E731
    else:
        provider = given or find_credentials(os.environ)
    client = Client(network, place.origin, options.limits)
    service = Service(
        client,
        place,
        options.limits,
        signer=Signer(options.region, "s3"),
        wallet=Wallet(provider, lambda: datetime.now(UTC)),
        offload=offload,
    )
    return S3Driver(service, options), client
