"""The two emulators of DynamoDB as they run: found, asked, and what they keep in memory gone."""

import json

import pytest
from tools.services.dynamodb import DYNOXIDE, MOTO, SCOPE
from tools.services.endpoints import endpoints
from tools.services.http import request
from tools.services.lifecycle import start, stop
from tools.services.process import find, running
from tools.services.source import find as installed

EMULATORS = [
    pytest.param(
        server,
        id=server.name,
        marks=pytest.mark.skipif(installed(server.source) is None, reason=server.source.how()),
    )
    for server in (DYNOXIDE, MOTO)
]
TABLE = {
    "TableName": "probe",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def begin(server, folder):
    [outcome] = start([server], folder, say=lambda _: None)
    assert outcome.failure is None, outcome.failure
    return outcome.urls[server.name]


def call(url, operation, document):
    signed = f"AWS4-HMAC-SHA256 Credential=holdfast/{SCOPE}, SignedHeaders=host, Signature=0"
    headers = {
        "Authorization": signed,
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Date": "20260101T000000Z",
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
    }
    body = json.dumps(document).encode()
    answer = request(url, "POST", "/", body=body, headers=headers)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@pytest.mark.parametrize("server", EMULATORS)
def test_started_twice_it_is_one_process_that_keeps_its_tables_while_it_runs(server, folder):
    url = begin(server, folder)
    call(url, "CreateTable", TABLE)
    [pid] = find(server.source.processes, folder / server.name, running())
    assert begin(server, folder) == url
    assert find(server.source.processes, folder / server.name, running()) == [pid]
    assert call(url, "ListTables", {})["TableNames"] == ["probe"]
    assert endpoints(folder)[server.name].url == url


@pytest.mark.parametrize("server", EMULATORS)
def test_started_again_it_is_empty_and_no_file_is_left(server, folder):
    call(begin(server, folder), "CreateTable", TABLE)
    assert stop([server], folder) == [server.name]
    left = {path.name for path in (folder / server.name).iterdir()}
    assert left <= {f"{server.name}.log", "serve.py"}
    assert call(begin(server, folder), "ListTables", {})["TableNames"] == []
