"""What tests of DynamoDB share: the vendor's own client."""

from contextlib import ExitStack, closing

import pytest
from botocore.session import Session

from dynamodb_servers import REGION, endpoint_of


@pytest.fixture(scope="module")
def clients():
    """Return the vendor's client of an emulator, by the emulator's name."""
    with ExitStack() as stack:

        def client_of(name):
            client = Session().create_client(
                "dynamodb",
                region_name=REGION,
                endpoint_url=endpoint_of(name),
                aws_access_key_id="holdfast",
                aws_secret_access_key="holdfast-secret",
            )
            return stack.enter_context(closing(client))

        yield client_of


@pytest.fixture(scope="module")
def botocore_client(clients):
    return clients("dynoxide")
