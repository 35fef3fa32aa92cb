"""What mypy and pyright refuse of an application: the lines that say so, and no others."""

from typing import Annotated

from fastapi import FastAPI, Query

import holdfast.fastapi as hf
from holdfast import Entity, Field, Page, field, key


class Video(Entity, table="videos"):
    id: Field[int] = key()
    title: Field[str]
    duration: Field[float] = field(default=0.0)


class Tag(Entity, table="tags"):
    id: Field[int] = key()


class VideoOut(hf.OutModel[Video]): ...


class VideoQuery(hf.ListQuery[Video]): ...


app = FastAPI()


@app.get("/a")
async def a(videos: hf.Repo[Video], tx: hf.Writing, match: hf.IfMatch) -> VideoOut:
    await videos.add(Tag(id=1))  # refused
    await videos.patch(1, Video.duration.to("x"))  # refused
    await videos.delete(1, version=str(match))  # refused
    tx.commit()  # refused
    return await videos.get_one(1)  # refused


@app.get("/b")
def b(videos: hf.SyncRepo[Video], one: hf.FromPath[Video]) -> str:
    print(videos.get_one(1).name)  # refused
    return one.duration  # refused


@app.get("/c")
async def c(q: Annotated[VideoQuery, Query()], tags: hf.Repo[Tag]) -> Page[VideoOut]:
    return await q.page(tags, VideoOut)  # refused
