"""The raw limit: one video row of 12 columns through the standard library's sqlite3, by hand.

Statements are written out, codecs are the fastest known, values are not checked. What a layer
above costs is what it takes beyond this.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from holdfast.uuid7 import uuid_from_int

if TYPE_CHECKING:
    import sqlite3
    from uuid import UUID


def parse_uuid(text: str) -> UUID:
    """Return the UUID that *text* spells in 36 characters."""
    return uuid_from_int(int(text.replace("-", ""), 16))


@dataclass(slots=True)
class RawVideo:
    id: UUID
    project_id: UUID
    filename: str
    title: str
    duration: float
    width: int
    height: int
    size: int
    attributes: dict[str, object]
    created_at: datetime
    updated_at: datetime
    version: int


NAMES = tuple(RawVideo.__dataclass_fields__)
COLUMNS = ", ".join(NAMES)
SCHEMA = (
    """CREATE TABLE videos (
        id TEXT NOT NULL PRIMARY KEY, project_id TEXT NOT NULL, filename TEXT NOT NULL,
        title TEXT NOT NULL, duration REAL NOT NULL, width INTEGER NOT NULL,
        height INTEGER NOT NULL, size INTEGER NOT NULL, attributes TEXT NOT NULL,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, version INTEGER NOT NULL) STRICT""",
    "CREATE INDEX ix_videos ON videos (project_id, created_at, id)",
)
GET = f"SELECT {COLUMNS} FROM videos WHERE id = ?"
FIND = (
    f"SELECT {COLUMNS} FROM videos WHERE project_id = ? AND duration >= ? "
    "ORDER BY created_at, id LIMIT ?"
)
PAGE = (
    f"SELECT {COLUMNS} FROM videos WHERE project_id = ? AND (created_at, id) > (?, ?) "
    "ORDER BY created_at, id LIMIT ?"
)
COUNT = "SELECT count(*) FROM videos WHERE project_id = ?"
INSERT = f"INSERT INTO videos ({COLUMNS}) VALUES ({', '.join('?' * len(NAMES))})"
_SET = ", ".join(f"{name} = ?" for name in NAMES if name not in ("id", "created_at"))
UPDATE = f"UPDATE videos SET {_SET} WHERE id = ? AND version = ? RETURNING {COLUMNS}"
_EXCLUDED = ", ".join(
    f"{name} = excluded.{name}" for name in NAMES if name not in ("id", "created_at", "version")
)
UPSERT = (
    f"{INSERT} ON CONFLICT (id) DO UPDATE SET {_EXCLUDED}, version = version + 1 "
    f"RETURNING {COLUMNS}"
)


def pragmas(synchronous: str) -> tuple[str, ...]:
    return (
        "PRAGMA journal_mode = WAL",
        f"PRAGMA synchronous = {synchronous}",
        "PRAGMA foreign_keys = ON",
        "PRAGMA temp_store = MEMORY",
    )


def decode(rows):
    """Return the videos in *rows*."""
    parse_time, parse_json = datetime.fromisoformat, orjson.loads
    return [
        RawVideo(
            parse_uuid(a), parse_uuid(b), c, d, e, f, g, h, parse_json(i),
            parse_time(j + "+00:00"), parse_time(k + "+00:00"), m,
        )
        for a, b, c, d, e, f, g, h, i, j, k, m in rows
    ]  # fmt: skip


def text(moment: datetime) -> str:
    return moment.isoformat(" ", "microseconds")[:26]


def encode(video: RawVideo, now: datetime, version: int):
    moment = text(now)
    return (
        str(video.id), str(video.project_id), video.filename, video.title, video.duration,
        video.width, video.height, video.size, orjson.dumps(video.attributes).decode(),
        moment, moment, version,
    )  # fmt: skip


def stored(video: RawVideo, now: datetime) -> RawVideo:
    """Return a copy of *video* as it was inserted."""
    return RawVideo(
        video.id, video.project_id, video.filename, video.title, video.duration, video.width,
        video.height, video.size, orjson.loads(orjson.dumps(video.attributes)), now, now, 1,
    )  # fmt: skip


def get(connection: sqlite3.Connection, key: UUID) -> RawVideo | None:
    found = connection.execute(GET, (str(key),)).fetchall()
    return decode(found)[0] if found else None


def find(connection, project, shortest, limit):
    return decode(connection.execute(FIND, (str(project), shortest, limit)).fetchall())


def page(connection, project, after, size):
    moment, key = after
    values = (str(project), text(moment), str(key), size + 1)
    return decode(connection.execute(PAGE, values).fetchall())


def count(connection, project):
    return connection.execute(COUNT, (str(project),)).fetchone()[0]


def add(connection, video):
    now = datetime.now(UTC)
    connection.execute(INSERT, encode(video, now, 1))
    return stored(video, now)


def add_many(connection, videos):
    now = datetime.now(UTC)
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INSERT, [encode(video, now, 1) for video in videos])
    connection.execute("COMMIT")
    return [stored(video, now) for video in videos]


def update(connection, video):
    encoded = encode(video, datetime.now(UTC), video.version + 1)
    values = (*encoded[1:9], *encoded[10:], encoded[0], video.version)
    return decode(connection.execute(UPDATE, values).fetchall())[0]


def upsert_many(connection, videos):
    now = datetime.now(UTC)
    connection.execute("BEGIN IMMEDIATE")
    rows = []
    for video in videos:
        rows += connection.execute(UPSERT, encode(video, now, 1)).fetchall()
    connection.execute("COMMIT")
    return decode(rows)
