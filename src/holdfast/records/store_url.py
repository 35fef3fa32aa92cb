"""The names of backends in the URLs of stores."""

from __future__ import annotations

from types import MappingProxyType

from holdfast.backend_url import BackendURL, parse_url

SCHEMES = ("dynamodb", "mariadb", "memory", "mysql", "postgresql", "sqlite")

_MYSQL_DRIVERS = ("asyncmy", "aiomysql", "pymysql", "mysqldb")
_ALIASES = MappingProxyType(
    {"postgres": "postgresql"}
    | {
        f"{name}+{driver}": scheme
        for scheme, names, drivers in (
            ("postgresql", ("postgres", "postgresql"), ("asyncpg", "psycopg", "psycopg2")),
            ("mariadb", ("mariadb",), _MYSQL_DRIVERS),
            ("mysql", ("mysql",), _MYSQL_DRIVERS),
            ("sqlite", ("sqlite",), ("aiosqlite", "pysqlite")),
        )
        for name in names
        for driver in drivers
    }
)
"""Names that other libraries use. The driver they name makes no difference: Holdfast has its own
for awaiting code and for blocking code."""


def parse_store_url(url: str) -> BackendURL:
    """Return the parts of *url*, its scheme being one of SCHEMES.

    Raises ConfigurationError for another scheme, and for what can't be read.
    """
    return parse_url(url, SCHEMES, _ALIASES)
