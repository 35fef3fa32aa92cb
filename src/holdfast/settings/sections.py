"""The sections of the settings: storage, redis, s3, objects, audit, webhooks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    model_validator,
)

from holdfast.aws.endpoint import endpoint_of
from holdfast.settings.setting_spec import About
from holdfast.settings.value_checks import (
    NUMBER,
    checked_networks,
    checked_url,
    no_unknown_names,
    parse_bucket,
    parse_endpoint,
    split_names,
)

MIB = 1 << 20


class Section(BaseModel):
    """A part of the settings, as a table of the settings file has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_names(cls, given: object) -> object:
        return no_unknown_names(cls, given)


class MemoryStorage(Section):
    """The section `[storage.memory]`: records in this process."""

    lock_timeout: Annotated[
        float,
        NUMBER,
        Field(gt=0, le=86_400),
        About(
            what="seconds that a transaction waits for another",
            expected="a number of seconds above 0, 86400 at most",
        ),
    ] = 60.0


class SQLStorage(Section):
    """The section `[storage.sql]`: records in SQLite, PostgreSQL, MariaDB or MySQL.

    SQLite has no pool: the sizes and *echo* are for servers.
    """

    pool_size: Annotated[
        int,
        NUMBER,
        Field(ge=1, le=10_000),
        About(
            what="connections to a database server that are kept",
            expected="a whole number from 1 to 10000",
            borrowed=("DATABASE_POOL_SIZE",),
        ),
    ] = 5
    max_overflow: Annotated[
        int,
        NUMBER,
        Field(ge=0, le=10_000),
        About(
            what="connections that are opened beside those, when all are in use",
            expected="a whole number from 0 to 10000",
            borrowed=("DATABASE_MAX_OVERFLOW",),
        ),
    ] = 10
    echo: Annotated[
        bool,
        About(
            what="whether each statement to a database server is logged",
            expected="true or false",
            borrowed=("DATABASE_ECHO",),
        ),
    ] = False
    slow_statement: Annotated[
        float,
        NUMBER,
        Field(ge=0, le=86_400),
        About(
            what="seconds from which a server's statement is logged as slow; 0 for never",
            expected="a number of seconds from 0 to 86400",
        ),
    ] = 0.0


class DynamoDBStorage(Section):
    """The section `[storage.dynamodb]`: records in DynamoDB.

    Keys are found where AWS users keep them.
    """

    region: Annotated[
        str,
        About(
            what="the region",
            expected="the name of a region",
            unset="`AWS_REGION`, the AWS profile, or us-east-1",
        ),
    ] = ""
    prefix: Annotated[
        str,
        About(
            what="what tables' names begin with, before a point",
            expected="letters, digits, `_`, `-` and `.`",
        ),
    ] = ""
    endpoint_url: Annotated[
        str,
        AfterValidator(checked_url(endpoint_of)),
        About(
            what="where another service than AWS answers",
            expected="a URL such as http://host:8000",
            unset="`AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL`, the AWS profile, or AWS",
        ),
    ] = ""
    scan: Annotated[
        bool,
        About(
            what="whether queries that no key and no index answers may read a whole table",
            expected="true or false",
        ),
    ] = False


class StorageSection(Section):
    """The section `[storage]`: which kind of backend has the records, and how it is tuned."""

    type: Annotated[
        Literal["", "memory", "sql", "dynamodb"],
        About(
            what="`memory`, `sql` or `dynamodb`: what has the records; `memory` wins over a URL",
            expected="memory, sql or dynamodb",
            unset="as the URL says",
        ),
    ] = ""
    measure: Annotated[
        bool,
        About(
            what="whether operations on records are counted and timed, for metrics; it costs each "
            "2 to 3 µs",
            expected="true or false",
        ),
    ] = True
    slow_operation: Annotated[
        float,
        NUMBER,
        Field(ge=0, le=86_400),
        About(
            what="seconds from which an operation on records is logged as slow; 0 for never",
            expected="a number of seconds from 0 to 86400",
        ),
    ] = 0.0
    memory: MemoryStorage = MemoryStorage()
    sql: SQLStorage = SQLStorage()
    dynamodb: DynamoDBStorage = DynamoDBStorage()


class RedisSection(Section):
    """The section `[redis]`: whether the cache is there, and how it is reached."""

    enabled: Annotated[
        bool | None,
        About(
            what="`false`: the cache is in memory, whatever its URL; `true`: it is in Redis, at "
            "`redis://localhost:6379` unless a URL says more",
            expected="true or false",
            borrowed=("REDIS_ENABLED",),
            unset="as the URL says",
        ),
    ] = None
    notify: Annotated[
        bool,
        About(
            what="whether idle workers in other processes are woken through the cache's Redis, "
            "where the database tells them nothing itself, as PostgreSQL does",
            expected="true or false",
        ),
    ] = False
    pool_size: Annotated[
        int,
        NUMBER,
        Field(ge=0, le=10_000),
        About(
            what="taken and without effect: all requests share one connection, and a second one "
            "when that is busy",
            expected="a whole number from 0 to 10000",
            borrowed=("REDIS_POOL_SIZE",),
            unset="none",
        ),
    ] = 0


class S3Section(Section):
    """The section `[s3]`: the server of every bucket whose URL does not say its own."""

    endpoint_url: Annotated[
        str,
        AfterValidator(checked_url(parse_endpoint)),
        About(
            what="the server, as a URL or `host:port`",
            expected="a URL such as https://s3.example, or host:port",
            borrowed=(
                "S3_ENDPOINT_URL",
                "MINIO_ENDPOINT",
                "AWS_ENDPOINT_URL_S3",
                "AWS_ENDPOINT_URL",
            ),
            shown="place",
            unset="AWS",
        ),
    ] = ""
    secure: Annotated[
        bool,
        About(
            what="whether a server that is written `host:port` is spoken to by TLS",
            expected="true or false",
            borrowed=("MINIO_SECURE",),
        ),
    ] = True
    region: Annotated[
        str,
        Field(pattern=r"^[a-z0-9-]{0,32}$"),
        About(
            what="the region",
            expected="the name of a region, such as eu-central-1",
            borrowed=("MINIO_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
            unset="us-east-1",
        ),
    ] = ""
    profile: Annotated[
        str,
        About(
            what="the profile in AWS's shared files",
            expected="the name of a profile",
            borrowed=("AWS_PROFILE",),
            unset="default",
        ),
    ] = ""
    access_key: Annotated[
        str,
        About(
            what="who asks, with *secret_key*; without it, what AWS's shared files and chain say",
            expected="the id of an access key",
            borrowed=("MINIO_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
            shown="secret",
        ),
    ] = ""
    secret_key: Annotated[
        str,
        About(
            what="the secret of *access_key*",
            expected="the secret of an access key",
            borrowed=("MINIO_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
            shown="secret",
        ),
    ] = ""
    session_token: Annotated[
        str,
        About(
            what="what goes with a key that is lent for some time",
            expected="a session token",
            borrowed=("AWS_SESSION_TOKEN",),
            shown="secret",
        ),
    ] = ""
    create: Annotated[
        bool, About(what="whether a bucket is made that is not there", expected="true or false")
    ] = False
    encryption: Annotated[
        bool,
        About(
            what="whether the server is asked to encrypt each object (SSE-S3, AES256)",
            expected="true or false",
            borrowed=("MINIO_ENABLE_ENCRYPTION",),
        ),
    ] = False
    multipart_threshold: Annotated[
        ByteSize,
        NUMBER,
        Field(ge=5 * MIB, le=5 * 1024 * MIB),
        About(
            what="bytes from which an object is uploaded in parts; also as `64MiB`",
            expected="a size from 5MiB to 5GiB",
            borrowed=("MINIO_MULTIPART_THRESHOLD",),
        ),
    ] = ByteSize(64 * MIB)
    max_connections: Annotated[
        int,
        NUMBER,
        Field(ge=1, le=1000),
        About(
            what="connections to a bucket's server, at most",
            expected="a whole number from 1 to 1000",
            borrowed=("MINIO_MAX_POOL_CONNECTIONS",),
        ),
    ] = 32


class ObjectsSection(Section):
    """The section `[objects]`: how buckets work, and which of them has what."""

    video_bucket: Annotated[
        str,
        AfterValidator(checked_url(parse_bucket)),
        About(
            what="the bucket of videos, a URL or a name on S3",
            expected="a URL of a bucket, or a bucket's name",
            borrowed=("MINIO_VIDEO_BUCKET",),
            shown="place",
            unset="*bucket*",
        ),
    ] = ""
    models_bucket: Annotated[
        str,
        AfterValidator(checked_url(parse_bucket)),
        About(
            what="the bucket of models",
            expected="a URL of a bucket, or a bucket's name",
            borrowed=("MINIO_MODELS_BUCKET",),
            shown="place",
            unset="`models/` in *bucket*",
        ),
    ] = ""
    logs_bucket: Annotated[
        str,
        AfterValidator(checked_url(parse_bucket)),
        About(
            what="the bucket of logs",
            expected="a URL of a bucket, or a bucket's name",
            borrowed=("MINIO_LOGS_BUCKET",),
            shown="place",
            unset="`logs/` in *bucket*",
        ),
    ] = ""
    versioning: Annotated[
        bool,
        About(
            what="whether buckets are told at the start to keep versions; `false` tells nothing",
            expected="true or false",
            borrowed=("MINIO_ENABLE_VERSIONING",),
        ),
    ] = False
    compression: Annotated[
        bool,
        About(
            what="whether objects that shrink are kept compressed (zstd; media never are)",
            expected="true or false",
            borrowed=("MINIO_ENABLE_COMPRESSION",),
        ),
    ] = False
    cache_metadata: Annotated[
        bool,
        About(
            what="whether descriptions of objects are read through the cache",
            expected="true or false",
            borrowed=("MINIO_ENABLE_CACHING",),
        ),
    ] = False
    metadata_ttl: Annotated[
        float,
        NUMBER,
        Field(gt=0, le=86_400),
        About(
            what="seconds for which a description is kept there",
            expected="a number of seconds above 0, 86400 at most",
            borrowed=("MINIO_CACHE_TTL",),
        ),
    ] = 60.0


class AuditSection(Section):
    """The section `[audit]`: how the log of the audit is signed and kept."""

    key: Annotated[
        str,
        About(
            what="the file with the key that signs checkpoints; it is made when it is not there",
            expected="the path of a file",
            unset="`audit.key` in the data folder",
        ),
    ] = ""
    origin: Annotated[
        str,
        Field(pattern=r"^[^\s+]{1,100}$"),
        About(
            what="what the log is called in its checkpoints",
            expected="a name without blanks and +, such as example.org/audit",
        ),
    ] = "holdfast-audit"
    retention_days: Annotated[
        float,
        NUMBER,
        Field(ge=0, le=36_500),
        About(
            what="days for which checkpoints are locked in the bucket of logs, by its object "
            "locks; 0 for none",
            expected="a number of days from 0 to 36500",
        ),
    ] = 0.0
    objects: Annotated[
        bool,
        About(
            what="whether writes of objects are recorded too, an entry for each",
            expected="true or false",
        ),
    ] = False


class WebhooksSection(Section):
    """The section `[webhooks]`: where webhooks may go."""

    networks: Annotated[
        tuple[str, ...],
        BeforeValidator(split_names),
        AfterValidator(checked_networks),
        About(
            what="networks, with commas between, that webhooks may reach beside public addresses; "
            "http is for loopback addresses in them alone",
            expected="networks such as 10.1.0.0/16, with commas between",
            unset="none",
        ),
    ] = ()
