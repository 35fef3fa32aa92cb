"""The cores that `make mutation` changes are there, and so are the tests that have to notice."""

from pathlib import Path

import pytest
from tools.mutation.cores import CORES

CHECKOUT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", CORES)
def test_a_core_names_modules_and_tests_that_there_are(name):
    core = CORES[name]
    paths = [f"src/holdfast/{module}.py" for module in core.modules]
    paths += [test.partition("::")[0] for test in core.tests]
    assert [path for path in paths if not (CHECKOUT / path).is_file()] == []
    for test in core.tests:
        path, _, kind = test.partition("::")
        assert not kind or f"class {kind}(" in (CHECKOUT / path).read_text(encoding="utf-8")
