import base64
import collections
import dataclasses
import hashlib
import itertools
import random
import re
import resource
import time
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from html.parser import HTMLParser

import cv2
import numpy as np
import psutil
import pytest

from holdfast import formatting
from holdfast.errors import MediaError, StorageError
from holdfast.media.probe import VideoInfo
from holdfast.media.report import Report, ReportOptions, timeline, write_report
from holdfast.media.report.html import heading, pieces
from holdfast.media.vision.analysis import Analysis, analyse
from holdfast.media.vision.detector import (
    Box,
    Disturbance,
    IntervalCount,
    Line,
    LineCount,
    Point,
    Stretch,
    Track,
)
from holdfast.media.vision.motion_detector import MotionDetector
from media.films import film

VOID = {"meta", "img", "br", "source", "link", "input", "hr"}
LOADS = {"src", "href", "poster", "srcset", "data", "action", "xlink:href", "formaction"}
WHEN = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class Page(HTMLParser):
    """Reads a page strictly: what is opened is closed, in order; no attribute twice."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.tags, self.open = [], []
        self.parts = collections.defaultdict(list)
        self.path = path
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []
        self.text = {name: "".join(parts) for name, parts in self.parts.items()}

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("id")))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for tag, name in self.open:
            for key in {tag, f"#{name}"}:
                self.parts[key].append(data)

    def all(self, tag, **wanted):
        return [
            found
            for name, found in self.tags
            if name == tag and all(found.get(key) == value for key, value in wanted.items())
        ]

    def classed(self, tag, name):
        return [found for found in self.all(tag) if name in (found.get("class") or "").split()]


def track(number, start, end, **changes):
    whole = {
        "id": number, "label": "car", "first_frame": round(start * 10),
        "last_frame": round(end * 10), "first_time": start, "last_time": end,
        "detections": round((end - start) * 10) + 1, "best_frame": round(start * 10),
        "best_time": start, "best_box": Box(1, 1, 9, 9), "entry": Point(0, 0),
        "exit": Point(50, 0), "displacement": 50.0, "direction": "right", "angle": 0.0,
        "path_length": 50.0, "mean_speed": 42.4, "mean_area": 81.0, "mean_score": 0.75,
        "crossed": None,
    }  # fmt: skip
    return Track(**(whole | changes))


def analysis(duration=20.0, *, tracks=(), stretches=(), per_second=(), **changes):
    video = VideoInfo(
        duration=duration, frame_rate=Fraction(10), width=320, height=240,
        frames=round(duration * 10), codec="h264", container="mp4", pixel_format="yuv420p",
        has_audio=False, bytes=8_131_690,
    )  # fmt: skip
    whole = {
        "video": video, "frames": video.frames, "detections": sum(t.detections for t in tracks),
        "tracks": tuple(tracks), "stretches": tuple(stretches), "per_second": tuple(per_second),
        "line": Line(Point(160, 240), Point(160, 0)), "forward": 0, "backward": 0,
    }  # fmt: skip
    return Analysis(**(whole | changes))


def report(found, **changes):
    whole = {
        "analysis": found, "title": "High Street", "project": "Survey", "ingested": WHEN,
        "analysed": WHEN, "detector": "motion", "checksum": "sha256 " + "0f" * 32,
    }  # fmt: skip
    return Report(**(whole | changes))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    found = analyse(film(folder / "film.mp4"), folder / "out", MotionDetector())
    assert found.tracks
    annotated, frames = folder / "out/annotated.mp4", folder / "out/frames"
    return report(found, annotated=annotated, frames=frames)


@pytest.fixture
def page(tmp_path):
    def write(subject, **options):
        path = tmp_path / "report.html"
        return Page(write_report(path, subject, options=ReportOptions(**options)))

    return write


def embedded(page):
    (video,) = page.all("video")
    kind, data = video["src"].split(",", 1)
    assert kind == "data:video/mp4;base64"
    return base64.b64decode(data, validate=True)


def picture(uri):
    kind, data = uri.split(",", 1)
    assert kind == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)


def test_a_real_analysis_gives_a_page_with_its_video_byte_for_byte_and_its_thumbnails(real, page):
    seen = page(real)
    assert embedded(seen) == real.annotated.read_bytes()
    pictured = [row for row in seen.all("img") if row["alt"].startswith("Track")]
    assert len(pictured) == len(list(real.frames.glob("track-*.jpg"))) == len(real.analysis.tracks)
    assert all(picture(row["src"]).shape[0] <= 160 for row in pictured)
    assert picture(seen.all("video")[0]["poster"]).shape == (120, 160, 3)


def test_the_numbers_on_the_page_are_those_of_the_analysis(page):
    tracks = [
        track(1, 1.0, 4.0, crossed="forward"),
        track(2, 2.0, 9.5, crossed="backward", direction="left"),
        track(7, 12.0, 14.0),
    ]
    stretches = [Stretch(5, 100, 0.5, 10.0), Stretch(115, 145, 11.5, 14.5)]
    counts = [0, 1, 2, 2, 2, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1]
    seen = page(
        report(
            analysis(
                tracks=tracks, stretches=stretches, per_second=counts, forward=4, backward=1203
            )
        )
    )
    shown = {
        name: seen.text[f"#figure-{name}"].strip()
        for name in ("tracks", "clips", "forward", "backward", "moving", "busiest")
    }
    assert shown == {
        "tracks": "3", "clips": "2", "forward": "4", "backward": "1,203", "moving": "62%",
        "busiest": "0:02",
    }  # fmt: skip
    assert [row["data-track"] for row in seen.all("tr") if "data-track" in row] == ["1", "2", "7"]
    assert [row["data-clip"] for row in seen.all("tr") if "data-clip" in row] == ["1", "2"]
    members = [cell["data-value"] for cell in seen.classed("td", "members")]
    assert members == ["2", "1"]
    assert len(seen.classed("rect", "bar")) == 3
    assert len(seen.classed("rect", "movement")) == 2
    crossed = re.findall(r"going (right|left)\s*</td>", seen.source)
    assert crossed == ["right", "left"]


HOSTILE = (
    "</title><script>alert(1)</script>\"'><img src=//evil.test/x onerror=alert(2)>\n\u202e שלום 🎥"
)


def test_text_from_people_is_text_and_nothing_else(page):
    tame = page(report(analysis(tracks=[track(1, 1, 2)])))
    wild = page(
        report(
            analysis(tracks=[track(1, 1, 2, label=HOSTILE)]),
            title=HOSTILE,
            project=HOSTILE,
            detector=HOSTILE,
            checksum=HOSTILE,
        )
    )
    assert [tag for tag, _ in wild.tags] == [tag for tag, _ in tame.tags]
    assert [attrs for _, attrs in wild.tags] == [attrs for _, attrs in tame.tags]
    shown = HOSTILE.replace("\u202e", "\ufffd")  # what would turn the text around it
    assert wild.text["h1"] == shown
    assert shown in wild.text["title"]


def test_what_html_cannot_hold_is_shown_as_a_replacement(page):
    seen = page(report(analysis(), title="a\x00b\ud800c\ufffed"))
    assert seen.text["h1"] == "a\ufffdb\ufffdc\ufffdd"


def test_nothing_is_loaded_from_anywhere_and_the_policy_holds_the_page_to_that(real, page):
    seen = page(real)
    for tag, attrs in seen.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        assert "style" not in attrs
        assert not any(name.startswith("on") for name in attrs)
        for name in LOADS & attrs.keys():
            assert attrs[name].startswith(
                ("data:image/jpeg;base64,", "data:video/mp4;base64,", "#")
            )
    assert not re.search(r"url\(|@import|\bfetch\b|XMLHttp|import\(", seen.source)
    assert "://" not in seen.source
    (policy,) = seen.all("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(rule.split(" ", 1) for rule in policy["content"].split("; "))
    assert rules.pop("default-src") == "'none'"
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(seen.text[name].encode()).digest()).decode()
        assert rules.pop(f"{name}-src") == f"'sha256-{digest}'"
    assert set(rules.values()) == {"data:", "'none'"}


def test_links_lead_to_places_that_are_on_the_page(real, page):
    seen = page(real)
    ids = [attrs["id"] for _, attrs in seen.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in seen.tags:
        if (attrs.get("href") or "").startswith("#"):
            assert attrs["href"][1:] in ids
        for name in (attrs.get("aria-labelledby") or "").split():
            assert name in ids


def test_every_clip_plays_from_its_start_to_its_end(real, page):
    seen = page(real)
    played = [
        (float(row["data-seek"]), float(row["data-end"]))
        for row in seen.all("a")
        if "data-end" in row
    ]
    stretches = real.analysis.stretches
    assert stretches
    assert played == [(round(each.start_time, 3), round(each.end_time, 3)) for each in stretches]


def test_a_video_over_the_bound_is_replaced_by_stills_and_a_word_about_it(real, page):
    size = real.annotated.stat().st_size
    assert page(real, video_bytes=size).all("video")
    seen = page(real, video_bytes=size - 1)
    assert not seen.all("video")
    assert "more than" in seen.text["#player"]
    assert formatting.volume(size) in seen.text["#player"]
    shots = [row for row in seen.all("img") if "annotated" in row["alt"]]
    assert 1 <= len(shots) <= 6
    assert all(picture(row["src"]).shape == (120, 160, 3) for row in shots)
    assert not any("data-seek" in attrs for tag, attrs in seen.tags if tag == "a")


def test_a_video_in_which_nothing_moved_gets_a_page_that_says_so(page):
    seen = page(report(analysis()))
    assert "Nothing moved" in seen.text["#tracks"]
    assert not seen.all("table")
    assert seen.text["#figure-moving"] == "0%"
    assert seen.text["#figure-busiest"] == "none"


def test_the_page_of_a_long_crowded_video_is_bounded_in_size_time_and_memory(tmp_path):
    chance = random.Random(4)
    tracks = [
        track(number, start, min(3599.0, start + chance.uniform(0.3, 30)))
        for number, start in enumerate((chance.uniform(0, 3590) for _ in range(3000)), 1)
    ]
    stretches = [Stretch(at * 90, at * 90 + 70, at * 9.0, at * 9 + 7.0) for at in range(400)]
    counts = [chance.randint(0, 40) for _ in range(3600)]
    frames = tmp_path / "frames"
    frames.mkdir()
    noise = np.random.default_rng(1).integers(0, 255, (480, 480, 3), np.uint8)
    shot = cv2.imencode(".jpg", noise)[1].tobytes()
    for each in tracks:
        (frames / f"track-{each.id}.jpg").write_bytes(shot)
    found = analysis(3600.0, tracks=tracks, stretches=stretches, per_second=counts)
    began = time.process_time()
    path = write_report(tmp_path / "huge.html", report(found, frames=frames))
    assert time.process_time() - began < 10
    assert path.stat().st_size < 10_000_000
    seen = Page(path)
    assert len([row for row in seen.all("tr") if "data-track" in row]) == 2000
    assert len([row for row in seen.all("tr") if "data-clip" in row]) == 400
    assert len(seen.all("img")) == 200
    assert "1,000 more" in seen.text["#tracks"]
    assert "1,800 more" in seen.text["#tracks"]
    kept = {row["data-track"] for row in seen.all("tr") if "data-track" in row}
    least = min(each.detections for each in tracks if str(each.id) in kept)
    assert all(each.detections <= least for each in tracks if str(each.id) not in kept)


def test_a_large_video_is_never_whole_in_memory(real, tmp_path):
    padded = tmp_path / "large.mp4"
    data = real.annotated.read_bytes()
    padding = 60 << 20  # as a box that players skip
    with padded.open("wb") as file:
        file.write(data + (padding + 8).to_bytes(4, "big") + b"free")
        file.truncate(len(data) + padding + 8)
    subject = dataclasses.replace(real, annotated=padded)
    small = write_report(tmp_path / "small.html", real)
    assert small.stat().st_mode & 0o777 == 0o600
    process, most = psutil.Process(), 0
    before = process.memory_info().rss
    options = ReportOptions(video_bytes=100 << 20)
    written = 0
    for piece in pieces(subject, options):
        written += len(piece)
        most = max(most, process.memory_info().rss - before)
    assert written > padding * 4 / 3
    assert most < 24 << 20


def inside(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failing_write_leaves_what_was_there_and_nothing_else(real, tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "report.html").write_text("before")
    broken = dataclasses.replace(real, annotated=tmp_path / "none.mp4")
    with pytest.raises(MediaError, match=r"none\.mp4"):
        write_report(target / "report.html", broken)
    assert inside(target) == ["report.html"]
    assert (target / "report.html").read_text() == "before"


def test_a_disk_that_takes_no_more_is_a_storage_error_and_leaves_no_file(real, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(StorageError, match="File too large"):
            write_report(tmp_path / "report.html", real)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert inside(tmp_path) == []


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="nowhere"):
        write_report(tmp_path / "nowhere/report.html", report(analysis()))
    assert inside(tmp_path) == []


def test_a_file_that_is_no_video_is_refused_by_name(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        write_report(tmp_path / "r.html", report(analysis(), annotated=tmp_path / "text.mp4"))
    assert inside(tmp_path) == ["text.mp4"]


def test_a_thumbnail_that_is_missing_or_broken_leaves_its_place_empty(tmp_path, page):
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "track-1.jpg").write_bytes(b"no picture")
    (frames / "track-2.jpg").write_bytes(b"")
    seen = page(report(analysis(tracks=[track(n, n, n + 1) for n in (1, 2, 3)]), frames=frames))
    assert not seen.all("img")
    assert len(seen.classed("tr", "bare")) == 3


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="ingested"):
        report(analysis(), ingested=datetime(2026, 11, 21))  # noqa: DTZ001


def test_a_negative_bound_is_refused():
    with pytest.raises(ValueError, match="thumbnails"):
        ReportOptions(thumbnails=-1)


@pytest.mark.parametrize(
    ("seconds", "whole", "tenths"),
    [
        (0, "0:00", "0:00.0"), (7.44, "0:07", "0:07.4"), (59.96, "0:59", "0:59.9"),
        (65, "1:05", "1:05.0"), (0.3, "0:00", "0:00.3"), (3599.99, "59:59", "59:59.9"),
        (3661, "1:01:01", "1:01:01.0"), (90061, "25:01:01", "25:01:01.0"), (-1, "0:00", "0:00.0"),
    ],
)  # fmt: skip
def test_a_moment_of_the_video_reads_as_on_a_player(seconds, whole, tenths):
    assert formatting.clock(seconds) == whole
    assert formatting.clock(seconds, tenths=True) == tenths


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"), (4.24, "4.2 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"),
        (72, "1 min 12 s"), (3599.4, "59 min 59 s"), (3599.6, "1 h 00 min"), (7500, "2 h 05 min"),
    ],
)  # fmt: skip
def test_a_length_of_time_never_shows_sixty_of_anything(seconds, text):
    assert formatting.lasting(seconds) == text


def test_a_name_that_turns_the_direction_of_text_is_seen_as_it_is():
    assert formatting.readable("\u202egnp.exe") == "\ufffdgnp.exe"
    assert formatting.readable("\u2067a\u2069") == "\ufffda\ufffd"
    assert formatting.readable("שלום\u200f") == "שלום\u200f"


def test_amounts_read_plainly():
    assert [formatting.volume(size) for size in (0, 1, 999, 1000, 999_949, 999_950, 8_131_690)] == [
        "0 bytes", "1 byte", "999 bytes", "1.0 kB", "999.9 kB", "1.0 MB", "8.1 MB",
    ]  # fmt: skip
    assert [formatting.share(part) for part in (0, 0.004, 0.5, 0.996, 1, 1.2)] == [
        "0%", "under 1%", "50%", "over 99%", "100%", "100%",
    ]  # fmt: skip
    assert [formatting.plain(rate) for rate in (25.0, 30000 / 1001, 12.5)] == [
        "25",
        "29.97",
        "12.5",
    ]


def test_times_are_shown_in_utc_whatever_their_zone():
    east = datetime(2026, 3, 1, 1, 5, tzinfo=timezone(timedelta(hours=2)))
    assert formatting.moment(east) == "28 February 2026, 23:05 UTC"


@pytest.mark.parametrize(
    ("line", "forward", "backward"),
    [
        (Line(Point(160, 240), Point(160, 0)), "right", "left"),
        (Line(Point(0, 120), Point(320, 120)), "down", "up"),
        (Line(Point(320, 120), Point(0, 120)), "up", "down"),
        (Line(Point(160, 0), Point(160, 240)), "left", "right"),
    ],
)
def test_a_crossing_is_named_by_the_way_it_goes(line, forward, backward):
    assert heading(line, forward=True) == forward
    assert heading(line, forward=False) == backward
    step = {"right": (9, 0), "left": (-9, 0), "down": (0, 9), "up": (0, -9)}[forward]
    middle = Point((line.start.x + line.end.x) / 2, (line.start.y + line.end.y) / 2)
    before = Point(middle.x - step[0], middle.y - step[1])
    assert line.crossing(before, Point(middle.x + step[0], middle.y + step[1])) == "forward"


def test_bars_in_one_lane_never_overlap_and_stay_inside():
    chance = random.Random(2)
    tracks = [
        track(number, start, start + chance.uniform(0, 9))
        for number, start in enumerate((chance.uniform(0, 60) for _ in range(500)), 1)
    ]
    lanes = timeline.pack(tracks, 60.0)
    assert len(lanes.bars) == 500
    assert all(
        bar.span.start >= 0 and bar.span.start + bar.span.length <= 100 for bar in lanes.bars
    )
    assert all(bar.y + bar.height <= lanes.tall for bar in lanes.bars)
    by_lane = {}
    for bar in sorted(lanes.bars, key=lambda bar: bar.span.start):
        by_lane.setdefault(bar.y, []).append(bar.span)
    assert len(by_lane) == lanes.count
    for spans in by_lane.values():
        for before, after in itertools.pairwise(spans):
            assert before.start + before.length <= after.start


@pytest.mark.parametrize("duration", [0.04, 1, 29.6, 79.5, 3600, 86_400, 9_000_000])
def test_an_axis_has_at_most_ten_round_ticks_within_the_video(duration):
    ticks = timeline.time_ticks(duration)
    assert 1 <= len(ticks) <= 10
    assert ticks[0].value == 0
    assert all(0 <= tick.place <= 100 for tick in ticks)


def test_the_plot_reaches_the_highest_count_and_ends_at_zero_when_nothing_is_left():
    counts = timeline.count_steps([0, 3, 1], 10.0)
    assert counts.outline == (
        "M0.000 100.00 10.000 100.00 10.000 0.00 20.000 0.00 20.000 66.67 30.000 66.67 "
        "30.000 100.00 100.000 100.00"
    )
    assert [level.value for level in counts.levels] == [0, 1, 2, 3]


def test_a_day_of_counts_keeps_its_peak_in_few_steps():
    seconds = [1] * 86_400
    seconds[40_000] = 37
    counts = timeline.count_steps(seconds, 86_400.0)
    assert counts.top == 40
    assert len(counts.path) < 20_000
    assert f" {100 * (1 - 37 / 40):.2f}" in counts.path


def test_lines_intervals_disturbances_and_the_start_are_on_the_page(page):
    gate = Line(Point(0, 240), Point(0, 0))
    kerb = Line(Point(0, 100), Point(320, 100))
    seen = page(
        report(
            analysis(
                tracks=[track(1, 1.0, 4.0)],
                lines=(LineCount("gate", gate, 2, 1), LineCount("<kerb>", kerb, 1007, 0)),
                regions=("yard",),
                intervals=(
                    IntervalCount(0.0, 10.0, 4, ((2, 1), (0, 0)), (3,)),
                    IntervalCount(10.0, 20.0, 1, ((0, 0), (1007, 0)), (0,)),
                ),
                disturbances=(Disturbance(3.0, 9.0, "camera"), Disturbance(12.0, 13.5, "light")),
                start=datetime(2026, 1, 1, 10, tzinfo=UTC),
            )
        )
    )
    text = " ".join(" ".join(seen.text["main"].split()).split())
    assert "The camera moves from 0:03 to 0:09: counts are not to be trusted." in text
    assert "The light changes from 0:12 to 0:13" in text
    assert "crossed gate going right" in text
    assert "crossed <kerb> going up" in text
    rows = " ".join(seen.text["#counts"].split())
    assert "0:000:102026-01-01 10:00:00412003" in rows
    assert "0:100:202026-01-01 10:00:1010001,0070" in rows
    assert seen.all("time", datetime="2026-01-01T10:00:00+00:00")


def test_of_many_intervals_the_first_are_listed_and_the_page_says_so(page):
    each = tuple(IntervalCount(n, n + 1.0, 0, ((0, 0),), ()) for n in range(30))
    found = analysis(duration=30.0, tracks=[track(1, 1.0, 4.0)], intervals=each)
    seen = page(report(found), intervals=10)
    assert "The first 10; 20 more are in counts.csv." in " ".join(seen.text["#counts"].split())
