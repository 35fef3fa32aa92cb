"""Schemathesis, which makes requests from the OpenAPI, finds nothing on a `crud_router`."""

import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI

import holdfast.fastapi as hf
from http_entities import Project, Video
from http_serving import served


class VideoQuery(
    hf.ListQuery[Video],
    filters=[
        Video.status,
        Video.title.icontains,
        Video.duration.between,
        Video.views.in_,
        Video.project_id.is_null,
        Video.price,
    ],
    sorts=[Video.created_at.desc(), Video.title, Video.price],
): ...


# Schemathesis reads 64-bit bounds as floats, and makes larger integers in JSON of any shape.
OUT_OF_ITS_REACH = [Video.views, Video.attributes]


class VideoCreate(hf.CreateModel[Video], hide=OUT_OF_ITS_REACH): ...


class VideoPatch(hf.PatchModel[Video], hide=OUT_OF_ITS_REACH): ...


def application(url):
    app = FastAPI(title="Videos", version="1")
    hf.Holdfast(
        app, store=url, entities=[Project, Video], options=hf.HTTPOptions(create_schema=True)
    )
    models = hf.CrudModels(create=VideoCreate, patch=VideoPatch, query=VideoQuery)
    videos = hf.crud_router(Video, models=models, include=[Video.project])
    app.include_router(videos, prefix="/videos")
    app.include_router(hf.crud_router(Project, include=[Project.videos]), prefix="/projects")
    return app


# A made-up key, reference, tag or cursor is a request like any other, and is answered as such.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = [200, 201, 204, 304, 400, 404, 409, 412]
"""


@pytest.mark.parametrize(
    ("backend", "phases"), [("memory", "coverage"), ("sqlite", "fuzzing,stateful")]
)
def test_nothing_is_found(backend, phases, tmp_path):
    url = "memory://" if backend == "memory" else f"sqlite:///{tmp_path}/app.db"
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with served(application(url)) as address:
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                *("--config-file", tmp_path / "schemathesis.toml"),
                *("run", f"{address}/openapi.json"),
                *("--phases", phases),
                *("--max-examples", "5", "--seed", "1", "--generation-database", "none"),
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
