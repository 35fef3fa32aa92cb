"""What tunes a bucket on S3, and what the environment says."""

from __future__ import annotations

import re
from collections.abc import Callable  # noqa: TC003 - options_from reads the annotations
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from holdfast.aws.credentials import Credentials  # noqa: TC001 - the same
from holdfast.aws.origin import Origin, origin_of
from holdfast.aws.patience import Limits
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1024 * 1024
Addressing = Literal["auto", "path", "virtual"]
Encryption = Literal["", "AES256", "aws:kms"]
PayloadSigning = Literal["auto", "always", "never"]
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """How a bucket on S3 is reached and used. What is empty comes from the environment.

    *endpoint_url*: ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``, else AWS itself.
    *public_endpoint_url*: where those who hold presigned URLs reach it, by default the same.
    *region*: ``AWS_REGION``, ``AWS_DEFAULT_REGION``, else us-east-1. *ca_bundle*: a file of trusted
    certificates, ``AWS_CA_BUNDLE``. *addressing*: where the bucket's name stands, by default in the
    host for AWS and in the path elsewhere. *encryption*: asked for on every write, and the answer
    checked; *kms_key* goes with ``aws:kms``. *create*: make the bucket when it is not there, with
    *object_lock* as one whose versions can be locked. *payload_signing*: whether the signature
    covers the SHA-256 of each body, beside the CRC-32 that the service checks in any case; by
    default where no TLS protects it. *multipart*: bytes from which an object goes up in parts;
    *part*: bytes of a part at the least; *parallel*: parts at once. The rest are seconds and
    counts, as in aws.Limits. *threads*: how many blocking calls the async bucket has under way at
    once. *most_copied*: bytes up to which a copy is one request, and beyond which it is made in
    parts. *credentials*: keys, or what returns them and is asked again before they expire; None for
    the places that AWS users know.
    """

    endpoint_url: str = ""
    public_endpoint_url: str = ""
    region: str = ""
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
        ):
            if getattr(self, name) not in known:
                raise ConfigurationError(
                    f"{name}: expected one of {', '.join(map(repr, known))}, "
                    f"got {getattr(self, name)!r}"
                )
        for name in ("connect_timeout", "read_timeout", "total_timeout"):
            seconds = getattr(self, name)
            if not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
                raise ConfigurationError(
                    f"{name}: expected a positive number of seconds, got {seconds!r}"
                )
        for name, least, most in (
            ("attempts", 1, 100),
            ("connections", 1, 1000),
            ("parallel", 1, 64),
            ("threads", 1, 64),
            ("part", 5 * MIB, 5 * 1024 * MIB),
            ("multipart", 5 * MIB, 5 * 1024 * MIB),
            ("most_copied", 5 * MIB, 5 * 1024 * MIB),
        ):
            number = getattr(self, name)
            if not isinstance(number, int) or not least <= number <= most:
                raise ConfigurationError(f"{name}: expected {least} to {most}, got {number!r}")
        if not isinstance(self.region, str) or (self.region and not _REGION.fullmatch(self.region)):
            raise ConfigurationError(f"region: {self.region!r} is none")
        if self.kms_key and self.encryption != "aws:kms":
            raise ConfigurationError("kms_key: it goes with encryption='aws:kms' alone")

    def signs_payload(self, *, secure: bool) -> bool:
        """Return whether bodies are signed, on a *secure* wire or another."""
        return self.payload_signing == "always" or (self.payload_signing == "auto" and not secure)

    @property
    def limits(self) -> Limits:
        return Limits(
            connect=self.connect_timeout,
            read=self.read_timeout,
            total=self.total_timeout,
            attempts=self.attempts,
            connections=self.connections,
        )


def with_environment(options: S3Options, environment: Mapping[str, str]) -> S3Options:
    """Return *options* with what is empty filled in from *environment*."""

    def first(*names: str) -> str:
        return next((value for name in names if (value := environment.get(name))), "")

    return replace(
        options,
        endpoint_url=options.endpoint_url or first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        region=options.region or first("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1",
        ca_bundle=options.ca_bundle or first("AWS_CA_BUNDLE"),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bucket's requests go. *prefix* is what stands before each key in the path."""

    bucket: str
    origin: Origin
    prefix: str


def place_of(bucket: str, options: S3Options) -> Place:
    """Return where *bucket* is. Raises ConfigurationError for a name that no bucket has."""
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise ConfigurationError(
            f"{bucket!r} is no name of a bucket: 3 to 63 of a-z, 0-9, '.' and '-'"
        )
    own = bool(options.endpoint_url)
    origin = origin_of(options.endpoint_url or f"https://s3.{options.region}.amazonaws.com")
    virtual = options.addressing == "virtual" or (
        options.addressing == "auto" and not own and "." not in bucket
    )
    if virtual:
        return Place(bucket, Origin(origin.secure, f"{bucket}.{origin.host}", origin.port), "/")
    return Place(bucket, origin, f"/{bucket}/")
