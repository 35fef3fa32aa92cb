"""What tests of DynamoDB share: the vendor's own client."""

import pytest
from botocore.session import Session

from dynamodb_servers import REGION, endpoint_of


@pytest.fixture(scope="module")
def botocore_client():
    client = Session().create_client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=endpoint_of("dynoxide"),
        aws_access_key_id="holdfast",
        aws_secret_access_key="holdfast-secret",
    )
    yield client
    client.close()
