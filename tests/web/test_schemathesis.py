"""Schemathesis, which makes requests from the OpenAPI, finds nothing on the platform's API."""

import asyncio
import dataclasses
import subprocess
import sys
from pathlib import Path

from holdfast.access import ApiKeys, Role
from holdfast.access.gate import RequestRate
from holdfast.platform import open_platform
from holdfast.settings import Settings
from holdfast.settings.hosts_section import HostsSection
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import served

# What is made up is asked for like anything else, and answered as such.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = [200, 201, 202, 204, 206, 304, 400, 401, 404, 409, 412, 415, 422]
"""
# The first ends the key that is used, the second asks a folder for what S3 alone has, and the third
# goes on for as long as it is followed.
LEFT_OUT = "keys/|uploads|jobs/events"
UNBOUNDED = RequestRate(1e6, 1e6)


def test_nothing_is_found(tmp_path):
    no_workers = HostsSection(max_workers=0)  # that would outlive the test
    settings = Settings(data=tmp_path / "data", hosts=no_workers)

    async def issue():
        async with open_platform(settings) as platform:
            return (await platform.service(ApiKeys).issue("search", Role.ADMIN)).secret

    secret = asyncio.run(issue())
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    app = create_application(settings, ServeOptions(work=False, keys=True))
    with served(app) as address:
        gate = app.state.gate
        app.state.gate = dataclasses.replace(gate, requests=UNBOUNDED, refusals=UNBOUNDED)
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                *("--config-file", tmp_path / "schemathesis.toml"),
                *("run", f"{address}/api/v1/openapi.json"),
                *("--phases", "coverage,fuzzing,stateful", "--max-examples", "3"),
                *("--seed", "1", "--generation-database", "none", "--no-color"),
                *("--wait-for-schema", "300"),
                *("--exclude-path-regex", LEFT_OUT, "-H", f"Authorization: Bearer {secret}"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
