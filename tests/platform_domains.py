"""A domain of a user's own, with all that a domain can bring."""

from contextlib import asynccontextmanager
from uuid import UUID

import typer
from fastapi import APIRouter

from holdfast import Entity, Field, field, key, uuid7
from holdfast.health import Health, HealthState
from holdfast.jobs import Jobs
from holdfast.platform import Domain


class Note(Entity, table="notes"):
    """A note."""

    id: Field[UUID] = key(default_factory=uuid7)
    text: Field[str] = field(max_length=500)


class Notes:
    """Notes in a store, their longer versions in a bucket."""

    def __init__(self, parts):
        self.notes = parts.store.repository(Note)
        self.place = parts.buckets["logs"]
        self.jobs = parts.service(Jobs)
        self.closed = False

    async def add(self, text):
        note = await self.notes.add(Note(text=text))
        await self.place.bucket.put(self.place.key(f"{note.id}.txt"), text.encode())
        await self.jobs.enqueue("count-words", {"note": str(note.id)})
        return note


@asynccontextmanager
async def opened(parts):
    notes = Notes(parts)
    try:
        yield notes
    finally:
        notes.closed = True


def handlers(parts):
    notes = parts.service(Notes)

    async def count_words(context):
        note = await notes.notes.get_one(UUID(context.payload["note"]))
        return len(note.text.split())

    return {"count-words": count_words}


def routes(parts):
    router = APIRouter(prefix="/notes")
    notes = parts.service(Notes)

    @router.post("")
    async def add(text: str) -> dict[str, str]:
        return {"id": str((await notes.add(text)).id)}

    return router


def commands():
    app = typer.Typer(help="Notes of one's own.")

    @app.command()
    def greet(name: str) -> None:
        """Greet NAME."""
        typer.echo(f"hello {name}")

    @app.command()
    def part(name: str) -> None:
        """Say goodbye to NAME."""
        typer.echo(f"goodbye {name}")

    return app


async def health(parts):
    parts.service(Notes)
    return Health(HealthState.DEGRADED, 0.0, "few notes")


NOTES = Domain(
    name="notes",
    requires=("jobs",),
    entities=(Note,),
    service=opened,
    handlers=handlers,
    routes=routes,
    commands=commands,
    health=health,
)
