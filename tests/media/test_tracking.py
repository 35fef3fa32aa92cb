from fractions import Fraction

import pytest

from holdfast.media.probe import VideoInfo
from holdfast.media.vision.detector import Box, Detection, Line, Point
from holdfast.media.vision.line_counter import LineCounter
from holdfast.media.vision.track_log import TrackLog, middle_line
from holdfast.media.vision.tracker import Sighting, Tracker, TrackerOptions

VIDEO = VideoInfo(
    duration=40.0, frame_rate=Fraction(25), width=640, height=360, frames=1000, codec="h264",
    container="mp4", pixel_format="yuv420p", has_audio=False, bytes=1,
)  # fmt: skip


def follow(frames, options=None):
    """Everything found, and the largest lag of what was settled."""
    tracker = Tracker(options or TrackerOptions(), VIDEO, "thing")
    found, lag, settled = [], 0, 0
    for number, boxes in enumerate(frames):
        news = tracker.follow(number, number / 25, [Sighting(Box(*box), 0.8) for box in boxes])
        assert all(each.frame >= settled for each in news.detections), "said after it was settled"
        assert news.settled >= settled
        settled = news.settled
        lag = max(lag, number + 1 - settled)
        found += news.detections
    found += tracker.finish().detections
    return found, lag


def by_track(found):
    tracks = {}
    for each in found:
        tracks.setdefault(each.track, []).append(each)
    return tracks


def crossing(frames=100, speed=5, y=100, start=20):
    return [[(start + speed * number, y, 40, 30)] for number in range(frames)]


def test_one_thing_is_one_track_from_its_first_sighting():
    tracks = by_track(follow(crossing())[0])
    assert list(tracks) == [1]
    assert [each.frame for each in tracks[1]] == list(range(100))


def test_boxes_stay_on_the_thing():
    found, _ = follow(crossing())
    likeness = [each.box.likeness(Box(20 + 5 * each.frame, 100, 40, 30)) for each in found]
    assert min(likeness) > 0.8


def test_missed_frames_are_filled_in_and_keep_the_number():
    frames = crossing()
    for number in (40, 41, 42, 60):
        frames[number] = []
    tracks = by_track(follow(frames)[0])
    assert list(tracks) == [1]
    assert sorted(each.frame for each in tracks[1]) == list(range(100))
    filled = [each for each in tracks[1] if each.frame == 41]
    assert filled[0].box.likeness(Box(20 + 5 * 41, 100, 40, 30)) > 0.8


def test_a_thing_that_hides_for_a_second_keeps_its_number_without_invented_boxes():
    frames = crossing()
    for number in range(40, 65):
        frames[number] = []
    tracks = by_track(follow(frames)[0])
    assert list(tracks) == [1]
    assert not [each for each in tracks[1] if 40 <= each.frame < 65]


def test_two_that_pass_each_other_in_one_patch_keep_their_numbers_and_ways():
    frames = []
    for number in range(120):
        one, two = Box(10 + 5 * number, 100, 50, 30), Box(590 - 5 * number, 110, 50, 30)
        frames.append([one.union(two)] if one.overlap(two) else [one, two])
    tracks = by_track(follow(frames)[0])
    assert sorted(tracks) == [1, 2]
    joint = {number for number, boxes in enumerate(frames) if len(boxes) == 1}
    for boxes in tracks.values():
        assert joint <= {each.frame for each in boxes}
        assert max(each.box.width for each in boxes) < 60
        ways = {
            later.box.centre.x > earlier.box.centre.x
            for earlier, later in zip(boxes[::20], boxes[20::20], strict=False)
        }
        assert len(ways) == 1


def test_flicker_that_goes_nowhere_leaves_no_trace():
    frames = [[(300 + number % 3, 200, 20, 20)] if number % 4 else [] for number in range(400)]
    found, lag = follow(frames)
    assert found == []
    assert lag <= 4 * 25 + 1


def test_a_glimpse_leaves_no_trace():
    assert follow([[], [(10, 10, 30, 30)], [(40, 10, 30, 30)], *[[]] * 30])[0] == []


def test_a_late_proof_brings_the_earlier_boxes():
    frames = [[(100 + number * 0.3, 100, 30, 30)] for number in range(200)]
    found, _ = follow(frames)
    assert min(each.frame for each in found) == 0


def test_pieces_of_one_thing_are_one_box():
    frames = crossing()
    for number in range(50, 60):
        x = 20 + 5 * number
        frames[number] = [(x, 100, 17, 30), (x + 22, 100, 18, 30)]
    tracks = by_track(follow(frames)[0])
    assert list(tracks) == [1]
    assert all(each.box.width > 30 for each in tracks[1])


def test_a_thing_that_stays_behind_when_a_patch_parts_gets_its_own_number():
    frames = [[(100 + 4 * number, 100, 60, 60)] for number in range(40)]
    frames += [[(258, 100, 25, 60), (290 + 5 * number, 100, 25, 60)] for number in range(40)]
    assert len(by_track(follow(frames)[0])) == 2


def test_the_same_sightings_give_the_same_findings():
    frames = [[(20 + 5 * n, 100, 40, 30), (500 - 4 * n, 60, 30, 50)] for n in range(90)]
    assert follow(frames) == follow(frames)


def test_a_hundred_things_at_once_do_not_lose_their_numbers():
    frames = [
        [
            (20 + 55 * column + 2 * n, 10 + 34 * row, 20, 14)
            for column in range(10)
            for row in range(10)
        ]
        for n in range(40)
    ]
    assert len(by_track(follow(frames)[0])) == 100


@pytest.mark.parametrize("name", ["age", "distance", "patience", "unseen", "gap"])
def test_an_option_that_means_nothing_is_refused(name):
    with pytest.raises(ValueError, match=name):
        TrackerOptions(**{name: -1})


def test_a_line_counts_each_way_and_only_within_its_ends():
    counter = LineCounter(Line(Point(50, 100), Point(50, 0)), 2)
    assert [counter.step(1, Point(x, 50)) for x in (40, 49, 51, 53)] == [
        None,
        None,
        None,
        "forward",
    ]
    assert [counter.step(2, Point(x, 50)) for x in (60, 45)] == [None, "backward"]
    assert [counter.step(3, Point(x, 200)) for x in (40, 60)] == [None, None]
    assert (counter.forward, counter.backward) == (1, 1)


def test_dithering_on_the_line_is_not_counted():
    counter = LineCounter(Line(Point(50, 100), Point(50, 0)), 3)
    for number in range(50):
        counter.step(1, Point(49 if number % 2 else 51, 50))
    assert (counter.forward, counter.backward) == (0, 0)


def detections(track, frames, *, x=0.0, step=5.0):
    return [
        Detection(frame, frame / 25, track, "thing", 0.5, Box(x + step * frame, 50, 20, 20))
        for frame in frames
    ]


def test_stretches_join_short_gaps_keep_long_ones_and_never_overlap():
    log = TrackLog(VIDEO, middle_line(VIDEO))
    for part in (range(5, 40), range(60, 80), range(107, 150), range(990, 1000)):
        log.add(detections(1, part))
    stretches = log.stretches(1000, 40.0)
    assert [(each.start_frame, each.end_frame) for each in stretches] == [
        (0, 92),
        (95, 162),
        (978, 1000),
    ]
    assert stretches[1].start_time == pytest.approx(95 / 25)
    assert stretches[1].end_time == pytest.approx(162 / 25)
    assert stretches[2].end_time == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("step", "direction", "angle"),
    [((4, 0), "right", 0), ((-4, 0), "left", 180), ((0, -4), "up", 90), ((1, 4), "down", -76)],
)
def test_a_track_says_where_it_went(step, direction, angle):
    log = TrackLog(VIDEO, middle_line(VIDEO))
    for frame in range(50):
        box = Box(300 + step[0] * frame, 180 + step[1] * frame, 20, 20)
        log.add([Detection(frame, frame / 25, 9, "thing", 0.5, box)])
    (track,) = log.tracks({})
    assert (track.id, track.direction, round(track.angle)) == (9, direction, angle)
    assert track.mean_speed == pytest.approx(25 * (step[0] ** 2 + step[1] ** 2) ** 0.5, rel=0.05)
    assert track.path_length == pytest.approx(track.displacement, rel=0.02)


def test_seconds_count_different_tracks():
    log = TrackLog(VIDEO, middle_line(VIDEO))
    log.add(
        sorted(detections(1, range(30)) + detections(2, range(80)), key=lambda each: each.frame)
    )
    log.add(detections(3, range(130, 140)))
    assert log.per_second() == [2, 2, 1, 1, 0, 1]
