"""What the three pillars share: opening, options in URLs, health, figures, capabilities, twins."""

import inspect
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum

import pytest

from holdfast.backend_url import options_for, parse_url
from holdfast.blocking import BlockingTwin, blocking, documented_by
from holdfast.capability import require
from holdfast.errors import ConfigurationError, UnavailableError, UnsupportedError
from holdfast.extras import needs_extra
from holdfast.health import HealthState, probed
from holdfast.opening import BlockingOpening, Opening
from holdfast.stats import OperationRecorder

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Tuning:
    timeout: float = 1.0
    size: int = 5


class Other:
    pass


class Letter(StrEnum):
    A = "the letter A"
    B = "the letter B"


class Greeter:
    async def greet(self, name, *others, loud=False):
        """Greet everybody."""
        text = " ".join((name, *others))
        return text.upper() if loud else text


class BlockingGreeter(BlockingTwin[Greeter]):
    def __init__(self):
        self.asynchronous = Greeter()

    greet = blocking(Greeter.greet)

    @documented_by(Greeter.greet)
    def by_hand(self):
        return "hand"


async def test_an_opening_is_entered_once_and_closes_what_its_block_raised():
    steps = []

    @asynccontextmanager
    async def opened():
        try:
            yield "thing"
        except LookupError:
            steps.append("saw it")
            raise
        finally:
            steps.append("closed")

    opening = Opening(opened(), "thing")
    with pytest.raises(LookupError):
        async with opening as thing:
            assert thing == "thing"
            raise LookupError
    assert steps == ["saw it", "closed"]
    with pytest.raises(RuntimeError, match="open_thing again"):
        await opening.__aenter__()


def test_a_blocking_opening_is_entered_once():
    @contextmanager
    def opened():
        yield "thing"

    opening = BlockingOpening(opened(), "thing")
    with opening as thing:
        assert thing == "thing"
    with pytest.raises(RuntimeError, match="open_thing again"):
        opening.__enter__()


def test_the_url_wins_over_options_and_options_over_defaults():
    url = parse_url("memory://?size=7", ("memory",))
    assert options_for(url, Tuning(), Tuning(timeout=3, size=6)) == Tuning(timeout=3, size=7)
    assert options_for(url, Tuning()) == Tuning(timeout=1, size=7)
    plain = parse_url("memory://", ("memory",))
    assert options_for(plain, Tuning(), Tuning(size=6)) == Tuning(size=6)


def test_options_of_another_backend_and_unknown_parameters_are_refused():
    url = parse_url("memory://?sizes=7", ("memory",))
    with pytest.raises(ConfigurationError, match=r"takes options=Tuning\(...\), not Other"):
        options_for(url, Tuning(), Other())
    with pytest.raises(ConfigurationError, match=r"'sizes'.*known: size, timeout"):
        options_for(url, Tuning())


async def test_health_is_up_when_the_probe_returns_and_down_with_the_reason_when_not():
    ticks = iter([1.0, 1.25, 2.0, 2.5])

    async def well():
        pass

    async def away():
        raise UnavailableError("nobody answers")

    up = await probed(well, clock=lambda: next(ticks))
    assert (up.state, up.latency, up.detail) == (HealthState.UP, 0.25, "")
    down = await probed(away, clock=lambda: next(ticks))
    assert (down.state, down.latency, down.detail) == (HealthState.DOWN, 0.5, "nobody answers")


async def test_a_bug_in_a_probe_escapes():
    async def buggy():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await probed(buggy)


def test_operations_are_counted_with_their_errors_bytes_and_latencies():
    recorder = OperationRecorder()
    for seconds in (0.001, 0.001, 0.001, 0.1):
        recorder.record("put", seconds, 10, failed=False)
    recorder.record("get", 0.5, failed=True)
    found = recorder.operations()
    assert list(found) == ["get", "put"]
    put = found["put"]
    assert (put.count, put.errors, put.bytes, put.success_rate) == (4, 0, 40, 1.0)
    assert 0.001 <= put.p50 <= 0.001 * 1.1
    assert 0.1 <= put.p99 <= 0.1 * 1.1
    assert found["get"].success_rate == 0.0


def test_a_missing_capability_is_refused_by_name():
    require(Letter.A, {Letter.A}, "slate")
    with pytest.raises(UnsupportedError, match="the slate backend does not support the letter B"):
        require(Letter.B, {Letter.A}, "slate")


def test_a_blocking_twin_has_the_arguments_name_signature_and_docs_of_its_original():
    greeter = BlockingGreeter()
    assert greeter.greet("a", "b", loud=True) == "A B"
    assert greeter.greet.__name__ == "greet"
    assert inspect.getdoc(greeter.greet) == "Greet everybody."
    assert inspect.getdoc(greeter.by_hand) == "Greet everybody."
    assert list(inspect.signature(BlockingGreeter.greet).parameters) == [
        "self", "name", "others", "loud",
    ]  # fmt: skip


def test_a_missing_package_is_told_with_its_extra_and_a_missing_module_of_ours_escapes():
    with (
        pytest.raises(ConfigurationError, match=r"needs wings: pip install 'holdfast\[air\]'"),
        needs_extra("air", "flying"),
    ):
        raise ModuleNotFoundError(name="wings.feathers")
    with pytest.raises(ModuleNotFoundError), needs_extra("air", "flying"):
        raise ModuleNotFoundError(name="holdfast.air")
