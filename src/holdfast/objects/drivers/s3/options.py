"""Options of a bucket on S3, and its address; what is empty comes from the environment."""

from __future__ import annotations

import re
from collections.abc import Callable  # noqa: TC003 - options_for reads the annotations
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import urlsplit

from holdfast.aws.credentials import Credentials  # noqa: TC001 - the same
from holdfast.aws.endpoint import HTTPEndpoint, endpoint_of
from holdfast.aws.profile import profile_settings
from holdfast.backend_url import redacted
from holdfast.errors import ConfigurationError
from holdfast.objects.drivers.s3.aws_hosts import access_point_of, aws_host
from holdfast.option_checks import check_positive, check_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.aws.http import Limits

MIB = 1024 * 1024
Addressing = Literal["auto", "path", "virtual"]
Encryption = Literal["", "AES256", "aws:kms"]
PayloadSigning = Literal["auto", "always", "never"]
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """How a bucket on S3 is reached and used. What is empty comes from the environment.

    *endpoint_url*: ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``, else AWS itself.
    *public_endpoint_url*: where those who get presigned URLs reach it, by default the same.
    *region*: ``AWS_REGION``, ``AWS_DEFAULT_REGION``, else us-east-1. What neither says, the AWS
    profile may say. *dual_stack*, *fips*: the hosts of AWS with IPv6, and by FIPS 140.
    *anonymous*: nothing is signed, as public buckets allow. *ca_bundle*: a file of trusted
    certificates, ``AWS_CA_BUNDLE``. *addressing*: where URLs have the bucket's name, by default in
    the host for AWS and in the path elsewhere. *encryption*: asked for on every write, and the
    answer checked; *kms_key* goes with ``aws:kms``. *create*: make the bucket when it is not there,
    with *object_lock* as one whose versions can be locked. *payload_signing*: whether the signature
    covers the SHA-256 of each body, beside the CRC-32 that the service checks in any case; by
    default where no TLS protects it. *multipart*: bytes from which an object is uploaded in parts;
    *part*: bytes of a part at least; *parallel*: parts at once. *connect_timeout*, *read_timeout*,
    *total_timeout*: seconds until a connection is open, until the next bytes come, and for one
    request with all its retries. *attempts*: how often one request is sent at most. *connections*:
    how many are open at once. *threads*: how many blocking calls the async bucket has under way at
    once. *most_copied*: bytes up to which a copy is one request, and beyond which it is made in
    parts. *credentials*: keys, or what returns them and is asked again before they expire; None for
    the places where AWS users keep them.
    """

    endpoint_url: str = ""
    public_endpoint_url: str = ""
    region: str = ""
    dual_stack: bool = False
    fips: bool = False
    anonymous: bool = False
    ca_bundle: str = ""
    addressing: Addressing = "auto"
    encryption: Encryption = ""
    kms_key: str = ""
    create: bool = False
    object_lock: bool = False
    payload_signing: PayloadSigning = "auto"
    multipart: int = 64 * MIB
    part: int = 8 * MIB
    parallel: int = 4
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    total_timeout: float = 300.0
    attempts: int = 6
    connections: int = 32
    threads: int = 4
    most_copied: int = 5 * 1024 * MIB
    credentials: Credentials | Callable[[], Credentials] | None = None

    def __post_init__(self) -> None:
        for name, known in (
            ("addressing", get_args(Addressing)),
            ("encryption", get_args(Encryption)),
            ("payload_signing", get_args(PayloadSigning)),
            ("create", (False, True)),
            ("object_lock", (False, True)),
            ("dual_stack", (False, True)),
            ("fips", (False, True)),
            ("anonymous", (False, True)),
        ):
            if getattr(self, name) not in known:
                raise ConfigurationError(
                    f"{name}: expected one of {', '.join(map(repr, known))}, "
                    f"got {getattr(self, name)!r}"
                )
        check_positive(self, "connect_timeout", "read_timeout", "total_timeout")
        check_whole(self, "attempts", most=100)
        check_whole(self, "connections", most=1000)
        check_whole(self, "parallel", "threads", most=64)
        check_whole(self, "part", "multipart", "most_copied", least=5 * MIB, most=5 * 1024 * MIB)
        if not isinstance(self.region, str) or (self.region and not _REGION.fullmatch(self.region)):
            raise ConfigurationError(f"region: {self.region!r} is not one")
        if self.kms_key and self.encryption != "aws:kms":
            raise ConfigurationError("kms_key: it goes only with encryption='aws:kms'")

    def signs_payload(self, *, secure: bool) -> bool:
        """Return whether bodies are signed, over a *secure* connection or another."""
        return self.payload_signing == "always" or (self.payload_signing == "auto" and not secure)

    @property
    def limits(self) -> Limits:
        """The bounds of one request, for the HTTP client."""
        from holdfast.aws.http import Limits  # noqa: PLC0415 - it loads the parser

        return Limits(
            connect=self.connect_timeout,
            read=self.read_timeout,
            total=self.total_timeout,
            attempts=self.attempts,
            connections=self.connections,
        )


def with_environment(options: S3Options, environment: Mapping[str, str]) -> S3Options:
    """Return *options* with what is empty filled in from *environment*, then the AWS profile.

    Reads the file of the profile. Raises ConfigurationError when it can't be read, or says what no
    option can be.
    """
    profile = profile_settings(environment, "s3")

    def first(*names: str) -> str:
        return next((value for name in names if (value := environment.get(name))), "")

    def is_set(name: str, setting: str) -> bool:
        return (first(name) or profile.get(setting, "")).lower() == "true"

    endpoint = ""
    ignored = is_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls")
    if not ignored:
        endpoint = first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") or profile.get(
            "endpoint_url", ""
        )
    region = first("AWS_REGION", "AWS_DEFAULT_REGION") or profile.get("region", "")
    ca_bundle = first("AWS_CA_BUNDLE") or profile.get("ca_bundle", "")
    dual_stack = is_set("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")
    fips = is_set("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")
    return replace(
        options,
        endpoint_url=options.endpoint_url or endpoint,
        region=options.region or region or "us-east-1",
        ca_bundle=options.ca_bundle or ca_bundle,
        dual_stack=options.dual_stack or dual_stack,
        fips=options.fips or fips,
    )


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Where a bucket's requests go. *prefix* comes before each key in the path.

    *path* is that of the endpoint itself, and part of the prefix.
    """

    bucket: str
    endpoint: HTTPEndpoint
    prefix: str
    path: str = ""


def address_of(bucket: str, options: S3Options) -> BucketAddress:
    """Return where *bucket*, a name or the ARN of an access point, is.

    Raises ConfigurationError for a bad name, and a bad endpoint.
    """
    point = access_point_of(bucket)
    if point is None and not is_bucket_name(bucket):
        raise ConfigurationError(
            f"{bucket!r} is not the name of a bucket: 3 to 63 of a-z, 0-9, '.' and '-'"
        )
    own = bool(options.endpoint_url)
    if own:
        base, path = split_path(options.endpoint_url)
    else:
        host = aws_host(
            options.region, dual_stack=options.dual_stack, fips=options.fips, access_point=point
        )
        base, path = f"https://{host}", ""
    endpoint = endpoint_of(base)
    if point is not None:
        if own:
            host = f"{point.name}-{point.account}.{endpoint.host}"
            endpoint = HTTPEndpoint(endpoint.secure, host, endpoint.port)
        return BucketAddress(bucket, endpoint, f"{path}/", path)
    virtual = options.addressing == "virtual" or (
        options.addressing == "auto" and not own and "." not in bucket
    )
    if virtual:
        named = HTTPEndpoint(endpoint.secure, f"{bucket}.{endpoint.host}", endpoint.port)
        return BucketAddress(bucket, named, f"{path}/", path)
    return BucketAddress(bucket, endpoint, f"{path}/{bucket}/", path)


def is_bucket_name(text: str) -> bool:
    """Return whether a bucket may be called so."""
    return _BUCKET.fullmatch(text) is not None and ".." not in text


def split_path(url: str) -> tuple[str, str]:
    """Return an endpoint's *url* without its path, and the path without a slash at its end.

    Raises ConfigurationError for a path that no request could have.
    """
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError:
        return url, ""  # which `endpoint_of` refuses
    if not _PATH.fullmatch(path):
        raise ConfigurationError(f"{redacted(url)!r}: the path of an endpoint is written encoded")
    return (url.rstrip("/").removesuffix(path), path) if path else (url, "")
