"""The hosts of Amazon S3 by region, and of access points by their ARN."""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.errors import ConfigurationError

# Regions whose hosts do not end as all others do, by how their names begin.
_SUFFIXES = (
    ("cn-", "amazonaws.com.cn"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
)
_USUAL_SUFFIX = "amazonaws.com"
_ARN = re.compile(
    r"arn:(?P<partition>[a-z0-9-]+):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):"
    r"(?P<account>\d{12}):accesspoint[/:](?P<name>[a-z0-9][a-z0-9-]{1,48}[a-z0-9])"
)


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """An access point: another name for a bucket, with a policy of its own."""

    arn: str
    name: str
    account: str
    region: str


def access_point_of(bucket: str) -> AccessPoint | None:
    """Return the access point that *bucket* names by its ARN, None for a bucket's own name.

    Raises ConfigurationError for another ARN.
    """
    if not bucket.startswith("arn:"):
        return None
    found = _ARN.fullmatch(bucket)
    if found is None or found["service"] != "s3" or not found["region"]:
        raise ConfigurationError(
            f"{bucket!r}: expected the ARN of an access point, "
            "arn:aws:s3:region:account:accesspoint/name"
        )
    return AccessPoint(bucket, found["name"], found["account"], found["region"])


def aws_host(
    region: str, *, dual_stack: bool, fips: bool, access_point: AccessPoint | None = None
) -> str:
    """Return the host of S3 in *region*, with IPv6 if *dual_stack*, by FIPS 140 if *fips*."""
    suffix = next((end for start, end in _SUFFIXES if region.startswith(start)), _USUAL_SUFFIX)
    service = "s3" if access_point is None else "s3-accesspoint"
    parts = [f"{service}-fips" if fips else service, "dualstack" if dual_stack else "", region]
    host = ".".join([*filter(None, parts), suffix])
    if access_point is None:
        return host
    return f"{access_point.name}-{access_point.account}.{host}"
