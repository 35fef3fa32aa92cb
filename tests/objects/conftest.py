import os
import shutil
import tempfile
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def fast_folder(tmp_path):
    """A folder for thousands of writes: in memory where the system has such a place."""
    folder = Path(tempfile.mkdtemp(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else tmp_path))
    yield folder
    shutil.rmtree(folder)
