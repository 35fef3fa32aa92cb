"""Pictures as they are meant to be seen: fields joined, high dynamic range brought down."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import av.error
from av.filter import Graph
from av.video.frame import VideoFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.filter.context import FilterContext

_PQ, _HLG = 16, 18  # transfer characteristics of high dynamic range, as ITU-T H.273 numbers them
_JOINED = ("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
# The scaler maps tones where the two sides differ in transfer; BT.709 is what browsers expect.
_STANDARD = (
    "scale",
    "out_color_matrix=bt709:out_primaries=bt709:out_transfer=bt709:out_range=tv:intent=perceptual",
)


class _Kind(NamedTuple):
    """What a graph of filters is made for."""

    width: int
    height: int
    format: str
    colours: tuple[int, int]
    interlaced: bool
    bright: bool


class PictureFilters:
    """Passes the pictures of one video through what they need, in order, one for one.

    A picture that needs nothing comes back as it is.
    """

    def __init__(self) -> None:
        self._kind: _Kind | None = None
        self._graph: Graph | None = None

    def take(self, picture: VideoFrame) -> Iterator[VideoFrame]:
        """Give the next picture, and yield those that are ready, perhaps of before."""
        kind = _kind_of(picture)
        # Once there is one field, all pictures go this way: a film may mix both.
        if self._kind is not None and self._kind.interlaced:
            kind = kind._replace(interlaced=True)
        if kind != self._kind:
            yield from self.flush()
            self._kind = kind
            self._graph = _graph(kind) if kind.interlaced or kind.bright else None
        if self._graph is None:
            yield picture
            return
        if picture.time_base is None or picture.pts is None:
            picture.pts, picture.time_base = 0, Fraction(1, 25)  # the times are kept apart
        self._graph.push(picture)
        yield from _pulled(self._graph)

    def flush(self) -> Iterator[VideoFrame]:
        """Yield what is left."""
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.push(None)
            yield from _pulled(graph)


def _kind_of(picture: VideoFrame) -> _Kind:
    return _Kind(
        picture.width,
        picture.height,
        picture.format.name,
        (int(picture.colorspace), int(picture.color_range)),
        bool(picture.interlaced_frame),
        int(picture.color_trc) in (_PQ, _HLG),
    )


def _graph(kind: _Kind) -> Graph:
    graph = Graph()
    matrix, span = kind.colours
    last: FilterContext = graph.add(
        "buffer",
        f"video_size={kind.width}x{kind.height}:pix_fmt={kind.format}:time_base=1/90000:"
        f"colorspace={matrix}:range={span}",
    )
    steps = [_JOINED] if kind.interlaced else []
    if kind.bright:
        steps += [_STANDARD, ("format", "yuv420p")]
    for name, arguments in [*steps, ("buffersink", "")]:
        following = graph.add(name, arguments) if arguments else graph.add(name)
        last.link_to(following)
        last = following
    graph.configure()
    return graph


def _pulled(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            picture = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        if isinstance(picture, VideoFrame):
            yield picture
