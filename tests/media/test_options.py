"""Where an analysis looks and what it counts: regions, masks, lines, intervals, a start."""

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from holdfast.errors import InvalidValueError, UnsupportedError
from holdfast.media.analysis_options import (
    AnalysisOptions,
    Area,
    CountingLine,
    options_from,
    options_json,
    read_options,
)
from holdfast.media.geometry import Point
from holdfast.media.vision.analysis import analyse
from holdfast.media.vision.motion_detector import MotionDetector
from holdfast.media.vision.summary_file import read_summary
from media.films import film
from media.waiting_detector import Misbehaving

# The square of `film` crosses from left to right, a third of the way down.
GATE = CountingLine("gate", Point(80, 120), Point(80, 0))
EXIT = CountingLine("exit", Point(120, 0), Point(120, 120))
BELOW = CountingLine("below", Point(80, 120), Point(80, 90))
LEFT = Area("left half", (Point(0, 0), Point(80, 0), Point(80, 120), Point(0, 120)))
TOP = Area("sky", (Point(0, 0), Point(160, 0), Point(160, 90), Point(0, 90)))


def found(tmp_path, **options):
    path = film(tmp_path / "a.mp4", frames=60)
    result = analyse(path, tmp_path / "out", MotionDetector(), options=AnalysisOptions(**options))
    with (tmp_path / "out" / "counts.csv").open(newline="") as file:
        return result, list(csv.DictReader(file))


def test_each_line_counts_by_itself_and_each_way(tmp_path):
    result, rows = found(tmp_path, lines=(GATE, EXIT, BELOW), interval=1.0)
    assert [(line.name, line.forward, line.backward) for line in result.lines] == [
        ("gate", 1, 0),
        ("exit", 0, 1),
        ("below", 0, 0),
    ]
    assert (result.line, result.forward, result.backward) == (GATE.line, 1, 0)
    assert [row["from"] for row in rows] == ["0.0", "1.0", "2.0"]
    assert rows[-1]["to"] == "2.4"
    assert sum(int(row["gate forward"]) for row in rows) == 1
    assert sum(int(row["exit backward"]) for row in rows) == 1
    assert sum(int(row["below forward"]) + int(row["below backward"]) for row in rows) == 0
    assert {row["tracks"] for row in rows} <= {"0", "1"}


def test_nothing_is_seen_inside_a_mask(tmp_path):
    result, rows = found(tmp_path, masks=(TOP,))
    assert result.tracks == ()
    assert [row["tracks"] for row in rows] == ["0"]


def test_only_a_region_is_looked_at(tmp_path):
    result, rows = found(tmp_path, regions=(LEFT,), interval=1.0)
    (track,) = result.tracks
    assert track.exit.x < 84
    assert sum(int(row["left half tracks"]) > 0 for row in rows) >= 1


def test_a_mask_within_a_region_is_not_looked_at(tmp_path):
    result, _ = found(tmp_path, regions=(LEFT,), masks=(TOP,))
    assert result.tracks == ()


def test_times_of_day_follow_from_the_start(tmp_path):
    begun = datetime(2026, 1, 1, 10, tzinfo=UTC)
    result, rows = found(tmp_path, start=begun, interval=2.0)
    assert result.start == begun
    assert rows[1]["from_time"] == "2026-01-01T10:00:02+00:00"


def test_the_summary_keeps_what_was_counted(tmp_path):
    result, _ = found(tmp_path, lines=(GATE, EXIT), regions=(LEFT,), interval=1.0)
    again = read_summary((tmp_path / "out" / "summary.json").read_bytes(), "a.mp4")
    assert again == result


def test_a_summary_of_before_is_still_read(tmp_path):
    found(tmp_path)
    content = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    for name in ("lines", "regions", "intervals", "start", "disturbances"):
        del content[name]
    assert read_summary(json.dumps(content).encode(), "a.mp4").lines == ()


def test_sensitivity_decides_how_small_a_thing_may_be(tmp_path):
    low, _ = found(tmp_path, sensitivity="low")
    high, _ = found(tmp_path, sensitivity="high")
    assert low.detections <= high.detections
    with pytest.raises(UnsupportedError, match="sensitivity 'high'"):
        analyse(
            tmp_path / "a.mp4",
            tmp_path / "other",
            Misbehaving("waits"),
            options=AnalysisOptions(sensitivity="high"),
        )


FULL = AnalysisOptions(
    regions=(LEFT,),
    masks=(TOP,),
    lines=(GATE, EXIT),
    interval=5.0,
    start=datetime(2026, 1, 1, 10, tzinfo=UTC),
    sensitivity="low",
)


def test_options_are_read_from_toml_json_and_a_payload(tmp_path):
    assert options_from(json.loads(json.dumps(options_json(FULL)))) == FULL
    (tmp_path / "a.json").write_text(json.dumps(options_json(FULL)))
    assert read_options(tmp_path / "a.json") == FULL
    (tmp_path / "a.toml").write_text(
        'interval = 5\nsensitivity = "low"\nstart = 2026-01-01T10:00:00Z\n'
        '[[regions]]\nname = "left half"\npoints = [[0, 0], [80, 0], [80, 120], [0, 120]]\n'
        '[[masks]]\nname = "sky"\npoints = [[0, 0], [160, 0], [160, 90], [0, 90]]\n'
        '[[lines]]\nname = "gate"\nstart = [80, 120]\nend = [80, 0]\n'
        '[[lines]]\nname = "exit"\nstart = [120, 0]\nend = [120, 120]\n'
    )
    assert read_options(tmp_path / "a.toml") == FULL


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"colour": 1}, "colour: unknown; known are"),
        ({"interval": "often"}, "interval: Expected `float`"),
        ({"interval": 0}, "interval: is 0.*expected 1 s or more"),
        ({"start": "2026-01-01T10:00"}, "has no zone"),
        ({"sensitivity": "extreme"}, "sensitivity: Invalid enum value 'extreme'"),
        ({"lines": [{"name": "a", "start": [1, 1], "end": [1, 1]}]}, "two different points"),
        ({"lines": [{"name": "a", "start": [1], "end": [1, 1]}]}, "length"),
        ({"regions": [{"name": "a", "points": [[0, 0], [1, 1]]}]}, "2 points; expected 3"),
        ({"masks": [{"name": "a", "points": [[0, 0], [5, 5], [9, 9]]}]}, "enclose nothing"),
        ({"masks": [{"name": "=1+1", "points": [[0, 0], [5, 5], [9, 0]]}]}, "a letter or digit"),
        (
            {"masks": [{"name": "a", "points": [[0, 0], [5, 5], [9, 0]]}] * 2},
            "'a' is given twice",
        ),
    ],
)
def test_options_that_mean_nothing_are_named(content, said):
    with pytest.raises(InvalidValueError, match=said):
        options_from(content)


def test_what_lies_outside_the_picture_is_named(tmp_path):
    outside = replace(GATE, start=Point(800, 0), end=Point(800, 90))
    with pytest.raises(InvalidValueError, match=r"lines\[gate\]: lies outside .* 160x120"):
        found(tmp_path, lines=(outside,))


def test_a_file_that_can_not_be_read_is_named(tmp_path):
    (tmp_path / "a.toml").write_text("lines = [")
    for name in ("a.toml", "none.toml"):
        with pytest.raises(InvalidValueError, match=f"{name}: can't be read"):
            read_options(tmp_path / name)
