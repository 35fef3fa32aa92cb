"""The service: `uvicorn --factory vidsvc.app:create_app`."""

from fastapi import Depends, FastAPI

import holdfast.fastapi as hf
from holdfast.audit import AuditHook
from vidsvc.models import ENTITIES
from vidsvc.routes import acts, router
from vidsvc.work import handlers


def create_app(
    store: str = "sqlite:///vidsvc.db",
    bucket: str = "file:///tmp/vidsvc",
    cache: str = "memory://",
    worker: bool = True,
) -> FastAPI:
    app = FastAPI(title="Videos", dependencies=[Depends(acts)])
    hf.Holdfast(
        app,
        store=store,
        entities=ENTITIES,
        hooks=[AuditHook()],
        bucket=bucket,
        cache=cache,
        worker=handlers(app) if worker else None,
        options=hf.HTTPOptions(create_schema=True),
    )
    app.include_router(router)
    return app
