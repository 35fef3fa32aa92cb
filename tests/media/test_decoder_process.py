"""Decoding in a process of its own: what a hostile file or detector can't do."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from holdfast.errors import HoldfastError, MediaError, StorageError, UnavailableError
from holdfast.media import probe as in_process
from holdfast.media.decoder_process import DecoderProcess
from holdfast.media.decoding_limits import DecoderLimits
from holdfast.media.probe import probe, thumbnail
from holdfast.media.vision import MotionDetector
from media import hostile
from media.films import film
from media.waiting_detector import Misbehaving

MUTATIONS = int(os.environ.get("HOLDFAST_TEST_MUTATIONS", "27"))


def untold(_fraction, _message):
    pass


@pytest.fixture(scope="module")
def decoder():
    with DecoderProcess() as process:
        yield process


@pytest.fixture
def clip(tmp_path):
    return film(tmp_path / "a.mp4", frames=20)


def test_the_child_says_what_the_library_says(decoder, clip):
    assert decoder.probe(clip) == probe(clip)
    assert decoder.thumbnail(clip) == thumbnail(clip)


def test_an_error_is_the_same_and_the_child_goes_on(decoder, tmp_path, clip):
    with pytest.raises(MediaError, match="there is no such file"):
        decoder.probe(tmp_path / "none.mp4")
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StorageError, match="out"):
        decoder.analyse(clip, tmp_path / "out", MotionDetector(), untold)
    assert decoder.probe(clip).frames == 20


def run_with(how, clip, folder, **limits):
    with DecoderProcess(DecoderLimits(**limits)) as process:
        process.analyse(clip, folder, Misbehaving(how), untold)


@pytest.mark.parametrize(
    ("how", "limits", "error", "said"),
    [
        ("waits", {"silence": 1.0}, MediaError, "no progress for 1 s"),
        (
            "spins",
            {"analysis_cpu": 2.0, "cpu_per_mebibyte": 0.1, "memory": 1 << 40},
            MediaError,
            "more than 2 s of CPU",
        ),
        ("hoards", {}, MediaError, "more than 2048 MiB of memory"),
        ("crashes", {}, MediaError, "crash .SIGSEGV"),
        ("exits", {}, UnavailableError, "status 3"),
        ("raises", {}, RuntimeError, "KeyError: 'nothing'"),
    ],
)
def test_what_runs_away_is_stopped_and_called_by_its_name(how, limits, error, said, clip, tmp_path):
    with pytest.raises(error, match=said):
        run_with(how, clip, tmp_path / "out", **limits)


def test_results_that_grow_beyond_reason_are_refused(clip, tmp_path):
    limits = DecoderLimits(written=500, written_per_byte=0.001)
    with DecoderProcess(limits) as process, pytest.raises(MediaError, match="results grow beyond"):
        process.analyse(clip, tmp_path / "out", MotionDetector(), untold)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone has the filter")
@pytest.mark.parametrize("how", ["connects", "starts a program"])
def test_neither_network_nor_programs_are_to_be_had(how, clip, tmp_path):
    with pytest.raises((RuntimeError, StorageError), match="Operation not permitted"):
        run_with(how, clip, tmp_path / "out")


def test_one_that_is_killed_from_outside_may_be_tried_again(clip, tmp_path):
    with DecoderProcess() as process:
        process.probe(clip)

        def tell(_fraction, _message):
            os.kill(process._process.pid, signal.SIGKILL)

        with pytest.raises(UnavailableError, match="SIGKILL"):
            process.analyse(clip, tmp_path / "out", Misbehaving("waits"), tell)
        assert process.probe(clip).frames == 20, "with a new child"


class StopError(Exception):
    pass


def test_what_progress_raises_ends_the_child_at_once(clip, tmp_path):
    def stop(_fraction, _message):
        raise StopError

    with DecoderProcess() as process:
        process.probe(clip)
        child = psutil.Process(process._process.pid)
        with pytest.raises(StopError):
            process.analyse(clip, tmp_path / "out", Misbehaving("waits"), stop)
        assert not child.is_running()


def test_closing_ends_a_call_of_another_thread(clip, tmp_path):
    begun = threading.Event()
    raised = []
    process = DecoderProcess()

    def work():
        try:
            process.analyse(clip, tmp_path / "out", Misbehaving("waits"), lambda *_: begun.set())
        except HoldfastError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(120)
    process.close()
    thread.join(120)
    assert isinstance(raised[0], UnavailableError)


def test_the_child_ends_with_its_parent(clip):
    program = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parents[1])]!r}\n"
        "from holdfast.media.decoder_process import DecoderProcess\n"
        f"decoder = DecoderProcess(); decoder.probe({str(clip)!r})\n"
        "print(decoder._process.pid, flush=True); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    child.wait(60)


def test_no_child_is_started_before_it_is_needed():
    with DecoderProcess() as process:
        assert process._process is None


TABLES = {
    "constant sizes": hostile.samples_mp4(50_000_000),
    "sizes of nothing": hostile.samples_mp4(50_000_000, length=0),
    "run lengths": hostile.samples_mp4(1, run=50_000_000),
    "a fragment": hostile.fragments_mp4(500_000_000),
}


@pytest.mark.parametrize("name", TABLES)
def test_samples_that_the_file_can_not_hold_are_refused_unread(name, decoder, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(TABLES[name])
    assert path.stat().st_size < 2048
    with pytest.raises(MediaError, match=r"states \d+ samples or more, which \d+ bytes can't hold"):
        decoder.probe(path)


@pytest.fixture(scope="module")
def avi(tmp_path_factory):
    path = tmp_path_factory.mktemp("avi") / "a.avi"
    return film(path, codec="mpeg4", frames=12, size=(64, 48)).read_bytes()


@pytest.mark.parametrize(
    ("scale", "rate", "said"),
    [(2_280_653, 2, "it states 13683918 s"), (100_000, 1, "expected a frame an hour")],
)
def test_a_length_that_could_not_be_shown_is_refused(scale, rate, said, avi, decoder, tmp_path):
    (tmp_path / "a.avi").write_bytes(hostile.avi_with_rate(avi, scale, rate))
    with pytest.raises(MediaError, match=said):
        decoder.probe(tmp_path / "a.avi")


def test_a_frame_a_minute_is_a_film(avi, decoder, tmp_path):
    (tmp_path / "a.avi").write_bytes(hostile.avi_with_rate(avi, 60, 1))
    assert decoder.probe(tmp_path / "a.avi").duration == pytest.approx(720)
    decoder.analyse(tmp_path / "a.avi", tmp_path / "out", MotionDetector(), untold)
    shown = in_process.probe(tmp_path / "out" / "annotated.mp4")
    assert shown.duration == pytest.approx(720, abs=70)
    assert shown.frames < 200, "a gap is not filled up frame by frame"


def test_a_unit_of_time_that_can_not_be_meant_is_not_believed(avi, decoder, tmp_path):
    (tmp_path / "a.avi").write_bytes(hostile.avi_with_rate(avi, 1, 4_000_000_000))
    assert decoder.probe(tmp_path / "a.avi").duration == pytest.approx(12 / 25)


@pytest.mark.parametrize("frames", [10_000_000, 2_000_000_000])
def test_frames_that_the_file_can_not_hold_are_refused(frames, avi, decoder, tmp_path):
    (tmp_path / "a.avi").write_bytes(hostile.avi_with_length(avi, frames))
    with pytest.raises(MediaError, match=r"cut short|can hold"):
        decoder.probe(tmp_path / "a.avi")


@pytest.mark.parametrize("size", [(65535, 65535), (16000, 16000)])
def test_huge_pictures_are_refused_by_their_size(size, decoder, tmp_path):
    (tmp_path / "a.gif").write_bytes(hostile.gif(size, 40))
    with pytest.raises(MediaError, match=f"frames of {size[0]}x{size[1]} pixels; at most"):
        decoder.probe(tmp_path / "a.gif")


def test_a_small_file_of_large_pictures_costs_little(decoder, tmp_path):
    (tmp_path / "a.gif").write_bytes(hostile.gif((8000, 8000), 40))
    assert decoder.probe(tmp_path / "a.gif").width == 8000
    assert decoder.thumbnail(tmp_path / "a.gif")
    peak = psutil.Process(decoder._process.pid).memory_info().rss
    assert peak < decoder.limits.memory


BASES = [
    ("mp4", "libx264"), ("avi", "mpeg4"), ("mkv", "libx264"), ("ts", "mpeg2video"), ("flv", "flv"),
    ("webm", "libvpx"), ("wmv", "wmv2"), ("mpg", "mpeg1video"), ("h264", "libx264"),
    ("nut", "mpeg4"), ("mxf", "mpeg2video"), ("y4m", "rawvideo"), ("avi", "ffv1"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "codec"), [*BASES, ("gif", "")])
def test_a_file_changed_at_random_ends_in_a_result_or_a_clear_error(kind, codec, tmp_path):
    """HOLDFAST_TEST_MUTATIONS says how many files, over all kinds; any seed that fails is shown."""
    if codec:
        base = film(tmp_path / f"a.{kind}", codec=codec, frames=14, size=(64, 48)).read_bytes()
    else:
        base = hostile.gif((64, 48), 12)
    limits = DecoderLimits(cpu=30, analysis_cpu=60)
    with DecoderProcess(limits) as process:
        for seed in range(MUTATIONS // (len(BASES) + 1) + 1):
            path = tmp_path / f"changed-{seed}"
            path.write_bytes(hostile.mutated(base, f"{kind} {codec} {seed}"))
            try:
                process.probe(path)
                process.thumbnail(path)
                process.analyse(path, tmp_path / "out", MotionDetector(), untold)
            except MediaError:
                continue
