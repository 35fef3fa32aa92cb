import pytest

pytest.register_assert_rewrite("holdfast.objects.conformance")


@pytest.fixture
def anyio_backend():
    return "asyncio"
