"""What PostgreSQL's SQLSTATEs mean."""

ENDED = ("08", "57P01", "57P02", "57P05")  # beginnings: the connection is gone, or about to be
REFUSED = frozenset({"28000", "28P01", "3D000", "42501"})
MEANINGS = {
    "23505": "duplicate",
    "23503": "foreign key",
    "23001": "foreign key",  # of a reference that says RESTRICT
    "22003": "overflow",
    "42P01": "no table",
    "42703": "no column",
    "40001": "clash",
    "40P01": "clash",
    "55P03": "lock timeout",
    "57014": "stopped",
    "25006": "read only",
    "25P02": "aborted",
    "54001": "too deep",
    "53100": "storage",
    "58030": "storage",
    "28000": "refused",
    "28P01": "refused",
    "3D000": "refused",
    "57P03": "unavailable",
    "53300": "unavailable",
    "53200": "unavailable",
    "53400": "unavailable",
}
