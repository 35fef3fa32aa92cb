"""Connects to a bucket on S3: builds the driver and all that it needs."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from holdfast.aws.client import HTTPClient
from holdfast.aws.credential_provider import CredentialProvider
from holdfast.aws.credentials import Credentials, find_credentials
from holdfast.aws.endpoint import verified_tls
from holdfast.aws.proxy import proxy_for
from holdfast.aws.signature import Signer
from holdfast.clock import utc_now
from holdfast.objects.drivers.s3.driver import S3Driver
from holdfast.objects.drivers.s3.options import address_of
from holdfast.objects.drivers.s3.service import S3Service, ServiceLocation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.aws.network import Network
    from holdfast.objects.drivers.s3.options import BucketAddress, S3Options
    from holdfast.offload import Offload


@asynccontextmanager
async def started(
    address: BucketAddress, options: S3Options, offload: Offload, *, blocking: bool
) -> AsyncIterator[S3Driver]:
    """Give a driver of the bucket at *address* that is ready; its connections close at the end.

    Raises ConfigurationError when the bucket is not there, also ServiceError, UnavailableError.
    """
    network = _network(options, blocking=blocking)

    def locate(region: str) -> ServiceLocation:
        there = address_of(address.bucket, replace(options, region=region))
        proxy = proxy_for(there.endpoint, os.environ)
        client = HTTPClient(network, there.endpoint, options.limits, proxy=proxy)
        return ServiceLocation(client, there, Signer(region, "s3"), region)

    service = S3Service(
        locate,
        options.region,
        options.limits,
        credentials=None if options.anonymous else _provider(options),
        offload=offload,
    )
    driver = S3Driver(service, options)
    try:
        await driver.prepare()
        yield driver
    finally:
        service.close()


def _network(options: S3Options, *, blocking: bool) -> Network:
    """Return the network of a blocking or an async bucket; only that one is loaded."""
    tls = partial(verified_tls, options.ca_bundle or None)
    if blocking:
        from holdfast.aws.socket_network import SocketNetwork  # noqa: PLC0415

        return SocketNetwork(tls)
    from holdfast.aws.asyncio_network import AsyncioNetwork  # noqa: PLC0415

    return AsyncioNetwork(tls)


def _provider(options: S3Options) -> CredentialProvider:
    given = options.credentials
    if isinstance(given, Credentials):
        static = given
        return CredentialProvider(lambda: static, utc_now)
    return CredentialProvider(given or find_credentials(os.environ), utc_now)
