"""Where a store on DynamoDB is: its endpoint, its region, and the names of its tables."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.aws.endpoint import HTTPEndpoint, endpoint_of
from holdfast.aws.http import Limits
from holdfast.aws.profile import profile_settings
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.records.options import DynamoDBOptions

_NAME = re.compile(r"[A-Za-z0-9_.-]*")
_REGION = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class DynamoDBAddress:
    """An endpoint, the region that is signed for, and what names of tables begin with."""

    endpoint: HTTPEndpoint
    region: str
    prefix: str
    options: DynamoDBOptions

    @property
    def limits(self) -> Limits:
        """The bounds of one request, for the HTTP client."""
        options = self.options
        return Limits(
            connect=options.connect_timeout,
            read=options.read_timeout,
            total=options.total_timeout,
            attempts=options.attempts,
            connections=options.connections,
        )

    def table(self, name: str) -> str:
        """Return the name that the service has for the table. Raises ConfigurationError."""
        full = f"{self.prefix}.{name}" if self.prefix else name
        if not 3 <= len(full) <= 255 or not _NAME.fullmatch(full):
            raise ConfigurationError(
                f"{full!r} is not the name of a table of DynamoDB: 3 to 255 of a-z, A-Z, 0-9, "
                "'_', '-' and '.'"
            )
        return full


def dynamodb_address(
    region: str, prefix: str, options: DynamoDBOptions, environment: Mapping[str, str]
) -> DynamoDBAddress:
    """Return the address; what is empty comes from *environment*, then from the AWS profile.

    Reads the file of the profile. Raises ConfigurationError for what no address can be.
    """
    profile = profile_settings(environment, "dynamodb")

    def first(*names: str) -> str:
        return next((value for name in names if (value := environment.get(name))), "")

    region = region or first("AWS_REGION", "AWS_DEFAULT_REGION") or profile.get("region", "")
    region = region or "us-east-1"
    if not _REGION.fullmatch(region):
        raise ConfigurationError(f"dynamodb://: {region!r} is not a region")
    if not _NAME.fullmatch(prefix):
        raise ConfigurationError(
            f"dynamodb://: {prefix!r} can't begin the names of tables: expected letters, digits, "
            "'_', '-' and '.'"
        )
    url = options.endpoint_url or first("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL")
    url = url or profile.get("endpoint_url", "")
    host = f"dynamodb.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    ca_bundle = options.ca_bundle or first("AWS_CA_BUNDLE") or profile.get("ca_bundle", "")
    settled = replace(options, ca_bundle=ca_bundle)
    return DynamoDBAddress(endpoint_of(url or f"https://{host}"), region, prefix, settled)
