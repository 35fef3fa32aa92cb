"""FINOS Open Resource Broker's five HostFactory scripts beside ours: the same questions, one shape.

    python tests/hosts/orb_trip.py

Both are asked for templates, for machines, for how that stands, for the machines' return, and for
return requests. What ours answers must have members of the same names and types as theirs, which
may have more, and words that theirs knows. Theirs start their machines on moto's server. Both come
from the package index into an environment of their own, `.orb` here, pinned by `orb.lock`. The
exit code is 1 when something differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from own_environment import environment_of
from servers import free_port

HERE = Path(__file__).parent
TEMPLATE = "RunInstances-OnDemand"
WORDS = {
    "status": {"running", "complete", "complete_with_error"},
    "result": {"executing", "fail", "succeed"},
}


class Broker:
    """Answers a script with somebody's program, in a folder of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {**os.environ, **environment}

    def run(self, *command: object) -> str:
        done = subprocess.run(
            [str(each) for each in command],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def answer(self, script: str, given: object) -> dict[str, object]:
        file = self.folder / "input.json"
        file.write_text(json.dumps(given))
        said = self.run(*self.command(script), "-f", file)
        return json.loads(said[said.index("{") :])

    def command(self, script: str) -> list[object]:
        raise NotImplementedError


class Orb(Broker):
    """Their program, with a provider of AWS that moto plays."""

    def __init__(self, folder: Path, programs: Path, server: str) -> None:
        config = folder / "config"
        super().__init__(
            folder,
            {
                "PATH": f"{programs}:{os.environ['PATH']}",
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": server,
                "ORB_CONFIG_DIR": str(config),
                "HF_PROVIDER_CONFDIR": str(config),
                "HF_PROVIDER_WORKDIR": str(folder / "work"),
                "HF_LOGDIR": str(folder),
            },
        )
        code = (
            "import boto3; c = boto3.client('ec2');"
            "print(c.describe_subnets()['Subnets'][0]['SubnetId'],"
            "c.describe_security_groups()['SecurityGroups'][0]['GroupId'])"
        )
        subnet, group = self.run(programs / "python", "-c", code).split()
        self.run(
            "orb", "init", "--non-interactive", "--scheduler", "hostfactory",
            "--provider-type", "aws", "--aws-region", "us-east-1", "--config-dir", config,
            "--subnet-ids", subnet, "--security-group-ids", group, "--force",
        )  # fmt: skip
        self.run("orb", "templates", "generate")

    def command(self, script: str) -> list[object]:
        return [self.folder / "scripts" / f"{script}.sh"]


class Ours(Broker):
    """The command `holdfast hosts factory`, with worker processes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {"HOLDFAST_DATA": str(folder / "data")})
        self.program = Path(sys.executable).with_name("holdfast")
        attributes = json.dumps({"ncpus": 1, "nram": 1024})
        self.run(self.program, "hosts", "template", TEMPLATE, "--attributes", attributes)

    def command(self, script: str) -> list[object]:
        return [self.program, "hosts", "factory", script]


def conversation(broker: Broker) -> dict[str, dict[str, object]]:
    """Return what *broker* answers to the five scripts."""
    told = {"getAvailableTemplates": broker.answer("getAvailableTemplates", {})}
    asked = {"template": {"templateId": TEMPLATE, "machineCount": 1}}
    told["requestMachines"] = broker.answer("requestMachines", asked)
    status = {"requests": [{"requestId": told["requestMachines"]["requestId"]}]}
    told["getRequestStatus"] = broker.answer("getRequestStatus", status)
    machine = told["getRequestStatus"]["requests"][0]["machines"][0]  # type: ignore[index]
    named = {"machines": [{"name": machine["name"], "machineId": machine["machineId"]}]}
    told["requestReturnMachines"] = broker.answer("requestReturnMachines", named)
    told["getReturnRequests"] = broker.answer("getReturnRequests", {})
    return told


def differences(ours: object, theirs: object, place: str) -> list[str]:
    """Return what *ours* has and *theirs* has not, or has with another type."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = [f"{place}.{name} is not theirs" for name in ours if name not in theirs]
        for name in ours.keys() & theirs.keys():
            found += differences(ours[name], theirs[name], f"{place}.{name}")
        return found
    if isinstance(ours, list) and isinstance(theirs, list):
        if not ours or not theirs:
            return []
        return differences(ours[0], theirs[0], f"{place}[0]")
    name = place.rpartition(".")[2]
    if name in WORDS and ours not in WORDS[name] and "machines" not in place:
        return [f"{place}: {ours!r} is no word of theirs"]
    if ours is not None and theirs is not None and type(ours) is not type(theirs):
        return [f"{place}: {type(ours).__name__}, theirs is {type(theirs).__name__}"]
    return []


def main() -> None:
    programs, port = environment_of(".orb", HERE / "orb.lock"), free_port()
    server = subprocess.Popen(
        [programs / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urlopen(f"{url}/moto-api/").close()
                break
            except OSError:
                time.sleep(0.1)
        with tempfile.TemporaryDirectory() as name:
            folders = [Path(name) / "theirs", Path(name) / "ours"]
            for folder in folders:
                folder.mkdir()
            theirs = conversation(Orb(folders[0], programs, url))
            mine = Ours(folders[1])
            try:
                ours = conversation(mine)
            finally:
                mine.run(mine.program, "hosts", "return", "--all")
    finally:
        server.terminate()
        server.wait()
    found = [each for script in ours for each in differences(ours[script], theirs[script], script)]
    for each in found:
        print(each)
    if found:
        sys.exit(1)
    print("the five scripts answer in the shapes of Open Resource Broker")


if __name__ == "__main__":
    main()
