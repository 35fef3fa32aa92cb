"""The tools stand beside the package and are not installed: they are imported from the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
if str(CHECKOUT) not in sys.path:
    sys.path.insert(0, str(CHECKOUT))

from tools.services.endpoints import known, variable  # noqa: E402
from tools.services.lifecycle import stop  # noqa: E402
from tools.services.registry import SERVERS  # noqa: E402 - only now can it be found


@pytest.fixture(autouse=True)
def _no_servers_of_ones_own(monkeypatch):
    for name in known():
        monkeypatch.delenv(variable(name), raising=False)


@pytest.fixture
def folder(tmp_path):
    """An own set of servers; whatever still runs there is ended."""
    place = tmp_path / ".services"
    yield place
    stop(SERVERS, place)
