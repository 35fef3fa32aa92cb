"""The examples of docs/cache.md run."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import preloaded
from holdfast.cache import CacheOptions

UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20}
PAGE = Path(__file__).parents[2] / "docs" / "cache.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_runs(tmp_path, example):
    ended = preloaded.run(example, cwd=tmp_path, flags=("-W", "error"), timeout=600)
    assert ended.returncode == 0, ended.stderr


def test_the_options_are_all_there_with_their_defaults():
    rows = re.findall(
        r"^\| (`.+?`) \| (.*?) ?\| .* \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    told = {}
    for names, defaults in rows:
        for name, default in zip(re.findall(r"`(\w+)`", names), defaults.split(", "), strict=False):
            told[name] = default.strip("`")
    for option in fields(CacheOptions):
        number, _, unit = told[option.name].partition(" ")
        expected = option.default
        if isinstance(expected, str):
            assert told[option.name] == expected
        else:
            assert float(number) * UNITS[unit] == expected


def test_there_are_examples():
    assert len(EXAMPLES) == 3
