import pytest

from named_servers import named_servers


@pytest.fixture(scope="module", autouse=True)
def servers():
    """Name the real servers as a user's environment does."""
    with named_servers():
        yield
