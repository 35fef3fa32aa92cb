"""PostgreSQL blocking, by psycopg: nothing here suspends."""

from __future__ import annotations

import socket
import struct
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from psycopg.adapt import Loader
from psycopg.sql import SQL, Identifier
from psycopg.types.datetime import DateLoader, TimeLoader
from psycopg.types.json import set_json_loads

from holdfast.errors import ConfigurationError
from holdfast.records.drivers.sql.connections.cleartext import CLEARTEXT_METHOD, cleartext_error
from holdfast.records.drivers.sql.connections.server_connection import has_input, open_socket
from holdfast.records.drivers.sql.failure import (
    LOST,
    Failure,
    FailureKind,
    connect_error,
    is_refused_sqlstate,
    sqlstate_failure,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.connections.encryption import Encryption
    from holdfast.records.drivers.sql.connections.server_address import ServerAddress

_PATIENCE = 5  # seconds to find out why a connection was refused
_KEEPS_PASSWORDS = 160_000  # the libpq from which on it can be told to
_PROTOCOL_3 = 196_608
_TLS_REQUEST = 80_877_103
_CLEARTEXT = "cleartext"
_LONGEST = 16_384  # bytes of a message to a client that is not let in


class PsycopgConnection:
    """See `ServerConnection`."""

    driver = "psycopg"

    def __init__(self, raw: psycopg.Connection) -> None:
        self.raw = raw
        self._cursor = psycopg.RawCursor(raw)

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        """Run one statement and return its rows."""
        found: list[tuple[object, ...]] = self._cursor.execute(
            sql.encode(), values or None
        ).fetchall()
        return found

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        """Run one statement and return how many rows it found."""
        return self._cursor.execute(sql.encode(), values or None).rowcount

    async def command(self, sql: str) -> str:
        """Run statements without parameters and return what the last one answered."""
        return self._cursor.execute(sql.encode()).statusmessage or ""

    async def copy(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Add all *rows*, or none when one of them is refused."""
        into = SQL("COPY {} ({}) FROM STDIN").format(
            Identifier(*filter(None, (table.schema, table.name))),
            SQL(", ").join(map(Identifier, columns)),
        )
        with self.raw.cursor().copy(into) as copy:
            for row in rows:
                copy.write_row(row)

    def failure(self, error: Exception) -> Failure | None:
        """Return what *error* was; None when neither the server nor the network said it."""
        if not isinstance(error, psycopg.Error):
            return None
        if error.sqlstate is None:
            return LOST if self.raw.closed else None
        # The SQLSTATE of this is that of much else, and its text is in the server's language.
        if error.diag.source_function == "RevalidateCachedQuery":
            return Failure(FailureKind.STALE_PLAN)
        return sqlstate_failure(error.sqlstate, error.diag.constraint_name, closed=self.raw.closed)

    def stale(self) -> bool:
        """Tell, without waiting, whether the other side has hung up already."""
        return self.raw.closed or has_input(self.raw.fileno())

    async def close(self) -> None:
        """End the session. Idempotent, and silent when nobody is there."""
        self.raw.close()

    def abandon(self) -> None:
        """Let go of it at once."""
        self.raw.close()


def libpq_arguments(address: ServerAddress, encryption: Encryption) -> dict[str, Any]:
    """Return the arguments by which libpq logs in at *address*.

    Raises ConfigurationError where libpq is too old to keep a password from a plain connection.
    """
    plain = encryption.mode == "disable"
    if plain and address.password and psycopg.pq.version() < _KEEPS_PASSWORDS:
        raise ConfigurationError(
            f"libpq {psycopg.pq.version()} would give the password in clear to a server that asks "
            "for it: install psycopg[binary], or libpq 16 or newer, or use ?sslmode=verify-full"
        )
    verified = encryption.mode in ("verify-ca", "verify-full")
    return {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "dbname": address.database,
        "sslmode": encryption.mode,
        "sslrootcert": encryption.authorities or "system" if verified else None,
        "require_auth": "!password" if plain and address.password else None,
    }


def libpq_options(settings: Mapping[str, str]) -> str | None:
    """Return the options by which libpq asks for *settings* of the session; '' is not asked for."""
    given = [f"-c {name}={_escaped(value)}" for name, value in settings.items() if value]
    return " ".join(given) or None


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace(" ", r"\ ")


async def connect(
    address: ServerAddress,
    *,
    settings: dict[str, str],
    patience: float,
    prepared: bool,
    encryption: Encryption,
    application: str,
) -> PsycopgConnection:
    """Return a new connection, its types being those of `PostgreSQLDialect`."""
    raw = psycopg.connect(
        **libpq_arguments(address, encryption),
        autocommit=True,
        connect_timeout=max(1, round(patience)),
        prepare_threshold=2 if prepared else None,
        application_name=application,
        # PgBouncer takes no options, and needs none: what a session holds is not ours there.
        options=libpq_options(settings),
    )
    if not str(raw.info.parameter_status("DateStyle")).startswith("ISO"):
        raw.close()
        raise ConfigurationError(
            "PostgreSQL's DateStyle is not ISO for this role: ALTER ROLE ... RESET DateStyle"
        )
    raw.prepared_max = 500
    raw.adapters.register_loader("timestamptz", _MomentLoader)
    raw.adapters.register_loader("date", _DayLoader)
    raw.adapters.register_loader("time", _TimeLoader)
    set_json_loads(orjson.loads, raw)
    return PsycopgConnection(raw)


def unreachable(error: Exception, address: ServerAddress, how: Encryption) -> Exception:
    """Return what a failure of `connect` means; a bug's error as it is."""
    if not isinstance(error, psycopg.OperationalError):
        return error
    session = error.pgconn
    asked = session is not None and (session.used_password or session.needs_password)
    code = refusal_code(address, how.context, _PATIENCE)
    if code == _CLEARTEXT and how.context is None and address.password:
        return cleartext_error("PostgreSQL", address)
    refused = is_refused_sqlstate(code) or bool(asked and not code)
    return connect_error("PostgreSQL", address, refused=refused, code=code, said=error)


def refusal_code(address: ServerAddress, context: ssl.SSLContext | None, patience: float) -> str:
    """Return the SQLSTATE of a server that refuses *address* before it has asked for a password.

    '' when it refuses nothing so far, or does not answer within *patience* seconds; _CLEARTEXT
    when it asks for the password itself. It is asked as the connection was, encrypted with
    *context* or plain. The start of a session is that of PostgreSQL's protocol 3.0.
    """
    words = ("user", address.user, "database", address.database, "")
    body = struct.pack("!i", _PROTOCOL_3) + b"".join(word.encode() + b"\0" for word in words)
    try:
        with _link(address, context, patience) as link:
            link.sendall(struct.pack("!i", len(body) + 4) + body)
            with link.makefile("rb") as answers:
                while True:
                    kind, length = struct.unpack("!ci", answers.read(5))
                    if kind not in b"ERSKN" or not 4 <= length <= _LONGEST:
                        return ""
                    message: bytes = answers.read(length - 4)
                    if kind == b"R" and message[:4] != b"\0\0\0\0":
                        return _CLEARTEXT if message[:4] == CLEARTEXT_METHOD else ""
                    if kind == b"E":
                        fields = {part[:1]: part[1:] for part in message.split(b"\0")}
                        return fields.get(b"C", b"").decode("ascii", "replace")
    except (OSError, struct.error):
        return ""


class _DayLoader(DateLoader):
    """Days; those beyond Python's as text."""

    def load(self, data: Any) -> date | str:  # type: ignore[override]  # what no date holds
        try:
            return super().load(data)
        except psycopg.DataError:
            return str(data, "ascii")


class _TimeLoader(TimeLoader):
    """Times of a day; 24:00 as text."""

    def load(self, data: Any) -> time | str:  # type: ignore[override]  # what no time holds
        try:
            return super().load(data)
        except psycopg.DataError:
            return str(data, "ascii")


def _link(address: ServerAddress, context: ssl.SSLContext | None, patience: float) -> socket.socket:
    link = _reach(address, patience)
    try:
        return link if context is None else _encrypted(link, context, address.host)
    except BaseException:
        link.close()
        raise


def _reach(address: ServerAddress, patience: float) -> socket.socket:
    if address.host.startswith("/"):
        return open_socket(f"{address.host}/.s.PGSQL.{address.port}", patience)
    return socket.create_connection((address.host, address.port), timeout=patience)


def _encrypted(link: socket.socket, context: ssl.SSLContext, host: str) -> socket.socket:
    link.sendall(struct.pack("!ii", 8, _TLS_REQUEST))
    if link.recv(1) != b"S":
        raise ConnectionError("the server offers no TLS")
    return context.wrap_socket(link, server_hostname=host)


class _MomentLoader(Loader):
    """Instants as those of `datetime.UTC`, which is the session's zone but behind PgBouncer."""

    def load(self, data: Any) -> datetime | str:
        try:
            found = datetime.fromisoformat(str(data, "ascii"))
        except ValueError:  # which row and field it is of is known where rows are made
            return str(data, "ascii")
        return found if found.tzinfo is UTC else found.astimezone(UTC)
