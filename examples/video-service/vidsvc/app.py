"""The service: `uvicorn --factory vidsvc.app:create_app`."""

from fastapi import FastAPI

import holdfast.fastapi as hf
from holdfast.jobs import Job
from vidsvc.models import ENTITIES
from vidsvc.routes import router
from vidsvc.work import handlers

ALL = [*ENTITIES, Job]


def create_app(
    store: str = "sqlite:///vidsvc.db",
    bucket: str = "file:///tmp/vidsvc",
    cache: str = "memory://",
    worker: bool = True,
) -> FastAPI:
    app = FastAPI(title="Videos")
    jobs, options = (handlers(app) if worker else None), hf.HTTPOptions(create_schema=True)
    hf.Holdfast(
        app, store=store, bucket=bucket, cache=cache, entities=ALL, worker=jobs, options=options
    )
    app.include_router(router)
    return app
