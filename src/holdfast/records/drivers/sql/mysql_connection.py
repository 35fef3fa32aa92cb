"""What connections to MariaDB have in common, by whichever driver of MySQL's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from holdfast.errors import ConfigurationError
from holdfast.records.drivers.sql.cleartext import (
    REFUSED_PLUGINS,
    CleartextRefusedError,
    cleartext_error,
)
from holdfast.records.drivers.sql.failure import (
    LOST,
    connect_error,
    errno_failure,
    is_refused_errno,
    is_unreached_errno,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.encryption import Encryption
    from holdfast.records.drivers.sql.failure import Failure
    from holdfast.records.drivers.sql.server_address import ServerAddress

OLDEST = (10, 10)  # MariaDB 10.10, the first that knows today's letters


class MySQLCursor(Protocol):
    """A cursor whose calls are awaited."""

    @property
    def description(self) -> object:
        """What the columns of the current result are; None when it has no rows."""
        ...

    @property
    def rowcount(self) -> object:
        """How many rows the current statement found, an int."""
        ...

    async def execute(self, sql: str, values: tuple[object, ...] | None) -> int:
        """Run the statements of *sql* up to the first result; return how many rows it found."""
        ...

    async def fetchall(self) -> Sequence[Sequence[object]]:
        """Return the rows of the current result."""
        ...

    async def nextset(self) -> object:
        """Go on to the next statement's result; falsy when there is none."""
        ...


class MySQLConnection:
    """See `ServerConnection` and `SeveralAtOnce`."""

    errors: ClassVar[tuple[type[Exception], type[Exception], tuple[type[Exception], ...]]]
    """The driver's exceptions: any of its own, its protocol's, and the network's."""

    def __init__(self, cursor: MySQLCursor) -> None:
        self._cursor = cursor

    def is_open(self) -> bool:
        """Tell whether the driver believes that its connection stands."""
        raise NotImplementedError

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        """Run one statement and return its rows."""
        await self._cursor.execute(sql, tuple(values) or None)
        return await self._cursor.fetchall()

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        """Run one statement and return how many rows it found."""
        return await self._cursor.execute(sql, tuple(values) or None)

    async def command(self, sql: str) -> str:
        """Run statements without parameters; MariaDB answers nothing worth returning."""
        await self.several(sql, ())
        return ""

    async def several(
        self, sql: str, values: Sequence[object]
    ) -> list[tuple[int, Sequence[Sequence[object]]]]:
        """Run the statements of one text; return of each how many rows it found, and the rows."""
        cursor = self._cursor
        await cursor.execute(sql, tuple(values) or None)
        found: list[tuple[int, Sequence[Sequence[object]]]] = []
        while True:
            rows = await cursor.fetchall() if cursor.description else ()
            found.append((cast("int", cursor.rowcount), rows))
            if not await cursor.nextset():
                return found

    def failure(self, error: Exception) -> Failure | None:
        """Return what *error* was; None when neither the server nor the network said it."""
        ours, protocol, network = self.errors
        if isinstance(error, ours):
            code: object = error.args[0] if error.args else None
            if isinstance(code, int):
                return errno_failure(code, closed=not self.is_open())
            # A protocol error without a number: client and server are out of step.
            return LOST if isinstance(error, protocol) or not self.is_open() else None
        return LOST if isinstance(error, network) else None


def mysql_arguments(
    address: ServerAddress, encryption: Encryption, application: str
) -> dict[str, Any]:
    """Return the arguments by which asyncmy and PyMySQL log in at *address*.

    The password goes as UTF-8 bytes: as text they would encode it in Latin-1, or fail.
    """
    socket = address.host.startswith("/")
    return {
        "host": "localhost" if socket else address.host,
        "port": address.port,
        "unix_socket": address.host if socket else None,
        "program_name": application,
        "user": address.user,
        "password": (address.password or "").encode(),
        "database": address.database,
        "charset": "utf8mb4",
        "ssl": encryption.context,
        "auth_plugin_map": None if encryption.context else REFUSED_PLUGINS,
    }


def check_version(greeted: str) -> None:
    """Raise ConfigurationError unless a server that *greeted* so is a MariaDB, new enough.

    MariaDB puts 5.5.5 before its version, for replicas that know no other.
    """
    name = greeted.removeprefix("5.5.5-")
    expected = f"expected MariaDB {'.'.join(map(str, OLDEST))} or newer"
    if "MariaDB" not in name:
        raise ConfigurationError(
            f"the server is MySQL {name}, not MariaDB: {expected}. MySQL has no INSERT RETURNING, "
            "on which keys and upserts rest"
        )
    if tuple(map(int, name.partition("-")[0].split(".")[:2])) < OLDEST:
        raise ConfigurationError(f"the server is {name}: {expected}")


def unreachable_error(
    errors: tuple[type[Exception], type[Exception], tuple[type[Exception], ...]],
    error: Exception,
    address: ServerAddress,
) -> Exception:
    """Return what a failure to connect means, with *errors* those of a driver; a bug's as it is."""
    if isinstance(error, CleartextRefusedError):
        return cleartext_error("MariaDB", address)
    ours, _protocol, network = errors
    if isinstance(error, ours):
        code: object = error.args[0] if error.args else None
        if is_unreached_errno(code):
            return connect_error("MariaDB", address, said=error.args[-1])
        return connect_error(
            "MariaDB", address, refused=is_refused_errno(code), code=code or "no number"
        )
    if isinstance(error, network):
        return connect_error("MariaDB", address, said=error)
    return error
