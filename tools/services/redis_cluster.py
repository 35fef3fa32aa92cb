"""A cluster of six Redis nodes: three primaries with a replica each; started when asked for."""

from __future__ import annotations

from tools.services.address import parse
from tools.services.failure import NotReadyError
from tools.services.redis import KEEPS_NOTHING, SOURCE, launch, quoted
from tools.services.redis_protocol import Reply, session
from tools.services.server import Launch, Server, Site

NODES = 6
SLOTS = 16_384


def ping(url: str) -> None:
    """A cluster that covers every slot."""
    address = parse(url)
    with session(address.host, address.port) as ask:
        state = _lines(ask("CLUSTER", "INFO")).get("cluster_state")
    if state != "ok":
        raise NotReadyError(f"the cluster's state is {state!r}; expected 'ok'")


def _node_port(site: Site, number: int) -> int:
    return site.ports[f"redis-cluster-{number}"]


def _plan(site: Site) -> tuple[Launch, ...]:
    return tuple(
        launch(
            site,
            f"redis-cluster-{number}",
            site.folder / f"node-{number}",
            f"port {_node_port(site, number)}\n"
            f"cluster-port {site.ports[f'redis-cluster-bus-{number}']}\n"
            "cluster-enabled yes\n"
            "cluster-config-file nodes.conf\n"
            "cluster-node-timeout 3000\n"
            f"dir {quoted(site.folder / f'node-{number}')}\n{KEEPS_NOTHING}",
        )
        for number in range(1, NODES + 1)
    )


def _settle(site: Site) -> None:
    """Bring the cluster one step nearer to whole; raises NotReadyError until it is.

    Every step looks first at what is there, so that a cluster which was interrupted, or that has
    failed over, is taken as it is.
    """
    primaries = NODES // 2
    nodes = {number: _node(site, number) for number in range(1, NODES + 1)}
    if not all(node["cluster_known_nodes"] == str(NODES) for node in nodes.values()):
        _introduce(site, nodes)
        raise NotReadyError("the nodes do not all know one another yet")
    if nodes[1]["cluster_slots_assigned"] == "0":
        for number in range(1, primaries + 1):
            first, end = ((number + step) * SLOTS // primaries for step in (-1, 0))
            with session("127.0.0.1", _node_port(site, number)) as ask:
                ask("CLUSTER", "ADDSLOTS", *map(str, range(first, end)))
    roles = [nodes[number]["role"] for number in nodes]
    if roles.count("slave") < NODES - primaries:
        for number in range(primaries + 1, NODES + 1):
            if nodes[number]["role"] == "master":
                with session("127.0.0.1", _node_port(site, number)) as ask:
                    ask("CLUSTER", "REPLICATE", nodes[number - primaries]["id"])
        raise NotReadyError("the replicas do not follow yet")
    if not all(node.get("master_link_status", "up") == "up" for node in nodes.values()):
        raise NotReadyError("the replicas are still catching up")


def _introduce(site: Site, nodes: dict[int, dict[str, str]]) -> None:
    for number, node in nodes.items():
        if node["cluster_known_nodes"] == "1" and node["cluster_current_epoch"] == "0":
            with session("127.0.0.1", _node_port(site, number)) as ask:
                ask("CLUSTER", "SET-CONFIG-EPOCH", str(number))  # or they would all claim the same
    with session("127.0.0.1", _node_port(site, 1)) as ask:
        for number in range(2, NODES + 1):
            bus = site.ports[f"redis-cluster-bus-{number}"]
            ask("CLUSTER", "MEET", "127.0.0.1", str(_node_port(site, number)), str(bus))


def _node(site: Site, number: int) -> dict[str, str]:
    with session("127.0.0.1", _node_port(site, number)) as ask:
        facts = _lines(ask("CLUSTER", "INFO")) | _lines(ask("INFO", "replication"))
        return facts | {"id": str(ask("CLUSTER", "MYID"))}


def _lines(reply: Reply) -> dict[str, str]:
    pairs = (line.partition(":") for line in str(reply).splitlines())
    return {name: value for name, _, value in pairs}


def _urls(site: Site) -> dict[str, str]:
    places = ",".join(f"127.0.0.1:{_node_port(site, number)}" for number in range(1, NODES + 1))
    return {"redis-cluster": f"redis+cluster://{places}"}


REDIS_CLUSTER = Server(
    name="redis-cluster",
    source=SOURCE,
    ports=tuple(
        f"redis-cluster-{kind}{number}" for kind in ("", "bus-") for number in range(1, NODES + 1)
    ),
    plan=_plan,
    urls=_urls,
    ping=ping,
    settle=_settle,
    on_demand=True,
)
