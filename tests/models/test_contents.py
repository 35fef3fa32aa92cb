"""What files say of themselves is read from headers alone, whatever they say."""

import io
import pickle
import random
import struct
import tracemalloc
import zipfile

import orjson
import pytest

from holdfast.errors import ModelFileError
from holdfast.models.contents.model_contents import file_contents, read_contents
from holdfast.models.model_tree import read_model
from models.onnx_writer import CLASSES, Network, message, number, onnx_file


def safetensors(header, body):
    said = header if isinstance(header, bytes) else orjson.dumps(header)
    return struct.pack("<Q", len(said)) + said + body


GOOD = {
    "__metadata__": {"format": "pt"},
    "bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    "weight": {"dtype": "F16", "shape": [2, 3], "data_offsets": [8, 20]},
}


class RunsCode:
    """What a pickle can do: it must never be loaded."""

    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


def torch_zip(members=(("archive/data.pkl", None), ("archive/data/0", b"1234"))):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members:
            archive.writestr(name, pickle.dumps(RunsCode()) if content is None else content)
    return file.getvalue()


@pytest.fixture
def write(tmp_path):
    def make(content, name="model.bin"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make


def test_an_onnx_file_says_its_tensors_opset_and_classes(tmp_path):
    found = file_contents(Network(batch="n").write(tmp_path / "n.onnx"))
    assert found["inputs"] == [{"name": "images", "type": "float32", "shape": ["n", 3, 128, 160]}]
    assert found["outputs"] == [{"name": "output0", "type": "float32", "shape": ["n", 6, 1280]}]
    assert (found["opsets"], found["ir_version"]) == ({"ai.onnx": 13}, 8)
    assert found["metadata"] == {"names": str(dict(enumerate(CLASSES)))}
    assert found["parameters"] == 6 + 4 * 1280 + 10
    assert found["operators"]["Concat"] == 2
    (tmp_path / "n.onnx").write_bytes(b"")
    with pytest.raises(ModelFileError, match="no ONNX"):
        file_contents(tmp_path / "n.onnx")


def test_safetensors_say_their_tensors(write):
    found = file_contents(write(safetensors(GOOD, bytes(20))))
    assert found["tensors"][1] == {"name": "weight", "type": "F16", "shape": [2, 3]}
    assert (found["count"], found["metadata"]) == (2, {"format": "pt"})


def test_a_pickle_is_flagged_and_never_run(write):
    assert file_contents(write(pickle.dumps(RunsCode()))) == {"format": "pickle", "pickle": True}
    found = file_contents(write(torch_zip()))
    assert (found["format"], found["pickle"], found["storages"]) == ("pytorch", True, 1)
    assert file_contents(write(torch_zip([("a.txt", b"x")])))["pickle"] is False
    assert file_contents(write(b"anything else")) == {}


def deep(levels):
    part = b""
    for _ in range(levels):
        part = message(2, part)
    return part


HOSTILE = {
    "safetensors: a header longer than the file": struct.pack("<Q", 1 << 40) + b"{" * 20,
    "safetensors: no JSON": safetensors(b"{" * 20, b""),
    "safetensors: deep JSON": safetensors(b'{"a":' * 100_000, b""),
    "safetensors: overlap": safetensors(
        {**GOOD, "bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 9]}}, bytes(20)
    ),
    "safetensors: a gap": safetensors({"a": GOOD["weight"]}, bytes(20)),
    "safetensors: more bytes than tensors": safetensors(GOOD, bytes(21)),
    "safetensors: negative shape": safetensors(
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}}, b""
    ),
    "safetensors: too many tensors": safetensors(
        {f"t{n}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for n in range(10_001)}, b""
    ),
    "zip: no directory": b"PK\x03\x04" + bytes(100),
    "zip: a directory of 4 GiB": torch_zip()[:-22]
    + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 0xFFFF_0000, 0, 0),
    "zip: a zip64 record behind the end": torch_zip()[:-22]
    + struct.pack("<4sLQL", b"PK\x06\x07", 0, 1 << 50, 1)
    + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFF_FFFF, 0, 0),
}
HOSTILE_ONNX = {
    "no protobuf": b"\xff" * 64,
    "a length beyond the file": b"\x3a\xff\xff\xff\xff\x0f",
    "a number without an end": b"\x08" + b"\x80" * 20,
    "two graphs": onnx_file(message(2, "a")) + message(7, message(2, "b")),
    "no graph": message(8, number(2, 13)),
    "a text of a megabyte": onnx_file() + message(2, bytes(1 << 20)),
    "a text that is no text": onnx_file() + message(2, b"\xff\xfe"),
    "too many fields": onnx_file() + b"\x08\x01" * 5_001,
    "a thousand inputs": onnx_file(*[message(11, message(1, "x"))] * 1001),
    "a tensor of many dimensions": onnx_file(
        message(11, message(2, message(1, message(2, *[message(1, number(1, 1))] * 65))))
    ),
}


@pytest.mark.parametrize("name", [*HOSTILE, *HOSTILE_ONNX])
def test_a_hostile_file_is_a_named_error_within_little_memory(write, name, monkeypatch):
    monkeypatch.setattr("holdfast.models.contents.protobuf_fields.MOST_FIELDS", 5_000)
    content = HOSTILE.get(name) or HOSTILE_ONNX[name]
    path = write(content, "model.onnx" if name in HOSTILE_ONNX else "model.bin")
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError):
            file_contents(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    (said,) = read_contents(read_model(path)).values()
    assert list(said) == ["error"], "it can be registered all the same, and is told"


def test_files_that_are_cut_or_hurt_at_random_raise_nothing_else(write):
    chance = random.Random(11)
    samples = [
        ("model.onnx", Network(size=(32, 32)).write(write(b"")).read_bytes()),
        ("model.bin", safetensors(GOOD, bytes(20))),
        ("model.bin", torch_zip()),
    ]
    outcomes = set()
    for turn in range(600):
        name, content = samples[turn % 3]
        hurt = bytearray(content[: chance.randrange(len(content))] if turn % 2 else content)
        for _ in range(chance.randrange(1, 6)):
            if hurt:
                hurt[chance.randrange(len(hurt))] = chance.randrange(256)
        try:
            file_contents(write(bytes(hurt), name))
            outcomes.add("read")
        except ModelFileError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}
