"""What MariaDB's error numbers mean."""

LOST = frozenset({1053, 1152, 1158, 1159, 1160, 1161, 1927, 2003, 2006, 2013, 2014, 2055})
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
    "1969": "statement timeout",
    "1792": "read only",
    "1290": "read only",
    "1048": "other row",
    "1021": "storage",
    "1114": "storage",
    "1040": "unavailable",
    "1203": "unavailable",
    "1041": "unavailable",
    "1037": "unavailable",
}
