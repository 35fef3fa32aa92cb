"""The real servers, named as the environment of a user's tests names them."""

from contextlib import contextmanager

import pytest

from holdfast.testing import VARIABLES
from objects import s3_servers
from servers import url_of


@contextmanager
def named_servers():
    """Let `holdfast.testing` find PostgreSQL, MinIO and Redis in the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLES["store"], url_of("postgresql"))
        options = s3_servers.options_of("minio")
        patch.setenv(
            VARIABLES["bucket"],
            f"s3://holdfast-fixture?endpoint_url={options.endpoint_url}&region=us-east-1",
        )
        patch.setenv("AWS_ACCESS_KEY_ID", options.credentials.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", options.credentials.secret_key)
        patch.setenv(VARIABLES["cache"], url_of("redis"))
        yield
