"""What tunes each backend of records: the `options=` of `open_store`, or parameters of its URL.

All of them have the fields of `OperationOptions` too.
"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - options_for reads the annotations
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from holdfast.aws.credentials import Credentials  # noqa: TC001 - the same
from holdfast.errors import ConfigurationError
from holdfast.option_checks import check_number, check_positive, check_whole
from holdfast.records.entities.field import Field
from holdfast.stats import OperationOptions

SSLMode: TypeAlias = Literal["auto", "disable", "require", "verify-ca", "verify-full"]
"""How a connection to a server is encrypted; see `PoolOptions`."""

SessionTarget: TypeAlias = Literal[
    "any", "primary", "standby", "prefer-standby", "read-write", "read-only"
]
"""What kind of server is looked for; the words are those of libpq. See `PoolOptions`."""

IndexForm: TypeAlias = Literal["native", "composed"]
"""How DynamoDB sorts an index by several fields: by as many attributes, or by one of them all."""


ExpiryField: TypeAlias = Field[datetime] | Field[datetime | None]
"""A field with the moment after which its row may be removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions(OperationOptions):
    """What every backend of records has among its options.

    *schema* is where the tables of the entities are that name none themselves: a schema of
    PostgreSQL, a database of MariaDB's or MySQL's server, and elsewhere what the tables' names
    begin with, `tenant_7.videos`. '' is where the URL leads to. `create_schema` makes it.
    """

    schema: str = ""


@dataclass(frozen=True, slots=True)
class MemoryOptions(RecordOptions):
    """What tunes the memory backend. *lock_timeout* is in seconds."""

    lock_timeout: float = 60.0

    def __post_init__(self) -> None:
        check_number(self, "lock_timeout")


@dataclass(frozen=True, slots=True)
class SQLiteOptions(RecordOptions):
    """What tunes SQLite. *lock_timeout* is in seconds.

    *synchronous* "full" survives a loss of power; "normal" is faster and may then lose the last
    commits, though never the file's consistency. A killed process loses nothing either way.
    A file that is made is for this user alone; without *private* it is for whom the process's
    umask lets in.
    """

    lock_timeout: float = 60.0
    synchronous: Literal["full", "normal"] = "full"
    private: bool = True

    def __post_init__(self) -> None:
        check_number(self, "lock_timeout")


@dataclass(frozen=True, slots=True)
class PoolOptions(RecordOptions):
    """What tunes the connections to a server. Times are in seconds; 0 is no limit, but for two.

    *pool_size* connections are kept and up to *max_overflow* more are opened when those are in
    use; a caller that finds none waits *pool_timeout*, 0 not at all. Those beyond *pool_size* are
    closed when they were not used for *idle_timeout*, 0 at once. A connection is replaced when it
    is older than *pool_recycle*; with *pool_pre_ping* it is tried before each use. *echo* logs
    each statement; those slower than *slow_statement* are logged as warnings, without their values.
    A statement waits *lock_timeout* for a lock, 0 not at all, and is
    stopped after *statement_timeout*.

    *sslmode* says how a connection is encrypted: "disable" not at all, "require" without a look at
    who answers, "verify-ca" only with a certificate that *sslrootcert* signed (a file of
    authorities; '' for those that the system trusts), "verify-full" only with one in the host's
    name. "auto" is "disable" for a server on this machine and "verify-full" for any other. No mode
    falls back to another, and a password is never sent in clear over a plain connection.

    *replica* names servers that follow this one, `host:port` with commas between: read-only
    transactions go to one of them, and to this one while none can be reached and for
    *replica_delay* seconds after each write of this store. So a program reads what it wrote itself,
    as long as replicas lag less than that; what other programs wrote may come later.

    Of several hosts in the URL the first that answers and is a *target_session_attrs* is taken, at
    each new connection. *application_name* is what the server lists the connections as.
    """

    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 30.0
    idle_timeout: float = 10.0
    pool_recycle: float = 0.0
    pool_pre_ping: bool = False
    echo: bool = False
    slow_statement: float = 0.0
    connect_timeout: float = 10.0
    lock_timeout: float = 60.0
    statement_timeout: float = 0.0
    sslmode: SSLMode = "auto"
    sslrootcert: str = ""
    target_session_attrs: SessionTarget = "any"
    replica: str = ""
    replica_delay: float = 5.0
    application_name: str = "holdfast"

    def check(self) -> None:
        """Raise ConfigurationError for a number that makes no sense."""
        check_whole(self, "pool_size")
        check_whole(self, "max_overflow", least=0)
        check_number(
            self, "pool_timeout", "idle_timeout", "pool_recycle", "slow_statement",
            "connect_timeout", "lock_timeout", "statement_timeout", "replica_delay",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PostgreSQLOptions(PoolOptions):
    """What tunes PostgreSQL; see `PoolOptions`.

    *pgbouncer* makes it safe behind PgBouncer in transaction mode: nothing then outlives a
    transaction on the server, and the timeouts are to be set there. *search_path* names the
    schemas that tables are looked for in, and made in the first of, with commas between them; ''
    is the user's own. With *jit* the server compiles what it estimates to be dear, which takes
    seconds where many relations are asked about and the estimate is wrong. *notify* lets
    `Store.notify` reach other processes by NOTIFY; who listens has one connection more.
    """

    pgbouncer: bool = False
    search_path: str = ""
    jit: bool = False
    notify: bool = True

    def check(self) -> None:
        """Raise ConfigurationError for options that make no sense, or not together."""
        PoolOptions.check(self)
        kept = ("lock_timeout", "statement_timeout", "search_path", "jit")
        changed = [n for n in kept if getattr(self, n) != getattr(PostgreSQLOptions(), n)]
        if self.pgbouncer and changed:
            raise ConfigurationError(
                f"{' and '.join(changed)} can't be kept behind PgBouncer, which shares sessions: "
                "set it for the role, as in ALTER ROLE app SET lock_timeout = '5s'"
            )


@dataclass(frozen=True, slots=True)
class MariaDBOptions(PoolOptions):
    """What tunes MariaDB; see `PoolOptions`."""


@dataclass(frozen=True, slots=True)
class MySQLOptions(PoolOptions):
    """What tunes MySQL; see `PoolOptions`.

    MySQL waits for a lock a second at the least, and stops statements that read alone after
    *statement_timeout*. *server_public_key* is a file with the RSA key that the server decrypts
    passwords with (`public_key.pem` of its data folder): over a connection that is not encrypted a
    server off this machine gets a password for this key, or not at all.
    """

    server_public_key: str = ""


@dataclass(frozen=True, slots=True)
class DynamoDBOptions(RecordOptions):
    """What tunes DynamoDB. Times are in seconds. What is empty comes from the environment.

    *endpoint_url*: ``AWS_ENDPOINT_URL_DYNAMODB``, ``AWS_ENDPOINT_URL``, the AWS profile, else AWS
    itself. *scan*: queries that no key and no index answers are answered by reading the whole
    table; else they are refused. *scan_segments*: the parts that one scan reads at once.
    *indexes*: an index sorts by several attributes ("native"), or by one that is composed of the
    fields ("composed"), for services that know no index of several. *consistent*: reads by key and
    scans see all that was written before; without it they may lag and cost half. Reads along an
    index always may. *point_in_time_recovery*, *deletion_protection* and *tags*, pairs of texts,
    are what `create_schema` switches on for the store's tables, and never off. *expires*: datetime
    fields, one of an entity at most, after whose moment the service removes the row; until it has,
    within days, the row is there. *connect_timeout*, *read_timeout*, *total_timeout*: until a
    connection is open, until the next bytes come, and for one request with all its retries.
    *attempts*: how often one request is sent at most. *connections*: how many are open at once.
    *lock_timeout*: how long a write that clashed waits for the others of this process that did.
    *ca_bundle*: a file of trusted certificates, ``AWS_CA_BUNDLE``. *credentials*: keys, or what
    returns them and is asked again before they expire; None for the places where AWS users keep
    them.
    """

    endpoint_url: str = ""
    scan: bool = False
    scan_segments: int = 1
    indexes: IndexForm = "native"
    consistent: bool = True
    point_in_time_recovery: bool = False
    deletion_protection: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    expires: tuple[ExpiryField, ...] = ()
    connect_timeout: float = 5.0
    read_timeout: float = 10.0
    total_timeout: float = 60.0
    attempts: int = 8
    connections: int = 32
    lock_timeout: float = 60.0
    ca_bundle: str = ""
    credentials: Credentials | Callable[[], Credentials] | None = None

    def __post_init__(self) -> None:
        check_positive(self, "connect_timeout", "read_timeout", "total_timeout", "lock_timeout")
        check_whole(self, "attempts", most=100)
        check_whole(self, "connections", most=1000)
        check_whole(self, "scan_segments", most=64)


StoreOptions: TypeAlias = (
    MemoryOptions
    | SQLiteOptions
    | PostgreSQLOptions
    | MariaDBOptions
    | MySQLOptions
    | DynamoDBOptions
)
