"""What an ONNX file says of itself: opset, inputs, outputs, metadata; nothing of it is run.

Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from holdfast.models.contents.protobuf_fields import ProtobufField, ProtobufFile

if TYPE_CHECKING:
    from pathlib import Path

MOST_NAMED = 1_000
_ELEMENTS = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    8: "string", 9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
    16: "bfloat16",
}  # fmt: skip


def onnx_contents(path: Path) -> dict[str, object]:
    """Return opsets, producer, inputs, outputs, operators, metadata, counts of an ONNX file.

    A tensor is `{"name", "type", "shape"}`, where a free size is a name or None. Reads headers
    alone; weights are stepped over. *external* names files with weights beside it. Raises
    ModelFileError for what is no ONNX or beyond the bounds.
    """
    with path.open("rb") as opened:
        file = ProtobufFile(opened.fileno(), os.fstat(opened.fileno()).st_size, str(path))
        found: dict[str, object] = {"format": "onnx"}
        opsets: dict[str, int] = {}
        metadata: dict[str, str] = {}
        graphs = 0
        for field in file.fields(0, file.size):
            match field.number:
                case 1:
                    found["ir_version"] = field.value
                case 2:
                    found["producer"] = file.text(field)
                case 7:
                    graphs += 1
                    found |= _graph(file, field)
                case 8:
                    domain, version = _pair(file, field, (1, 2))
                    opsets[str(domain) or "ai.onnx"] = int(version or 0)
                case 14:
                    name, value = _pair(file, field, (1, 2))
                    if len(metadata) < MOST_NAMED:
                        metadata[str(name)] = str(value)
                case _:
                    continue
        if graphs != 1 or not opsets:
            raise file.error("it is no ONNX model: it has not one graph with an opset")
        return {**found, "opsets": opsets, "metadata": metadata}


def _graph(file: ProtobufFile, graph: ProtobufField) -> dict[str, object]:
    inputs: list[dict[str, object]] = []
    outputs: list[dict[str, object]] = []
    weights: set[str] = set()
    external: set[str] = set()
    operators: Counter[str] = Counter()
    nodes = parameters = 0
    for field in file.fields(graph.start, graph.end):
        match field.number:
            case 1:
                nodes += 1
                operator = _operator(file, field)
                if operator in operators or len(operators) < MOST_NAMED:
                    operators[operator] += 1
            case 5:
                name, count = _weight(file, field, external)
                weights.add(name)
                parameters += count
            case 11 | 12:
                named = inputs if field.number == 11 else outputs
                if len(named) == MOST_NAMED:
                    raise file.error(f"it has more than {MOST_NAMED} inputs or outputs")
                named.append(_tensor(file, field))
            case _:
                continue
    found: dict[str, object] = {
        "inputs": [each for each in inputs if each["name"] not in weights],
        "outputs": outputs,
        "nodes": nodes,
        "operators": dict(operators.most_common()),
        "parameters": parameters,
    }
    return {**found, "external": sorted(external)} if external else found


def _operator(file: ProtobufFile, node: ProtobufField) -> str:
    """Return what a node computes: `Conv`, with its domain where that is not ONNX's own."""
    name = domain = ""
    for part in file.fields(node.start, node.end):
        if part.number == 4:
            name = file.text(part)
        elif part.number == 7:
            domain = file.text(part)
    return f"{domain}.{name}" if domain else name


def _weight(file: ProtobufFile, field: ProtobufField, external: set[str]) -> tuple[str, int]:
    name, count = "", 1
    for part in file.fields(field.start, field.end):
        match part.number:
            case 1:
                for size in file.numbers(part):
                    count *= size
            case 8:
                name = file.text(part)
            case 13:
                key, value = _pair(file, part, (1, 2))
                if key == "location" and len(external) < MOST_NAMED:
                    external.add(str(value))
            case _:
                continue
    return name, min(count, 1 << 62)


def _tensor(file: ProtobufFile, field: ProtobufField) -> dict[str, object]:
    found: dict[str, object] = {"name": "", "type": "", "shape": []}
    for part in file.fields(field.start, field.end):
        if part.number == 1:
            found["name"] = file.text(part)
        elif part.number == 2:
            for kind in file.fields(part.start, part.end):
                if kind.number == 1:
                    found |= _tensor_type(file, kind)
    return found


def _tensor_type(file: ProtobufFile, field: ProtobufField) -> dict[str, object]:
    element = ""
    shape: list[object] = []
    for part in file.fields(field.start, field.end):
        if part.number == 1:
            element = _ELEMENTS.get(part.value, f"type {part.value}")
        elif part.number == 2:
            for dimension in file.fields(part.start, part.end):
                size: object = None
                for said in file.fields(dimension.start, dimension.end):
                    if said.number == 1:
                        size = min(said.value, 1 << 62)
                    elif said.number == 2:
                        size = file.text(said)
                shape.append(size)
                if len(shape) > 64:
                    raise file.error("a tensor has more than 64 dimensions")
    return {"type": element, "shape": shape}


def _pair(
    file: ProtobufFile, field: ProtobufField, numbers: tuple[int, int]
) -> tuple[str | int, str | int]:
    """Return two members of a message, a text or a number each."""
    found: dict[int, str | int] = {}
    for part in file.fields(field.start, field.end):
        if part.number in numbers:
            found[part.number] = file.text(part) if part.end > part.start else part.value or ""
    first, second = (found.get(number, "") for number in numbers)
    return first, second
