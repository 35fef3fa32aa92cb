"""The main job, unchanged, with nothing but the URLs pointing at real servers."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from cli.agreement import disagreements
from cli.program import apart, environment, finish, here, start
from cli.test_crashes import PATIENT, kill_often
from dynamodb_servers import store_url
from holdfast.jobs import Job
from holdfast.media import MEDIA_ENTITIES
from holdfast.sync import open_store
from objects.s3_servers import new_name, options_of, remove
from servers import database_on

PLACES = [("postgresql", "minio"), ("mariadb", "versity"), ("dynamodb", "minio")]


@contextmanager
def records_on(database):
    """Yield the URL of an empty store there, and leave nothing of it."""
    if database != "dynamodb":
        with database_on(database) as url:
            yield url
        return
    url = store_url("dynoxide", uuid4().hex)
    yield url
    with open_store(url, [*MEDIA_ENTITIES, Job]) as store:
        store.drop_schema()


@pytest.fixture(params=PLACES, ids="+".join)
def served(request, monkeypatch):
    """The environment of a platform whose records and objects lie on servers."""
    database, objects = request.param
    options = options_of(objects)
    bucket = new_name()
    with records_on(database) as store:
        settings = {
            "HOLDFAST_STORE": store,
            "HOLDFAST_BUCKET": f"{bucket}?endpoint_url={options.endpoint_url}&create=true",
            "AWS_ACCESS_KEY_ID": options.credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": options.credentials.secret_key,
            "AWS_REGION": "us-east-1",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield environment(**settings)
        remove(bucket, options)


def found_in(data):
    """What people look at, without what differs from run to run."""
    videos = here("videos", "--json", "--data", data).json
    clips = here("clips", "--json", "--data", data).json
    return (
        sorted((video["filename"], video["sha256"], str(video["summary"])) for video in videos),
        sorted((clip["start_frame"], clip["end_frame"], clip["tracks"]) for clip in clips),
    )


@pytest.fixture(scope="module")
def files(films):
    return [films / "a.mp4", films / "c.avi", films / "middle.mp4"]


@pytest.fixture(scope="module")
def found_in_a_folder(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder")
    with pytest.MonkeyPatch.context() as patched:
        for name in ("HOLDFAST_STORE", "HOLDFAST_BUCKET"):
            patched.delenv(name, raising=False)
        assert here("ingest", *files, "--data", folder).code == 0
        assert here("worker", "--once", "--data", folder).code == 0
        return found_in(folder)


def test_the_main_job_finds_on_servers_what_it_finds_in_a_folder(
    files, found_in_a_folder, tmp_path, served
):
    assert here("ingest", *files, "--data", tmp_path / "served").code == 0
    workers = [
        start("worker", "--once", "--data", tmp_path / f"w{n}", env=served) for n in range(2)
    ]
    assert [finish(worker).code for worker in workers] == [0, 0]
    assert disagreements(tmp_path / "served") == []
    assert found_in(tmp_path / "served") == found_in_a_folder
    report = tmp_path / "report.html"
    assert here("report", "a.mp4", "-o", report, "--data", tmp_path / "other").code == 0
    assert report.stat().st_size > 10_000


def test_killed_at_random_moments_and_repeated_it_leaves_one_of_everything(
    films, tmp_path, served, monkeypatch
):
    monkeypatch.setenv(*PATIENT)
    # The lease is that of the killed, not of who ends their work.
    quick = {**served, "HOLDFAST_LEASE": "1", **dict([PATIENT])}
    for command in (("ingest", films / "middle.mp4"), ("worker", "--once")):
        kill_often(partial(start, *command, "--data", tmp_path, env=quick), 1.0)
        assert here(*command, "--data", tmp_path).code == 0
    assert disagreements(tmp_path) == []


def _nowhere(store):
    if store.startswith("dynamodb:"):
        return f"{store.partition('?')[0]}?endpoint_url=http://127.0.0.1:9&attempts=2"
    return urlsplit(store)._replace(netloc="user:secret@127.0.0.1:9").geturl()


def test_a_server_that_is_not_there_is_one_line(tmp_path, served):
    nowhere = _nowhere(served["HOLDFAST_STORE"])
    ran = apart(
        "videos",
        "--data",
        tmp_path,
        env={**served, "HOLDFAST_STORE": nowhere},
    )
    assert ran.code == 6, ran.err
    assert ran.err.count("\n") == 1
    assert "127.0.0.1:9" in ran.err
    assert "secret" not in ran.err
