import pytest

pytest.register_assert_rewrite("holdfast.records.conformance")


@pytest.fixture
def anyio_backend():
    return "asyncio"
