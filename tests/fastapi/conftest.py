import pytest

from holdfast.objects import open_bucket
from objects import s3_servers


@pytest.fixture(params=["memory", "disk", "minio"])
async def bucket(request, tmp_path):
    """An empty bucket on each kind of backend."""
    options = None
    if request.param == "minio":
        url, options = s3_servers.new_name(), s3_servers.options_of("minio")
    else:
        url = "memory://" if request.param == "memory" else f"file://{tmp_path}/bucket"
    async with open_bucket(url, options=options) as opened:
        yield opened
    if options is not None:
        s3_servers.remove(url, options)


@pytest.fixture
async def memory():
    """An empty bucket in memory."""
    async with open_bucket("memory://") as opened:
        yield opened
