"""The graph of a workflow as SVG, made on the server: jobs in columns by what they wait for.

Jobs of one name in one column are one node, so that a fan-out over thousands stays legible.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, TypeAlias

from holdfast.jobs import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from holdfast.jobs import Job, JobDependency

MOST_NODES = 60
MOST_LINES = 240
NODE_WIDTH, NODE_HEIGHT = 136, 44
_ACROSS, _DOWN = 34, 14  # between columns, and between the nodes of one
_EDGE = 8
# How a node of several jobs is toned: by the first of these that one of them is in.
_TELLING = (
    JobStatus.FAILED,
    JobStatus.RUNNING,
    JobStatus.QUEUED,
    JobStatus.CANCELLED,
    JobStatus.WAITING,
    JobStatus.SUCCEEDED,
)
_Group: TypeAlias = tuple[int, str]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A job, or several of one name, at a place; *job_id* where it is one.

    *status* is the one that says most of them, *said* tells how many have it, *title* of all.
    """

    label: str
    status: JobStatus
    said: str
    title: str
    job_id: UUID | None
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class WorkflowGraph:
    """A graph as its template draws it: *lines* are paths, *left_out* counts nodes without room."""

    nodes: tuple[GraphNode, ...]
    lines: tuple[str, ...]
    width: int
    height: int
    left_out: int


def workflow_graph(jobs: Sequence[Job], links: Sequence[JobDependency]) -> WorkflowGraph | None:
    """Return the graph of *jobs*, None where no link joins two of them; other links are left out.

    It has at most MOST_NODES nodes and MOST_LINES lines, those of the first columns.
    """
    by_id = {job.id: job for job in jobs}
    after: dict[UUID, set[UUID]] = {job.id: set() for job in jobs}
    for link in links:
        if link.job_id in by_id and link.on_id in by_id:
            after[link.job_id].add(link.on_id)
    if not any(after.values()):
        return None
    depths = _depths(after)
    group_of: dict[UUID, _Group] = {job.id: (depths[job.id], job.name or job.task) for job in jobs}
    members: dict[_Group, list[Job]] = defaultdict(list)
    for job in jobs:
        members[group_of[job.id]].append(job)
    befores: dict[_Group, set[_Group]] = defaultdict(set)
    for job_id, ons in after.items():
        befores[group_of[job_id]].update(group_of[on_id] for on_id in ons)
    places = _places(members, befores)
    nodes = tuple(_node(members[group], *place) for group, place in places.items())
    lines = [
        _line(places[before], places[group])
        for group in places
        for before in sorted(befores[group])
        if before in places
    ]
    return WorkflowGraph(
        nodes=nodes,
        lines=tuple(lines[:MOST_LINES]),
        width=max(x for x, _ in places.values()) + NODE_WIDTH + _EDGE,
        height=max(y for _, y in places.values()) + NODE_HEIGHT + _EDGE,
        left_out=len(members) - len(places),
    )


def _depths(after: Mapping[UUID, set[UUID]]) -> dict[UUID, int]:
    """Return how many jobs stand one behind another before each."""
    depths: dict[UUID, int] = {}
    for job_id in TopologicalSorter(after).static_order():
        depths[job_id] = max((depths[on_id] + 1 for on_id in after[job_id]), default=0)
    return depths


def _places(
    members: Mapping[_Group, Sequence[Job]], befores: Mapping[_Group, set[_Group]]
) -> dict[_Group, tuple[int, int]]:
    """Return where each group stands: beside those that it waits for, as far as may be."""
    columns: dict[int, list[_Group]] = defaultdict(list)
    for group in sorted(members, key=lambda group: group[0])[:MOST_NODES]:
        columns[group[0]].append(group)
    tallest = max(len(column) for column in columns.values())
    places: dict[_Group, tuple[int, int]] = {}

    def height(group: _Group) -> float:
        known = [places[each][1] for each in befores.get(group, ()) if each in places]
        return sum(known) / len(known) if known else 0.0

    for depth, column in columns.items():
        column.sort(key=height)  # equal ones stay as their jobs were added
        top = (tallest - len(column)) * (NODE_HEIGHT + _DOWN) // 2
        for row, group in enumerate(column):
            x = _EDGE + depth * (NODE_WIDTH + _ACROSS)
            places[group] = (x, _EDGE + top + row * (NODE_HEIGHT + _DOWN))
    return places


def _node(jobs: Sequence[Job], x: int, y: int) -> GraphNode:
    counts = Counter(job.status for job in jobs)
    name = jobs[0].name or jobs[0].task
    status = next(status for status in _TELLING if counts[status])
    every = ", ".join(f"{counts[each]} {each.value}" for each in _TELLING if counts[each])
    title = f"{name}: {every}"
    if len(jobs) == 1:
        return GraphNode(name, status, status.value, title, jobs[0].id, x, y)
    number = counts[status]
    share = number if number == len(jobs) else f"{number} of {len(jobs)}"
    return GraphNode(name, status, f"{share} {status.value}", title, None, x, y)


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    """Return the path from the right of one node to the left of another."""
    x1, y1 = start[0] + NODE_WIDTH, start[1] + NODE_HEIGHT // 2
    x2, y2 = end[0], end[1] + NODE_HEIGHT // 2
    bend = _ACROSS // 2
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
