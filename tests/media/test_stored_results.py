"""Stored results read by time, region and track: what comes back, and what it costs."""

from collections import defaultdict
from pathlib import PurePath
from uuid import UUID

import numpy as np
import pytest

from holdfast import open_bucket
from holdfast.errors import IntegrityError, InvalidValueError, NotFoundError
from holdfast.media.geometry import Box, Point
from holdfast.media.object_keys import ACTIVITY, DETECTIONS, TRACKS, result_key
from holdfast.media.review.activity import activity_between, open_activity
from holdfast.media.review.region_search import RegionQuestion, search_region
from holdfast.media.review.result_table import ResultTables
from holdfast.media.review.stored_detections import detections_between, open_detections
from holdfast.media.review.stored_tracks import TrackFilter, open_tracks, tracks_page
from holdfast.media.vision.activity_log import ActivityLog
from holdfast.media.vision.detector import Detection, Track
from holdfast.media.vision.result_files import DetectionWriter, write_tracks

VIDEO = UUID(int=7)
LABELS = ("car", "person", "truck")
RATE = 25


def made_up(frames=6000):
    """Ten minutes or so of things that wander: five on each frame, none in every tenth second."""
    random = np.random.default_rng(4)
    found = []
    for frame in range(frames):
        if frame // RATE % 10 == 9:
            continue
        for place in range(5):
            track = place + 5 * (frame // 500)
            x, y = (float(each) + 0.25 for each in random.integers(0, 600, 2))  # as float32 has it
            box = Box(x, y, 20.0 + 2 * place, 10.0)
            label = LABELS[track % 3]
            found.append(Detection(frame, frame / RATE, track, label, 0.5, box))
    return found


DETECTED = made_up()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    with (
        DetectionWriter(folder / DETECTIONS, folder / "lines", {}) as rows,
        ActivityLog(folder / ACTIVITY) as seconds,
    ):
        for at in range(0, len(DETECTED), 1000):
            rows.write(DETECTED[at : at + 1000])
            seconds.add(DETECTED[at : at + 1000])
    write_tracks(folder / TRACKS, [track_of(number) for number in range(9000)], {})
    return folder


def track_of(number):
    point = Point(0.0, 0.0)
    direction = ("right", "left", "up", "down")[number % 4]
    crossed = ("forward", "backward", None)[number % 3]
    return Track(
        number, LABELS[number % 3], number, number + 50, number / RATE, (number + 50) / RATE, 50,
        number, number / RATE, Box(0, 0, 9, 9), point, point, 1.0, direction, 0.0, 1.0,
        float(number % 100), 81.0, 0.5, crossed,
    )  # fmt: skip


@pytest.fixture(scope="module")
async def tables(files):
    async with open_bucket("memory://") as bucket:
        for name in (DETECTIONS, ACTIVITY, TRACKS):
            await bucket.upload(files / name, result_key(VIDEO, PurePath(name)))
        yield ResultTables(bucket)


def between(since, until):
    return [each for each in DETECTED if since <= each.time < until]


async def test_a_range_has_every_box_of_its_frames_and_no_other(tables):
    table = await open_detections(tables, VIDEO)
    assert (table.rows, len(table.groups)) == (
        len(DETECTED),
        pytest.approx(len(DETECTED) // 4096, abs=1),
    )
    for since, until in ((0, 0.04), (100.02, 101.5), (8.9, 10.1), (239, 1e6), (9.0, 10.0)):
        found = await detections_between(table, since, until)
        wanted = between(since, until)
        assert found.frame == [each.frame for each in wanted]
        assert found.time == [each.time for each in wanted]
        assert [found.labels[each] for each in found.label] == [each.label for each in wanted]
        assert found.x == pytest.approx([each.box.x for each in wanted], abs=0.06)
        assert found.until == until


async def test_a_range_that_is_too_large_goes_on_where_it_ended_and_cuts_no_frame(tables):
    table = await open_detections(tables, VIDEO)
    frames, since = [], 3.0
    while since < 40:
        found = await detections_between(table, since, 40, most=333)
        assert found.until > since
        assert len(found.frame) <= 333
        frames += found.frame
        since = found.until
    assert frames == [each.frame for each in between(3, 40)]
    one = await detections_between(table, 3.0, 40, most=2)  # a frame has five
    assert len(one.frame) == 5
    with pytest.raises(InvalidValueError):
        await detections_between(table, 4, 4)


async def test_a_range_reads_its_row_groups_and_not_the_file(files):
    size = (files / DETECTIONS).stat().st_size
    async with open_bucket("memory://") as bucket:
        await bucket.upload(files / DETECTIONS, result_key(VIDEO, PurePath(DETECTIONS)))
        table = await open_detections(ResultTables(bucket), VIDEO)
        before = read_bytes(bucket)
        await detections_between(table, 100, 102)
        assert 0 < read_bytes(bucket) - before < size / 4


def read_bytes(bucket):
    return sum(each.bytes for name, each in bucket.stats().operations.items() if name == "get")


async def test_what_is_replaced_or_damaged_is_not_taken_for_results(files):
    async with open_bucket("memory://") as bucket:
        key = result_key(VIDEO, PurePath(DETECTIONS))
        tables = ResultTables(bucket)
        with pytest.raises(NotFoundError):
            await open_detections(tables, VIDEO)
        await bucket.put(key, b"no parquet at all")
        with pytest.raises(IntegrityError):
            await open_detections(tables, VIDEO)
        content = bytearray((files / DETECTIONS).read_bytes())
        content[1000:60_000] = bytes(59_000)
        await bucket.put(key, bytes(content))
        table = await open_detections(tables, VIDEO)
        with pytest.raises(IntegrityError):
            await detections_between(table, 0, 5)


async def test_the_timeline_counts_each_class_in_a_bounded_number_of_steps(tables):
    table = await open_activity(tables, VIDEO)
    for since, until, most in ((0, 240, 600), (0, 240, 24), (13.5, 61.2, 7)):
        found = await activity_between(table, since, until, most=most)
        assert found.steps <= most
        assert found.since <= since
        assert found.since + found.steps * found.step >= until
        tracks, boxes = defaultdict(set), defaultdict(int)
        for each in DETECTED:
            tracks[int(each.time), each.label].add(each.track)
            boxes[int(each.time), each.label] += 1
        for label in found.labels:
            for step in range(found.steps):
                seconds = [found.since + step * found.step + more for more in range(found.step)]
                most_seen = max(len(tracks[second, label.label]) for second in seconds)
                assert label.tracks[step] == most_seen
                assert label.detections[step] == sum(
                    boxes[second, label.label] for second in seconds
                )
    with pytest.raises(InvalidValueError):
        await activity_between(table, 0, 10, most=0)


CORNERS = (Point(100, 100), Point(420, 140), Point(300, 260), Point(340, 420), Point(120, 300))


def brute_force(label, since, until):
    """The moments by a plain crossing rule, detection by detection."""
    moments = []
    for each in DETECTED:
        centre = each.box.centre
        if not since <= each.time < until or (label and each.label != label):
            continue
        inside = False
        for a, b in zip(CORNERS, (*CORNERS[1:], CORNERS[0]), strict=True):
            if (a.y > centre.y) != (b.y > centre.y):
                inside ^= centre.x < (b.x - a.x) * (centre.y - a.y) / (b.y - a.y) + a.x
        if not inside:
            continue
        if moments and each.time - moments[-1][1] <= 1.0:
            moments[-1][1] = each.time
            moments[-1][2].add(each.track)
            moments[-1][3] += 1
        else:
            moments.append([each.time, each.time, {each.track}, 1])
    return [(start, end, len(tracks), count) for start, end, tracks, count in moments]


async def all_moments(table, question):
    answer = await search_region(table, question, most=10**9, rows=10**9)
    assert answer.complete
    return answer.moments


@pytest.mark.parametrize(("label", "since", "until"), [(None, 0, 1e6), ("person", 12.3, 200)])
async def test_a_region_gives_the_moments_in_which_something_was_inside(
    tables, label, since, until
):
    table = await open_detections(tables, VIDEO)
    question = RegionQuestion(CORNERS, label, since, until)
    found = await all_moments(table, question)
    shown = [(each.start, each.end, each.tracks, each.detections) for each in found]
    assert shown == brute_force(label, since, until)
    assert len(shown) > 5


async def test_a_search_in_parts_tells_each_moment_once_and_whole(tables):
    table = await open_detections(tables, VIDEO)
    whole = await all_moments(table, RegionQuestion(CORNERS, "car"))
    for most, rows in ((3, 10**9), (1000, 1)):
        found, since, parts = [], 0.0, 0
        while True:
            answer = await search_region(
                table, RegionQuestion(CORNERS, "car", since), most=most, rows=rows
            )
            found += answer.moments
            parts += 1
            if answer.complete:
                break
            assert answer.searched > since
            since = answer.searched
        assert found == whole
        assert parts > 3
    none = await search_region(table, RegionQuestion(CORNERS, "dog"))
    assert (none.moments, none.complete) == ([], True)


async def test_a_moment_without_an_end_is_told_in_pieces_that_meet(tmp_path):
    path = tmp_path / DETECTIONS
    with DetectionWriter(path, tmp_path / "lines", {}) as rows:
        for frame in range(15_000):
            rows.write([Detection(frame, frame / RATE, 1, "car", 0.5, Box(100.0, 100.0, 9.0, 9.0))])
    square = (Point(0, 0), Point(200, 0), Point(200, 200), Point(0, 200))
    async with open_bucket("memory://") as bucket:
        await bucket.upload(path, result_key(VIDEO, PurePath(DETECTIONS)))
        table = await open_detections(ResultTables(bucket), VIDEO)
        found, since = [], 0.0
        while True:
            answer = await search_region(
                table, RegionQuestion(square, None, since), rows=5000, longest=5000
            )
            found += answer.moments
            if answer.complete:
                break
            assert answer.searched > since
            since = answer.searched
    assert len(found) > 1
    assert (found[0].start, found[-1].end) == (0, 14_999 / RATE)
    assert [each.end for each in found[:-1]] == [each.start for each in found[1:]]
    assert max(each.detections for each in found) < 2 * 5000


def test_a_region_is_an_area():
    for points in (CORNERS[:2], (Point(0, 0),) * 3, CORNERS * 20, (Point(0, float("nan")),) * 3):
        with pytest.raises(InvalidValueError):
            RegionQuestion(points)
    with pytest.raises(InvalidValueError):
        RegionQuestion(CORNERS, since=3, until=3)


async def test_tracks_come_page_by_page_by_all_that_is_asked_for(tables):
    table = await open_tracks(tables, VIDEO)
    assert len(table.groups) == 3
    asked = TrackFilter(
        label="person", direction="left", crossed="backward", least_speed=20, most_speed=80,
        since=20, until=300,
    )  # fmt: skip
    found, after = [], None
    while True:
        page = await tracks_page(table, asked, after=after, most=40)
        found += page.items
        after = page.next
        if after is None:
            break
    wanted = [
        track.id
        for track in map(track_of, range(9000))
        if (track.label, track.direction, track.crossed) == ("person", "left", "backward")
        and 20 <= track.mean_speed <= 80
        and track.last_time >= 20
        and track.first_time <= 300
    ]
    assert [each.id for each in found] == wanted
    assert len(wanted) > 40
