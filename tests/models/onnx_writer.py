"""Writes small ONNX files, message by message, and networks that find coloured vehicles.

The network is real: a 1x1 convolution says how red and how blue each pixel is, a pooling makes
cells of it, and each cell stands for a box of fixed size around its middle. So it finds boxes of
about that size in clear colours, as the heads of YOLO v5, v8 and v10 would say it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

CLASSES = ("red vehicle", "blue vehicle")
_FLOAT, _INT64 = 1, 7


def varint(value):
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(parts) + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def message(field, *parts):
    content = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return varint(field << 3 | 2) + varint(len(content)) + content


def node(kind, inputs, output, **attributes):
    return message(
        1,
        *(message(1, name) for name in inputs),
        message(2, output),
        message(4, kind),
        *(_attribute(name, value) for name, value in attributes.items()),
    )


def _attribute(name, value):
    if isinstance(value, int):
        return message(5, message(1, name), number(3, value), number(20, 2))
    return message(5, message(1, name), *(number(8, each) for each in value), number(20, 7))


def weights(name, shape, values, kind=_FLOAT):
    packed = struct.pack(f"<{len(values)}{'f' if kind == _FLOAT else 'q'}", *values)
    sizes = [number(1, size) for size in shape]
    return message(5, *sizes, number(2, kind), message(8, name), message(9, packed))


def tensor(field, name, shape):
    sizes = [
        message(1, message(2, size) if isinstance(size, str) else number(1, size)) for size in shape
    ]
    return message(
        field,
        message(1, name),
        message(2, message(1, number(1, _FLOAT), message(2, *sizes))),
    )


def onnx_file(*parts, metadata=(), opset=13):
    """The bytes of a model whose graph has *parts*."""
    graph = message(7, *parts, message(2, "vehicles"))
    said = [message(14, message(1, key), message(2, value)) for key, value in metadata]
    return b"".join(
        [number(1, 8), message(2, "holdfast"), graph, message(8, number(2, opset)), *said]
    )


@dataclass(frozen=True)
class Network:
    """A network for pictures of *size* pixels, whose things are *thing* pixels; see the module."""

    head: str = "v8"
    size: tuple[int, int] = (160, 128)
    thing: tuple[int, int] = (28, 24)
    stride: int = 4
    batch: object = 1
    names: str = str(dict(enumerate(CLASSES)))

    def write(self, path):
        """Write it to *path*, and return that."""
        metadata = [("names", self.names)] if self.names else []
        path.write_bytes(onnx_file(*self._graph(), metadata=metadata))
        return path

    def _graph(self):
        (width, height), (wide, tall), stride = self.size, self.thing, self.stride
        columns, rows = width // stride, height // stride
        cells = columns * rows
        middles = [(column + 0.5) * stride for _ in range(rows) for column in range(columns)]
        middles += [(row + 0.5) * stride for row in range(rows) for _ in range(columns)]
        boxes = [*middles, *[float(wide)] * cells, *[float(tall)] * cells]
        yield tensor(11, "images", [self.batch, 3, height, width])
        yield weights("colours", (2, 3, 1, 1), [9.0, -9.0, -9.0, -9.0, -9.0, 9.0])
        yield node("Conv", ["images", "colours"], "coloured")
        yield node("Clip", ["coloured", "zero", "one"], "clear")
        yield weights("zero", (), [0.0])
        yield weights("one", (), [1.0])
        # A window of the thing's own size is full over its middle alone.
        pads = [(tall - stride) // 2, (wide - stride) // 2] * 2
        yield node(
            "AveragePool", ["clear"], "filled",
            kernel_shape=[tall, wide], strides=[stride, stride], pads=pads,
        )  # fmt: skip
        yield weights("most", (), [0.75])
        yield weights("gain", (), [4.0])
        yield node("Sub", ["filled", "most"], "above")
        yield node("Mul", ["above", "gain"], "steep")
        yield node("Clip", ["steep", "zero", "one"], "pooled")
        yield weights("flat", (3,), [0, 2, cells], _INT64)
        if self.head == "v8":
            yield node("Reshape", ["pooled", "flat"], "scores")
            yield from self._spread(boxes, (1, 4, cells), "v8")
            yield node("Concat", ["boxes", "scores"], "output0", axis=1)
            yield tensor(12, "output0", [self.batch, 6, cells])
        elif self.head == "v5":
            yield node("Reshape", ["pooled", "flat"], "scores")
            yield from self._spread(boxes + [1.0] * cells, (1, 5, cells), "v5")
            yield node("Concat", ["boxes", "scores"], "all", axis=1)
            yield node("Transpose", ["all"], "output0", perm=[0, 2, 1])
            yield tensor(12, "output0", [self.batch, cells, 7])
        else:  # with NMS: of neighbouring cells the best alone keeps its score
            yield node(
                "MaxPool", ["pooled"], "best",
                kernel_shape=[7, 7], strides=[1, 1], pads=[3, 3, 3, 3],
            )  # fmt: skip
            yield node("Equal", ["pooled", "best"], "is_best")
            yield node("Cast", ["is_best"], "kept", to=_FLOAT)
            yield node("Mul", ["pooled", "kept"], "peaks")
            yield node("Reshape", ["peaks", "flat"], "scores")
            yield node("ReduceMax", ["scores"], "score", axes=[1], keepdims=1)
            yield node("ArgMax", ["scores"], "number", axis=1, keepdims=1)
            yield node("Cast", ["number"], "class", to=_FLOAT)
            corners = [
                x + sign * half
                for sign in (-1, 1)
                for values, half in ((middles[:cells], wide / 2), (middles[cells:], tall / 2))
                for x in values
            ]
            yield from self._spread(corners, (1, 4, cells), "v10")
            yield node("Concat", ["boxes", "score", "class"], "all", axis=1)
            yield node("Transpose", ["all"], "output0", perm=[0, 2, 1])
            yield tensor(12, "output0", [self.batch, cells, 6])

    def _spread(self, boxes, shape, name):
        """The boxes, once for each picture of the batch."""
        yield weights(f"{name}_boxes", shape, boxes)
        yield node("Shape", ["scores"], "shape")
        yield weights("first", (1,), [0], _INT64)
        yield node("Gather", ["shape", "first"], "count", axis=0)
        yield weights("rest", (2,), [1, 1], _INT64)
        yield node("Concat", ["count", "rest"], "times", axis=0)
        yield node("Tile", [f"{name}_boxes", "times"], "boxes")
