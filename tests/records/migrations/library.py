"""One service's entities over time: the first version, the second, and odd ones."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from holdfast import Entity, Field, created_at, field, generated_key, key, ref, uuid7, version

ODD_TEXT = "50% 'of' \\ \"all\" :x %s"


def first():
    class Project(Entity, table="projects"):
        id: Field[int] = generated_key()
        name: Field[str] = field(max_length=100, unique=True)

    class Video(Entity, table="videos", indexes=[("filename",)]):
        id: Field[UUID] = key(default_factory=uuid7)
        project_id: Field[int] = ref(Project, on_delete="cascade")
        filename: Field[str] = field(max_length=100)
        duration: Field[float]
        price: Field[Decimal | None] = field(digits=(8, 2), default=None)
        note: Field[str | None] = field(default=None)
        made: Field[datetime | None] = field(default=None)
        created_at: Field[datetime] = created_at()
        version: Field[int] = version()

    class Old(Entity, table="olds"):
        id: Field[int] = key()
        token: Field[UUID]

    return [Project, Video, Old]


def second():
    """Columns come, go and change, with limits, references and indexes; a table comes, one goes."""

    class Project(Entity, table="projects"):
        id: Field[int] = generated_key()
        name: Field[str] = field(max_length=200, unique=True)
        owner: Field[str] = field(default=ODD_TEXT)
        created_at: Field[datetime] = created_at()

    class Video(Entity, table="videos", indexes=[("rating",)]):
        id: Field[UUID] = key(default_factory=uuid7)
        project_id: Field[int] = ref(Project, on_delete="cascade")
        parent_id: Field[UUID | None] = ref("Video", default=None)
        filename: Field[str] = field(max_length=100, unique=True)
        duration: Field[float | None]
        rating: Field[int] = field(default=3)
        cost: Field[Decimal] = field(digits=(6, 3), default=Decimal("1.5"))
        ratio: Field[float] = field(default=0.25)
        seen: Field[bool] = field(default=True)
        token: Field[UUID] = field(default=UUID(int=7))
        data: Field[bytes] = field(default=b"\x00\xff'")
        tags: Field[dict[str, object]] = field(default_factory=dict)
        made: Field[datetime | None] = field(default=None)
        created_at: Field[datetime] = created_at()
        version: Field[int] = version()

    class Clip(Entity, table="clips"):
        id: Field[int] = generated_key()
        video_id: Field[UUID] = ref(Video)
        share: Field[Decimal] = field(digits=(4, 3))

    class Cover(Entity, table="covers"):
        project_id: Field[int] = ref(Project, key=True, on_delete="cascade")
        video_id: Field[UUID] = ref(Video, key=True)
        place: Field[int] = field(default=0)

    return [Project, Video, Clip, Cover]


class Egg(Entity, table="eggs"):
    id: Field[int] = generated_key()
    hen_id: Field[int | None] = ref("Hen", default=None)


class Hen(Entity, table="hens"):
    id: Field[int] = generated_key()
    egg_id: Field[int | None] = ref(Egg, default=None)


class Note(Entity, table="notes"):
    """What the tests of opening and of drift are about."""

    id: Field[int] = generated_key()
    title: Field[str] = field(max_length=50, unique=True)
    text: Field[str | None] = field(default=None)
    size: Field[int] = field(default=0)


class NoteToo(Entity, table="notes_too", indexes=[("size",)]):
    id: Field[int] = generated_key()
    note_id: Field[int] = ref(Note)
    size: Field[int] = field(default=0)
