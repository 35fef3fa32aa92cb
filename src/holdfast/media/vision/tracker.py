"""The tracker: follows things from frame to frame, so that each keeps one number.

Every follower predicts where its thing will be, at constant velocity. Sightings go to the
predictions that they overlap best; pieces of one thing are joined, and where things pass before
one another each keeps its own size and way through the joint patch. A thing gets its number only
once it has been seen often enough and has come far enough; until then it is a guess that leaves
no trace when it dies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from holdfast.media.vision.detector import Box, Detection, Findings, Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.media.video_info import VideoInfo

_INSIDE = 0.6  # the share of a box inside another from which it counts as a part of it
_PULL = 0.3  # how far boxes in a joint patch are drawn towards filling it
_DENSE = 0.55  # the share of their joint box that pieces of one thing fill
_OTHER_CLASS = 0.5  # by what it is less likely that a thing of another class is the same one
_STILL = Point(0.0, 0.0)
_NOWHERE = Box(0.0, 0.0, 0.0, 0.0)


class Sighting(NamedTuple):
    """Something seen in one frame, not yet known as anything. *score* is from 0 to 1.

    *label* is its class, '' where the tracker's own label stands for all.
    """

    box: Box
    score: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    """What makes a track. Times are in seconds, *distance* is a share of the picture's diagonal.

    A thing counts once it was seen for *age* and came *distance* far within *patience*; it is
    followed unseen for *unseen*, and gaps up to *gap* are filled by going straight. With a
    distance of 0 what stands still counts too.
    """

    age: float = 0.4
    distance: float = 0.02
    patience: float = 4.0
    unseen: float = 2.0
    gap: float = 0.6

    def __post_init__(self) -> None:
        for name in ("age", "patience", "unseen", "gap"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected above 0")
        if not self.distance >= 0:
            raise ValueError(f"distance is {self.distance}; expected 0 or above")


@dataclass(slots=True, eq=False)
class _Follower:
    box: Box
    history: list[Detection]  # of a guess: all it has; of a track: the last one
    number: int = 0  # 0 is a guess
    velocity: Point = _STILL  # pixels a frame
    hits: int = 1
    parted: bool = False  # it came out of something that is followed
    predicted: Box = _NOWHERE

    @property
    def last(self) -> Detection:
        return self.history[-1]


class Tracker:
    """Numbers what is seen in one video. Memory is bounded by what is in the picture at once."""

    def __init__(self, options: TrackerOptions, video: VideoInfo, label: str) -> None:
        rate = float(video.frame_rate)
        self._label = label
        self._size = (float(video.width), float(video.height))
        self._hits = max(3, round(options.age * rate))
        self._far = options.distance * math.hypot(*self._size)
        self._patience = max(self._hits + 1, round(options.patience * rate))
        self._unseen = max(2, round(options.unseen * rate))
        self._gap = max(1, round(options.gap * rate))
        self._followers: list[_Follower] = []
        self._numbers = 0

    def follow(self, frame: int, time: float, sightings: Sequence[Sighting]) -> Findings:
        """Take what is seen in *frame*, the next one."""
        for follower in self._followers:
            steps = min(frame - follower.last.frame, self._gap * 2)
            follower.predicted = _moved(follower.box, follower.velocity, steps)
        news: list[Detection] = []
        taken: set[int] = set()
        matched: set[int] = set()
        for follower, sighting, parts, shared in self._assign(sightings):
            taken.update(parts)
            matched.add(id(follower))
            news += self._see(follower, frame, time, sighting, shared=shared)
        self._followers = [
            follower
            for follower in self._followers
            if id(follower) in matched or self._still_awaited(follower, frame)
        ]
        for index, sighting in enumerate(sightings):
            if index not in taken:
                first = self._detection(frame, time, 0, sighting)
                parted = any(
                    known.number and known.predicted.overlap(sighting.box) > 0.3 * sighting.box.area
                    for known in self._followers
                )
                self._followers.append(_Follower(sighting.box, [first], parted=parted))
        return Findings(news, self._settled(frame))

    def forget_guesses(self) -> None:
        """Let go of what is no track yet: it was seen while all of the picture changed."""
        self._followers = [follower for follower in self._followers if follower.number]

    def finish(self) -> Findings:
        """Nothing more comes: guesses die."""
        self._followers.clear()
        return Findings([], 1 << 62)

    def _assign(
        self, sightings: Sequence[Sighting]
    ) -> list[tuple[_Follower, Sighting, tuple[int, ...], bool]]:
        """Followers with what each sees: a sighting, which ones it is made of, and if shared."""
        free = set(range(len(sightings)))
        waiting = dict(enumerate(self._followers))
        given: list[tuple[_Follower, Sighting, tuple[int, ...], bool]] = []
        for index, sighting in enumerate(sightings):
            within = [
                key
                for key, follower in waiting.items()
                if follower.number
                and follower.predicted.overlap(sighting.box)
                >= _INSIDE * max(1.0, follower.predicted.area)
            ]
            if len(within) > 1 and self._is_joint(sighting, [waiting[key] for key in within]):
                free.discard(index)
                followers = [waiting.pop(key) for key in within]
                boxes = _fitted([each.predicted for each in followers], sighting.box)
                given += [
                    (follower, sighting._replace(box=box, score=sighting.score / 2), (index,), True)
                    for follower, box in zip(followers, boxes, strict=True)
                ]
        pairs = sorted(
            (
                (-closeness, not follower.number, key, index)
                for key, follower in waiting.items()
                for index in free
                if (closeness := self._closeness(follower, sightings[index])) > 0
            ),
        )
        for _, _, key, index in pairs:
            if key in waiting and index in free:
                follower = waiting.pop(key)
                free.discard(index)
                parts = [index]
                whole = sightings[index]
                for other in sorted(free):
                    piece = sightings[other]
                    inside = follower.predicted.overlap(piece.box) / max(1.0, piece.box.area)
                    joined = whole.box.union(piece.box)
                    if (
                        inside >= _INSIDE
                        and whole.box.area + piece.box.area >= _DENSE * joined.area
                        and joined.likeness(follower.predicted)
                        > whole.box.likeness(follower.predicted)
                    ):
                        whole = whole._replace(box=joined, score=max(whole.score, piece.score))
                        parts.append(other)
                free.difference_update(parts)
                given.append((follower, whole, tuple(parts), False))
        return given

    def _is_joint(self, sighting: Sighting, within: list[_Follower]) -> bool:
        biggest = max(follower.predicted.area for follower in within)
        apart = min(
            1 - one.predicted.likeness(other.predicted)
            for at, one in enumerate(within)
            for other in within[at + 1 :]
        )
        return sighting.box.area > 1.15 * biggest or apart < 0.9

    def _closeness(self, follower: _Follower, sighting: Sighting) -> float:
        """Above 0 when *sighting* may be the follower's thing; more is likelier."""
        was, box = follower.predicted, sighting.box
        room = 2 * (was.width + was.height + box.width + box.height)
        if abs(was.x - box.x) + abs(was.y - box.y) > room:
            return 0.0  # most pairs are far apart, and this is cheap
        likeness = follower.predicted.likeness(box)
        ahead, there = follower.predicted.centre, box.centre
        distance = math.hypot(ahead.x - there.x, ahead.y - there.y)
        size = math.sqrt(max(follower.predicted.area, box.area, 1.0))
        reach = size * (0.9 if follower.hits < self._hits else 0.6)
        if likeness < 0.05 and distance > reach:
            return 0.0
        ratio = box.area / max(1.0, follower.predicted.area)
        if not 0.1 < ratio < 10:
            return 0.0
        near = max(0.0, 1 - distance / (2 * size)) * 0.5
        same = 1.0 if sighting.label in {"", follower.last.label} else _OTHER_CLASS
        return (likeness + near) * same + (0.2 if follower.number else 0)

    def _see(
        self, follower: _Follower, frame: int, time: float, sighting: Sighting, *, shared: bool
    ) -> list[Detection]:
        last = follower.last
        steps = frame - last.frame
        seen = sighting.box
        shift = Point(
            seen.centre.x - follower.predicted.centre.x,
            seen.centre.y - follower.predicted.centre.y,
        )
        # Young things learn their velocity fast; in a joint patch little can be learnt.
        gain = 0.06 if shared else 0.6 * min(0.25 + 1.5 / (follower.hits + 1), 0.8)
        follower.velocity = Point(
            follower.velocity.x + gain * shift.x / steps,
            follower.velocity.y + gain * shift.y / steps,
        )
        box = _blend(follower.predicted, seen, follower.hits)
        follower.hits += 1
        before = follower.box
        follower.box = box
        if follower.number:
            sighting = sighting._replace(label=last.label)
        now = self._detection(frame, time, follower.number, sighting._replace(box=box))
        if not follower.number:
            follower.history.append(now)
            while follower.history[0].frame <= frame - self._patience:
                del follower.history[0]
            return self._promote(follower)
        filled: list[Detection] = []
        if 1 < steps <= self._gap:
            for step in range(1, steps):
                share = step / steps
                between = Box(*(a + (b - a) * share for a, b in zip(before, box, strict=True)))
                moment = last.time + (time - last.time) * share
                score = min(last.score, now.score) / 2
                guessed = Sighting(between, score, last.label)
                filled.append(self._detection(last.frame + step, moment, follower.number, guessed))
        follower.history = [now]
        return [*filled, now]

    def _promote(self, follower: _Follower) -> list[Detection]:
        """The whole history, numbered, once the guess has proved itself; else nothing."""
        start, here = follower.history[0].box.centre, follower.box.centre
        if follower.parted:
            proved = follower.hits >= 2 * self._hits
        else:
            far = math.hypot(here.x - start.x, here.y - start.y) >= self._far
            proved = far and len(follower.history) >= self._hits
        if not proved:
            return []
        self._numbers += 1
        follower.number = self._numbers
        label = _likeliest(follower.history)
        known = [
            Detection(past.frame, past.time, follower.number, label, past.score, past.box)
            for past in follower.history
        ]
        follower.history = [known[-1]]
        return known

    def _still_awaited(self, follower: _Follower, frame: int) -> bool:
        centre = follower.predicted.centre
        if not (0 <= centre.x <= self._size[0] and 0 <= centre.y <= self._size[1]):
            return False
        patience = self._unseen if follower.number else min(follower.hits, self._gap)
        return frame - follower.last.frame <= patience

    def _settled(self, frame: int) -> int:
        """Guesses may still bring up their past, and short gaps may still be filled."""
        settled = frame + 1
        for follower in self._followers:
            if not follower.number:
                settled = min(settled, follower.history[0].frame)
            elif follower.last.frame < frame <= follower.last.frame + self._gap:
                settled = min(settled, follower.last.frame + 1)
        return settled

    def _detection(self, frame: int, time: float, number: int, seen: Sighting) -> Detection:
        label, box = seen.label or self._label, seen.box.clipped(*self._size)
        return Detection(frame, time, number, label, round(seen.score, 4), box)


def _likeliest(history: Sequence[Detection]) -> str:
    """Return the class with the greatest sum of scores; a track keeps it."""
    sums: dict[str, float] = {}
    for each in history:
        sums[each.label] = sums.get(each.label, 0.0) + each.score
    return max(sums, key=lambda label: sums[label])


def _moved(box: Box, velocity: Point, steps: int) -> Box:
    return Box(box.x + velocity.x * steps, box.y + velocity.y * steps, box.width, box.height)


def _fitted(boxes: Sequence[Box], patch: Box) -> list[Box]:
    """*boxes* moved, each of its own size, so that together they lie over *patch*."""
    whole = boxes[0]
    for box in boxes[1:]:
        whole = whole.union(box)
    across = patch.width / max(1.0, whole.width)
    down = patch.height / max(1.0, whole.height)
    fitted = []
    for box in boxes:
        x = patch.x + (box.centre.x - whole.x) * across - box.width / 2
        y = patch.y + (box.centre.y - whole.y) * down - box.height / 2
        x, y = box.x + _PULL * (x - box.x), box.y + _PULL * (y - box.y)
        x = min(max(x, patch.x), max(patch.x, patch.x + patch.width - box.width))
        y = min(max(y, patch.y), max(patch.y, patch.y + patch.height - box.height))
        fitted.append(Box(x, y, box.width, box.height))
    return fitted


def _blend(predicted: Box, seen: Box, hits: int) -> Box:
    """Trust in the prediction grows with age: edges don't jitter, yet follow what is seen."""
    trust = 0.0 if hits < 2 else 0.3
    return Box(*(trust * p + (1 - trust) * s for p, s in zip(predicted, seen, strict=True)))
