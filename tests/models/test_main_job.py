"""The main job with a registered model: what it finds, and what is kept of which model it was."""

import pytest

from holdfast.errors import ConfigurationError
from holdfast.jobs import JobStatus, Worker
from holdfast.media.entities import Clip, Video
from holdfast.media.report.video_report import report_video
from holdfast.models import ModelRegistry, VersionDetails
from holdfast.platform import open_platform
from holdfast.settings import Settings
from models.onnx_writer import CLASSES, Network
from models.test_onnx_detector import vehicles_film

pytestmark = pytest.mark.anyio


async def work(platform):
    await Worker(platform.jobs, platform.handlers).run(until="idle")


async def test_a_promotion_changes_the_detector_from_the_next_job_on(tmp_path):
    film = vehicles_film(tmp_path / "vehicles.mp4", frames=30)
    settings = Settings(data=tmp_path / "data", detector="vehicles@prod")
    async with open_platform(settings) as platform:
        registry, library = platform.service(ModelRegistry), platform.library
        networks = [Network().write(tmp_path / "a.onnx"), Network("v10").write(tmp_path / "b.onnx")]
        one, other = [
            (
                await registry.register("vehicles", path, VersionDetails(metrics={"mAP": 0.9}))
            ).version
            for path in networks
        ]
        await registry.promote(one, "prod")
        video = (await library.ingest(film, project="Gate")).video
        await work(platform)
        job = await platform.jobs.get(video.job_id)
        assert job.status is JobStatus.SUCCEEDED, job.error
        video = await library.videos.get_one(video.id)
        assert (video.summary["model"], video.summary["tracks"]) == ("vehicles:1", 2)
        assert video.summary["model_digest"] == f"sha256:{one.digest}"
        assert await library.clips.count(Clip.video_id == video.id) == 1
        page = tmp_path / "report.html"
        await report_video(library, video, page, platform.settings.work_folder)
        said = page.read_text()
        assert "vehicles:1" in said
        assert all(name in said for name in CLASSES)

        await registry.promote(other, "prod")
        again = await library.detect(video)
        await registry.use(other, again.id)
        await registry.withdraw("vehicles", "prod")
        with pytest.raises(Exception, match=f"job {again.id}"):
            await registry.delete(other)
        await registry.promote(other, "prod")
        await work(platform)
        video = await library.videos.get_one(video.id)
        assert video.summary["model_digest"] == f"sha256:{other.digest}"
        assert await registry.delete(one), "no job works with it any more"
        assert (await library.videos.count(Video.id == video.id)) == 1


async def test_a_job_waits_for_a_model_that_is_not_there_yet(tmp_path):
    film = vehicles_film(tmp_path / "vehicles.mp4", frames=5)
    settings = Settings(data=tmp_path / "data", detector="vehicles@prod")
    async with open_platform(settings) as platform:
        video = (await platform.library.ingest(film, project="Gate")).video
        await Worker(platform.jobs, platform.handlers).run(until="one")
        job = await platform.jobs.get(video.job_id)
        assert (job.status, "vehicles" in job.error) == (JobStatus.QUEUED, True)


@pytest.mark.parametrize(
    "settings", [{"detector": "no such@"}, {"detector": "a@b", "domains": ("jobs", "media")}]
)
async def test_a_setting_that_names_no_model_is_refused_when_work_begins(tmp_path, settings):
    async with open_platform(Settings(data=tmp_path, **settings)) as platform:
        with pytest.raises(ConfigurationError):
            _ = platform.handlers
