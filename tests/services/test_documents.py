"""What is written down beside the tools says what the tools do."""

import re
from pathlib import Path

from tools.services.dynamodb import DYNOXIDE, MOTO
from tools.services.endpoints import known, variable
from tools.services.ports import FIRST
from tools.services.programs.go import GoModule
from tools.services.registry import SERVERS
from tools.services.s3 import KEY

CHECKOUT = Path(__file__).resolve().parents[2]
COMPOSE = (CHECKOUT / "compose.yaml").read_text()
REQUIRED = CHECKOUT / "tools/services/moto.in"
GUIDE = (CHECKOUT / "docs/servers.md").read_text()


def test_compose_builds_the_very_versions_that_are_tested():
    modules = [server.source for server in SERVERS if isinstance(server.source, GoModule)]
    assert len(modules) == 3
    for module in modules:
        assert f"go install {module.path}@{module.version}" in COMPOSE
    crate, package = DYNOXIDE.source, MOTO.source
    assert f"cargo install {crate.package} --version {crate.version} --locked" in COMPOSE
    assert f"--features {','.join(crate.features)}" in COMPOSE
    assert f"image: motoserver/moto:{package.version}" in COMPOSE
    assert re.search(rf"^moto\[.*\]=={package.version}$", REQUIRED.read_text(), re.MULTILINE)
    assert re.search(rf"^moto=={package.version} ", package.lock.read_text(), re.MULTILINE)
    assert KEY in COMPOSE


def test_compose_publishes_on_the_loopback_alone_and_clear_of_chosen_ports():
    published = re.findall(r'^ *ports: \["([^"]+)"\]$', COMPOSE, re.MULTILINE)
    assert len(published) == COMPOSE.count("ports:") == 10
    for place in published:
        host, port, _ = place.split(":")
        assert host == "127.0.0.1"
        assert int(port) < FIRST


def test_the_guide_names_every_server_its_variable_and_its_docker_url():
    for name in known():
        assert f"| `{name}` | `{variable(name)}` |" in GUIDE
    for port in re.findall(r"127\.0\.0\.1:(\d+):", COMPOSE):
        assert f"127.0.0.1:{port}" in GUIDE
