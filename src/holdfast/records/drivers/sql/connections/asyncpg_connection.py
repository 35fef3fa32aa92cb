"""PostgreSQL awaited, by asyncpg, with codecs for the types that rows have."""

from __future__ import annotations

import asyncio
import gc
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, SafeUUID

import asyncpg
import orjson

from holdfast.records.drivers.sql.connections.cleartext import (
    CleartextRefusedError,
    cleartext_error,
)
from holdfast.records.drivers.sql.connections.connecting_loop import ConnectingLoop
from holdfast.records.drivers.sql.failure import (
    LOST,
    Failure,
    FailureKind,
    connect_error,
    is_refused_sqlstate,
    sqlstate_failure,
)
from holdfast.uuid7 import set_int, set_safety

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.connections.encryption import Encryption
    from holdfast.records.drivers.sql.connections.server_address import ServerAddress


_SIGN_OF_LIFE = 30.0  # seconds between two of a connection that only listens, and for each


class AsyncpgConnection:
    """See `ServerConnection`. A cancelled call cancels its statement on the server."""

    driver = "asyncpg"

    def __init__(self, raw: asyncpg.Connection) -> None:
        self.raw = raw

    def fetch(
        self, sql: str, values: Sequence[object]
    ) -> Coroutine[object, None, Sequence[Sequence[object]]]:
        """Run one statement and return its rows."""
        found: Coroutine[object, None, Sequence[Sequence[object]]] = self.raw.fetch(sql, *values)
        return found  # not awaited here: a coroutine less on the way of each statement

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        """Run one statement and return how many rows it found."""
        tag: str = await self.raw.execute(sql, *values)
        return int(tag.rpartition(" ")[2])

    async def command(self, sql: str) -> str:
        """Run statements without parameters and return what the last one answered."""
        tag: str = await self.raw.execute(sql)
        return tag

    async def copy(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Add all *rows*, or none when one of them is refused."""
        try:
            await self.raw.copy_records_to_table(
                table.name, schema_name=table.schema, records=rows, columns=columns
            )
        except asyncpg.InternalClientError:
            # asyncpg had asked for an answer before it failed, and leaves it to nobody: when the
            # connection ends, asyncio would complain of a failure that no one looked at.
            for waiter in gc.get_referents(self.raw._protocol):  # noqa: SLF001 - the only way
                if isinstance(waiter, asyncio.Future):
                    waiter.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    async def listen(self, channel: str, heard: Callable[[str | None], None]) -> None:
        """See `Listening`. That the other side has vanished shows within a minute."""
        over = asyncio.Event()

        def told(_connection: object, _pid: int, _channel: str, text: object) -> None:
            heard(str(text))

        def ended(_connection: object) -> None:
            over.set()

        self.raw.add_termination_listener(ended)
        await self.raw.add_listener(channel, told)
        heard(None)
        while True:
            try:
                async with asyncio.timeout(_SIGN_OF_LIFE):
                    await over.wait()
            except TimeoutError:
                await self.raw.fetchval("SELECT 1", timeout=_SIGN_OF_LIFE)
            else:
                raise ConnectionResetError("the server has ended the connection")

    def failure(self, error: Exception) -> Failure | None:
        """Return what *error* was; None when neither the server nor the network said it."""
        if isinstance(error, asyncpg.InvalidCachedStatementError):
            return Failure(FailureKind.STALE_PLAN)
        if isinstance(error, asyncpg.PostgresError):
            code = str(getattr(error, "sqlstate", ""))
            constraint = getattr(error, "constraint_name", None)
            return sqlstate_failure(code, constraint, closed=self.raw.is_closed())
        if isinstance(error, OSError):
            return LOST
        if isinstance(error, asyncpg.InterfaceError) and self.raw.is_closed():
            return LOST
        # What a dying server says between two steps of a statement puts the protocol out of step;
        # what the connection would do next nobody knows.
        return LOST if isinstance(error, asyncpg.InternalClientError) else None

    def stale(self) -> bool:
        """Tell, without waiting, whether the other side has hung up already."""
        return bool(self.raw.is_closed())

    async def close(self) -> None:
        """End the session. Idempotent, and silent when nobody is there."""
        try:
            await self.raw.close(timeout=5)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.abandon()

    def abandon(self) -> None:
        """Let go of it at once."""
        self.raw.terminate()


async def connect(
    address: ServerAddress,
    *,
    settings: dict[str, str],
    patience: float,
    prepared: bool,
    encryption: Encryption,
    application: str,
) -> AsyncpgConnection:
    """Return a new connection, its types being those of `PostgreSQLDialect`."""
    loop: Any = ConnectingLoop(asyncio.get_running_loop(), screened=encryption.context is None)
    try:
        raw = await asyncpg.connect(
            loop=loop,
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            database=address.database,
            timeout=max(1, round(patience)),
            ssl=encryption.context or False,
            server_settings={**settings, "application_name": application},
            statement_cache_size=500 if prepared else 0,
        )
        for name, form, encode, decode in _CODECS:
            await raw.set_type_codec(
                name, schema="pg_catalog", encoder=encode, decoder=decode, format=form
            )
    except BaseException:
        loop.abort()
        raise
    return AsyncpgConnection(raw)


def unreachable(error: Exception, address: ServerAddress, _how: Encryption) -> Exception:
    """Return what a failure of `connect` means; a bug's error as it is."""
    if isinstance(error.__cause__ or error, CleartextRefusedError):
        return cleartext_error("PostgreSQL", address)
    if isinstance(error, asyncpg.PostgresError):
        code = str(getattr(error, "sqlstate", ""))
        refused = is_refused_sqlstate(code)
        return connect_error("PostgreSQL", address, refused=refused, code=code or "no code")
    if isinstance(error, (OSError, asyncpg.InterfaceError)):  # a TimeoutError is an OSError
        return connect_error("PostgreSQL", address, said=error)
    return error


_new, _UNKNOWN = UUID.__new__, SafeUUID.unknown
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(2000, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400_000_000  # microseconds


def _encode_uuid(value: UUID) -> bytes:
    return value.bytes


def _decode_uuid(data: bytes) -> UUID:
    # As `uuid7.uuid_from_int` does, whose call for each value would cost as much as the making.
    made = _new(UUID)
    set_int(made, int.from_bytes(data, "big"))
    set_safety(made, _UNKNOWN)
    return made


def _encode_jsonb(text: str) -> bytes:
    return b"\x01" + text.encode()


def _decode_jsonb(data: bytes) -> object:
    return orjson.loads(data[1:])


# asyncpg takes the first and the last moment and day for infinities, so it does not see them.


def _encode_moment(value: datetime) -> tuple[int]:
    return ((value - _EPOCH) // _MICROSECOND,)


def _decode_moment(parts: tuple[int]) -> datetime | str:
    try:
        return _EPOCH + _MICROSECOND * parts[0]
    except OverflowError:  # which row and field it is of is known where rows are made
        return f"{parts[0]} microseconds after 2000"


def _encode_day(value: date) -> tuple[int]:
    return (value.toordinal() - _FIRST_DAY,)


def _decode_day(parts: tuple[int]) -> date | str:
    try:
        return date.fromordinal(parts[0] + _FIRST_DAY)
    except (OverflowError, ValueError):
        return f"{parts[0]} days after 2000"


def _encode_time(value: time) -> tuple[int]:
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return (seconds * 1_000_000 + value.microsecond,)


def _decode_time(parts: tuple[int]) -> time | str:
    if parts[0] >= _DAY:  # PostgreSQL has 24:00
        return "24:00"
    return (_EPOCH + _MICROSECOND * parts[0]).time()


_CODECS: tuple[tuple[str, str, Callable[[Any], object], Callable[[Any], object]], ...] = (
    ("uuid", "binary", _encode_uuid, _decode_uuid),
    ("json", "binary", str.encode, orjson.loads),
    ("jsonb", "binary", _encode_jsonb, _decode_jsonb),
    ("timestamptz", "tuple", _encode_moment, _decode_moment),
    ("date", "tuple", _encode_day, _decode_day),
    ("time", "tuple", _encode_time, _decode_time),
)
