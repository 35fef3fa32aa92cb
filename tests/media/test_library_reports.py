from datetime import timedelta

import pytest

from holdfast.errors import IntegrityError, NotFoundError
from holdfast.jobs import Worker
from holdfast.media.report.video_report import read_summary, report_video
from holdfast.media.vision.analysis import SUMMARY, analyse
from holdfast.media.vision.motion_detector import MotionDetector
from holdfast.platform import open_platform
from holdfast.settings import Settings
from media.films import film


def test_a_summary_reads_back_as_what_was_found(tmp_path):
    found = analyse(film(tmp_path / "a.mp4"), tmp_path / "out", MotionDetector())
    assert found.tracks
    assert found.stretches
    assert read_summary((tmp_path / "out" / SUMMARY).read_bytes(), "a.mp4") == found


@pytest.mark.parametrize("content", [b"", b"[]", b'{"video": {}}', b"\xff"])
def test_a_damaged_summary_is_refused(content):
    with pytest.raises(IntegrityError, match=r"the summary of 'a\.mp4' is damaged"):
        read_summary(content, "a.mp4")


async def test_a_video_that_nobody_has_looked_at_has_no_report(tmp_path):
    async with open_platform(Settings(data=tmp_path / "data")) as platform:
        library = platform.library
        video = (await library.ingest(film(tmp_path / "a.mp4"), project="p")).video
        with pytest.raises(NotFoundError, match="holdfast worker --once"):
            await report_video(library, video, tmp_path / "r.html", tmp_path / "work")
    assert not (tmp_path / "r.html").exists()


async def test_a_report_is_made_of_what_lies_in_the_bucket(tmp_path):
    async with open_platform(Settings(data=tmp_path / "data")) as platform:
        library = platform.library
        path = film(tmp_path / "<odd>&name.mp4")
        video = (await library.ingest(path, project="a <project>")).video
        await Worker(platform.jobs, platform.handlers).run(until="idle")
        video = await library.videos.get_one(video.id)
        await report_video(library, video, tmp_path / "r.html", tmp_path / "work")
        page = (tmp_path / "r.html").read_text()
        assert "&lt;odd&gt;&amp;name.mp4" in page
        assert video.sha256 in page
        assert "data:video/mp4;base64," in page
        assert list((tmp_path / "work").iterdir()) == []
        # A picture that is gone is no reason to have no report.
        await library.bucket.delete(f"frames/{video.id}/track-1.jpg")
        await report_video(library, video, tmp_path / "r.html", tmp_path / "work")
        await library.bucket.delete(f"results/{video.id}/{SUMMARY}")
        with pytest.raises(NotFoundError):
            await report_video(library, video, tmp_path / "gone.html", tmp_path / "work")
    assert not (tmp_path / "gone.html").exists()
    assert timedelta(0) < video.analysed_at - video.created_at
