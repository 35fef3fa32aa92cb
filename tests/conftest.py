"""The order of the tests, for the workers among whom they are dealt out module by module."""

import gc
import os
from pathlib import Path

import pytest

from clock import Clock

# Before anything imports them: also the suites of other rooms use them.
pytest.register_assert_rewrite(
    "holdfast.records.conformance", "holdfast.objects.conformance", "holdfast.cache.conformance"
)

# Random work is done awaited and blocking, on each of nine stores, and `make hunt` does far more.
os.environ.setdefault("HOLDFAST_CONFORMANCE_EXAMPLES", "10")

LONG = (
    "web/test_schemathesis.py",
    "integrations/sqlalchemy/test_conformance.py",
    "records/sql/test_conformance.py",
    "cli/test_processes.py",
    "test_docs.py",
    "media/test_analysis.py",
    "cli/test_on_servers.py",
    "records/sql/test_pgbouncer.py",
    "cli/test_crashes.py",
    "objects/test_s3_conformance.py",
    "cli/test_refusals.py",
    "test_types.py",
    "fastapi/test_schemathesis.py",
    "media/test_decoder_process.py",
    "records/migrations/test_refusing.py",
    "records/migrations/test_moving.py",
    "objects/test_disk_crashes.py",
    "objects/test_foreign_tools.py",
    "objects/test_bounded_memory.py",
)
"""What takes long, longest first: begun last, one of them would keep one worker alone."""

CAMPAIGNS = (
    # Programs and servers are killed, restarted and cut off, again and again.
    "audit/test_killed_sequencer.py",
    "cache/test_slow_line.py",
    "cli/test_crashes.py",
    "cli/test_on_servers.py",
    "hosts/test_kills.py",
    "jobs/test_killed_claims.py",
    "jobs/test_killed_steps.py",
    "jobs/test_server_death.py",
    "jobs/test_server_faults.py",
    "models/test_crash_safety.py",
    "objects/test_disk_crashes.py",
    "objects/test_several_nodes.py",
    "records/sql/test_death.py",
    # An API is asked at random, and stores are.
    "fastapi/test_schemathesis.py",
    "hunt/test_hunts.py",
    "web/test_schemathesis.py",
    # The public suite again, on servers that it has passed on by themselves.
    "integrations/sqlalchemy/test_conformance.py::TestMariaDB",
    "integrations/sqlalchemy/test_conformance.py::TestMySQL",
    "integrations/sqlalchemy/test_conformance.py::TestPostgreSQL",
    "records/sql/test_pgbouncer.py",
    # Every way that the guide of migrations tells, on each database.
    "records/migrations/test_documented.py",
    "records/migrations/test_moving.py",
    # What installs and starts the servers, and the other Pythons; what makes a release.
    "release/",
    "services/",
)
"""What `make campaigns` runs and `make test` leaves out; a whole folder, module or class."""

for _name in (*LONG, *CAMPAIGNS):
    _path = Path(__file__).parent / _name.partition("::")[0]
    assert _path.exists(), f"{_name} is no longer there: {__file__}"


def pytest_itemcollected(item):
    """Mark what belongs to a campaign."""
    name = item.nodeid.removeprefix("tests/")
    if name.startswith(CAMPAIGNS):
        item.add_marker("campaign")


def pytest_collection_modifyitems(items):
    """Put the modules of LONG before all others; within a module nothing moves."""
    places = {f"tests/{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_sessionstart():
    """Collect tests without collecting garbage: all that is made then stays to the end."""
    gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(autouse=True, scope="module")
def _what_a_module_leaves_open_is_its_own_failure():
    """Collect garbage when a module ends: a socket in it would warn in somebody else's test.

    What lives on is not walked again for each module that follows, but once, when all have ended.
    """
    yield
    gc.collect()
    gc.freeze()


def pytest_sessionfinish():
    gc.unfreeze()
    gc.collect()
    gc.freeze()
