"""What MariaDB's error numbers mean, and which server is one."""

from __future__ import annotations

from holdfast.errors import ConfigurationError

OLDEST = (10, 10)  # MariaDB 10.10, the first that knows today's letters

LOST = frozenset({1053, 1152, 1158, 1159, 1160, 1161, 1927, 2003, 2006, 2013, 2014, 2055})
UNREACHED = frozenset({2002, 2003, 2005, 2013})
REFUSED = frozenset({1044, 1045, 1049, 1130, 1698})
MEANINGS = {
    "1062": "duplicate",
    "1586": "duplicate",
    "1451": "foreign key",
    "1452": "foreign key",
    "1264": "overflow",
    "1690": "overflow",
    "1146": "no table",
    "1054": "no column",
    "1213": "clash",
    "1020": "clash",
    "1205": "lock timeout",
    "1969": "stopped",
    "1317": "stopped",
    "1792": "read only",
    "1290": "read only",
    "1048": "other row",
    "1021": "storage",
    "1114": "storage",
    "1153": "too large",
    "1296": "too deep",  # InnoDB's own word for more than 15 levels of cascades
    "1040": "unavailable",
    "1203": "unavailable",
    "1041": "unavailable",
    "1037": "unavailable",
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
