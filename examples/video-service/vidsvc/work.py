"""Background work."""

import hashlib
from uuid import UUID

from fastapi import FastAPI

import holdfast.fastapi as hf
from holdfast.jobs import Context, Handler, PermanentError
from vidsvc.models import Status, Video


def handlers(app: FastAPI) -> dict[str, Handler]:
    async def checksum(context: Context) -> None:
        service: hf.Holdfast = app.state.holdfast
        videos = service.store.repository(Video)
        video = await videos.get(UUID(str(context.payload["video"])))
        if video is None:
            raise PermanentError("the video is gone")
        digest = hashlib.sha256()
        async with service.bucket.open(video.object_key) as reader:
            async for window in reader:
                context.raise_if_cancelled()
                digest.update(window)
        sha256 = digest.hexdigest()
        async with service.store.transaction():
            changes = Video.sha256.to(sha256), Video.status.to(Status.READY)
            await videos.patch(video.id, *changes)
            await context.complete({"sha256": sha256})

    async def erase(context: Context) -> dict[str, object]:
        keys = context.payload["keys"]
        assert isinstance(keys, list)
        return {"erased": await app.state.holdfast.bucket.delete_many(keys)}

    return {"checksum": checksum, "erase": erase}
