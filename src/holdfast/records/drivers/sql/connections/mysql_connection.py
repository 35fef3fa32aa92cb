"""What connections to MariaDB and MySQL have in common, by whichever driver of their protocol."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from holdfast.errors import ConfigurationError
from holdfast.records.drivers.sql.connections.cleartext import (
    REFUSED_PLUGINS,
    CleartextRefusedError,
    PasswordKey,
    cleartext_error,
)
from holdfast.records.drivers.sql.connections.encryption import is_this_machine
from holdfast.records.drivers.sql.failure import (
    LOST,
    Failure,
    FailureKind,
    connect_error,
    errno_failure,
    is_refused_errno,
    is_unreached_errno,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.connections.encryption import Encryption
    from holdfast.records.drivers.sql.connections.server_address import ServerAddress


@dataclass(frozen=True, slots=True)
class Product:
    """One of the two databases that speak the protocol; *scheme* is that of its URLs."""

    name: str
    scheme: str
    oldest: tuple[int, ...]

    def check(self, greeted: str) -> None:
        """Raise ConfigurationError unless a server that *greeted* so is this one, new enough.

        MariaDB puts 5.5.5 before its version, for replicas that know no other.
        """
        version = greeted.removeprefix("5.5.5-")
        found = MARIADB if "MariaDB" in version else MYSQL
        if found is not self:
            raise ConfigurationError(
                f"the server is {found.name} {version.partition('-')[0]}, not {self.name}: write "
                f"{found.scheme}:// instead of {self.scheme}:// in the URL"
            )
        numbers = _LEADING_NUMBERS.match(version)
        if numbers is None or tuple(map(int, numbers[0].split("."))) < self.oldest:
            expected = ".".join(map(str, self.oldest))
            raise ConfigurationError(
                f"the server is {version}: expected {self.name} {expected} or newer"
            )


_LEADING_NUMBERS = re.compile(r"\d+(\.\d+)*")
MARIADB = Product("MariaDB", "mariadb", (10, 10))  # the first that knows today's letters
MYSQL = Product("MySQL", "mysql", (8, 0, 19))  # the first that names the row which is upserted


@dataclass(frozen=True, slots=True)
class SessionStart:
    """How the sessions with a server begin: *greeting* is the first statement of each.

    *patience* is in seconds. *public_key* is the server's RSA key where one knows it: see
    `PasswordKey`.
    """

    product: Product
    greeting: str
    application: str
    patience: float
    public_key: bytes | None = None

    @property
    def whole_seconds(self) -> int:
        """The patience as the drivers take it."""
        return max(1, round(self.patience))


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

    @property
    def lastrowid(self) -> object:
        """The number that the last insertion gave, an int."""
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
    """See `ServerConnection`, `SeveralAtOnce` and `Numbering`."""

    errors: ClassVar[tuple[type[Exception], type[Exception], tuple[type[Exception], ...]]]
    """The driver's exceptions: any of its own, its protocol's, and the network's."""

    def __init__(self, cursor: MySQLCursor) -> None:
        self._cursor = cursor

    def is_open(self) -> bool:
        """Return whether the driver believes that its connection stands."""
        raise NotImplementedError

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        """Run one statement and return its rows."""
        await self._cursor.execute(sql, tuple(values) or None)
        return await self._cursor.fetchall()

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        """Run one statement and return how many rows it found."""
        return await self._cursor.execute(sql, tuple(values) or None)

    async def insert(self, sql: str, values: Sequence[object]) -> int:
        """Run the insertion of a row without a key and return the number that the server gave."""
        await self._cursor.execute(sql, tuple(values))
        return cast("int", self._cursor.lastrowid)

    async def command(self, sql: str) -> str:
        """Run statements without parameters; the server answers nothing worth returning."""
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
                return _told(errno_failure(code, closed=not self.is_open()), error)
            # A protocol error without a number: client and server are out of step.
            return LOST if isinstance(error, protocol) or not self.is_open() else None
        return LOST if isinstance(error, network) else None


_VALUE_OF = re.compile(r"(Data too long|Incorrect uuid value).* column .*?[`']([^`']+)[`'] at row")


_CHECK_OF = re.compile(r"(?:Check constraint '|CONSTRAINT `)(.+)(?:' is violated|` failed for )")


def _told(found: Failure, error: Exception) -> Failure:
    """Return *found* with what *error* names: a column that can't hold a value, or a check."""
    text = str(error.args[-1])
    if found.kind is FailureKind.CHECK:
        check = _CHECK_OF.match(text)
        return found if check is None else replace(found, constraint=check[1])
    told = _VALUE_OF.match(text)
    return found if told is None else Failure(FailureKind.UNHELD_VALUE, detail=told[2])


def mysql_arguments(
    address: ServerAddress, encryption: Encryption, start: SessionStart
) -> dict[str, Any]:
    """Return the arguments by which asyncmy and PyMySQL log in at *address*.

    The password goes as UTF-8 bytes: as text they would encode it in Latin-1, or fail.
    """
    socket = address.host.startswith("/")
    return {
        "host": "localhost" if socket else address.host,
        "port": address.port,
        "unix_socket": address.host if socket else None,
        "program_name": start.application,
        "user": address.user,
        "password": (address.password or "").encode(),
        "database": address.database,
        "charset": "utf8mb4",
        "ssl": encryption.context,
        "auth_plugin_map": None if encryption.context else REFUSED_PLUGINS,
        "connect_timeout": start.whole_seconds,
    }


def password_key(address: ServerAddress, start: SessionStart) -> PasswordKey:
    """Return which key a password may be encrypted for at *address*."""
    return PasswordKey(start.public_key, here=is_this_machine(address.host))


def unreachable_error(
    errors: tuple[type[Exception], type[Exception], tuple[type[Exception], ...]],
    error: Exception,
    address: ServerAddress,
    product: Product,
) -> Exception:
    """Return what a failure to connect means, with *errors* those of a driver; a bug's as it is."""
    if isinstance(error, CleartextRefusedError):
        return cleartext_error(product.name, address, error)
    ours, _protocol, network = errors
    if isinstance(error, ours):
        code: object = error.args[0] if error.args else None
        if is_unreached_errno(code):
            return connect_error(product.name, address, said=error.args[-1])
        return connect_error(
            product.name, address, refused=is_refused_errno(code), code=code or "no number"
        )
    if isinstance(error, network):
        return connect_error(product.name, address, said=error)
    return error
