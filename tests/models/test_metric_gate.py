"""A gate reads one metric, beside a number or the current version, and says why it refuses."""

import pytest

from holdfast.errors import InvalidQueryError
from holdfast.models.metric_gate import MetricGate, parse_gate


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        (">=", (0.5, 0.6)), ("<=", (0.4, 0.5)), (">", (0.6,)), ("<", (0.4,)), ("==", (0.5,)),
    ],
)  # fmt: skip
def test_each_comparison_passes_what_it_says_and_nothing_else(text, passes):
    for bound, current in ((0.5, None), ("current", {"mAP": 0.5})):
        gate = parse_gate(f"mAP {text} {bound}")
        for value in (0.4, 0.5, 0.6):
            assert (gate.refusal({"mAP": value}, current) is None) is (value in passes)


def test_a_refusal_says_the_gate_the_value_and_what_it_was_held_against():
    fixed, beside = parse_gate("mAP>=0.9"), parse_gate("  loss.val  <  current ")
    assert fixed.refusal({"mAP": 0.5}, {"mAP": 0.1}) == "mAP >= 0.9: it is 0.5"
    assert (
        beside.refusal({"loss.val": 2}, {"loss.val": 1.5}) == "loss.val < current: it is 2, not 1.5"
    )


def test_what_has_no_such_metric_does_not_pass():
    fixed, beside = parse_gate("mAP >= 0.9"), parse_gate("mAP > current")
    assert fixed.refusal({}, None) == "mAP >= 0.9: the version has no metric mAP"
    assert fixed.refusal({"mAP": "good"}, None) == "mAP >= 0.9: the version has no metric mAP"
    assert (
        beside.refusal({"mAP": 1.0}, {"ms": 3}) == "mAP > current: the current version has no "
        "metric mAP"
    )


def test_the_first_version_passes_beside_none():
    assert parse_gate("mAP > current").refusal({"mAP": 0.1}, None) is None


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("a>1", MetricGate("a", ">", 1.0)),
        (" precision/night@50 <= -1.5e-3 ", MetricGate("precision/night@50", "<=", -0.0015)),
        ("9lives == .5", MetricGate("9lives", "==", 0.5)),
        ("a >= 3.", MetricGate("a", ">=", 3.0)),
        ("a < current", MetricGate("a", "<", None)),
    ],
)
def test_a_gate_is_read_as_it_is_written(text, gate):
    assert parse_gate(text) == gate


@pytest.mark.parametrize("text", ["", "mAP", "mAP >=", "> 1", "mAP = 1", "mAP > 1 2", "m > now"])
def test_what_is_no_gate_is_refused_and_told_how_one_is_written(text):
    with pytest.raises(InvalidQueryError) as refused:
        parse_gate(text)
    assert str(refused.value) == (
        f"a gate {text!r}: expected a metric, one of > >= < <= ==, and a number or `current`, as "
        "in `mAP >= 0.9` or `mAP > current`"
    )
