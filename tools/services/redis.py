"""Redis, plain and by TLS; the same program makes a cluster and a Sentinel trio, when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tools.services import certificate
from tools.services.address import parse
from tools.services.failure import NotReadyError
from tools.services.programs.debian import DebianPackages
from tools.services.resp import RedisError, Reply, authority, session
from tools.services.server import Launch, Server, Site

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = DebianPackages(debian=("redis-server",), binaries=("redis-server",))
COMMON = """\
bind 127.0.0.1
protected-mode yes
daemonize no
set-proc-title no
logfile ""
"""
KEEPS_NOTHING = 'save ""\nappendonly no\n'
NODES = 6
SLOTS = 16_384
SENTINELS = 3
SERVICE = "holdfast"
CERTIFICATES = "certificates"


def ping(url: str) -> None:
    """PONG, or a question for the password when *url* has none to give."""
    address = parse(url)
    with session(address.host, address.port, tls=authority(address)) as ask:
        try:
            if address.password:
                ask("AUTH", *filter(None, (address.user, address.password)))
            ask("PING")
        except RedisError as refusal:
            if not str(refusal).startswith("NOAUTH"):
                raise


def ping_cluster(url: str) -> None:
    """A cluster that covers every slot."""
    address = parse(url)
    with session(address.host, address.port) as ask:
        state = _lines(ask("CLUSTER", "INFO")).get("cluster_state")
    if state != "ok":
        raise NotReadyError(f"the cluster's state is {state!r}; expected 'ok'")


def ping_sentinel(url: str) -> None:
    """A quorum of Sentinels that agrees on a primary which answers."""
    address = parse(url)
    service = address.path.partition("/")[0]
    with session(address.host, address.port) as ask:
        ask("SENTINEL", "CKQUORUM", service)
        place = ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
    if not isinstance(place, list) or len(place) != 2:
        raise NotReadyError(f"Sentinel knows no primary of {service!r}")
    with session(str(place[0]), int(str(place[1]))) as ask:
        ask("PING")


# One server, two ports


def _prepare(site: Site) -> None:
    certificate.make(site.folder / CERTIFICATES)


def _plan(site: Site) -> tuple[Launch, ...]:
    lines = f"port {site.ports['redis']}\ndir {_quoted(site.folder)}\n{KEEPS_NOTHING}"
    certificates = site.folder / CERTIFICATES
    if _has_tls(site):
        lines += (
            f"tls-port {site.ports['redis-tls']}\n"
            f"tls-cert-file {_quoted(certificates / 'server.crt')}\n"
            f"tls-key-file {_quoted(certificates / 'server.key')}\n"
            f"tls-ca-cert-file {_quoted(certificates / 'ca.crt')}\n"
            "tls-auth-clients no\n"
        )
    return (_launch(site, "redis", site.folder, lines),)


def _urls(site: Site) -> dict[str, str]:
    urls = {"redis": f"redis://127.0.0.1:{site.ports['redis']}/0"}
    if _has_tls(site):
        trusted = site.folder / CERTIFICATES / "ca.crt"
        place = f"127.0.0.1:{site.ports['redis-tls']}"
        urls["redis-tls"] = f"rediss://{place}/0?ca={quote(str(trusted))}"
    return urls


def _has_tls(site: Site) -> bool:
    return (site.folder / CERTIFICATES).exists()


def _launch(site: Site, name: str, folder: Path, lines: str, *flags: str) -> Launch:
    path = folder / "redis.conf"
    command = (site.program("redis-server"), str(path), *flags)
    return Launch(name, command, folder, files={path.name: COMMON + lines})


def _quoted(path: Path) -> str:
    """As Redis's configuration takes a path that may hold spaces."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


# A cluster of six: three primaries, a replica for each


def _node_port(site: Site, number: int) -> int:
    return site.ports[f"redis-cluster-{number}"]


def _plan_cluster(site: Site) -> tuple[Launch, ...]:
    return tuple(
        _launch(
            site,
            f"redis-cluster-{number}",
            site.folder / f"node-{number}",
            f"port {_node_port(site, number)}\n"
            f"cluster-port {site.ports[f'redis-cluster-bus-{number}']}\n"
            "cluster-enabled yes\n"
            "cluster-config-file nodes.conf\n"
            "cluster-node-timeout 3000\n"
            f"dir {_quoted(site.folder / f'node-{number}')}\n{KEEPS_NOTHING}",
        )
        for number in range(1, NODES + 1)
    )


def _settle_cluster(site: Site) -> None:
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


# A primary, a replica, and three Sentinels that watch over them


def _plan_sentinel(site: Site) -> tuple[Launch, ...]:
    primary, replica = site.ports["redis-primary"], site.ports["redis-replica"]
    places = {name: site.folder / name for name in ("primary", "replica")}
    follow = f"replicaof 127.0.0.1 {primary}\n"
    data = (
        _launch(
            site,
            "redis-primary",
            places["primary"],
            f"port {primary}\ndir {_quoted(places['primary'])}\n{KEEPS_NOTHING}",
        ),
        _launch(
            site,
            "redis-replica",
            places["replica"],
            f"port {replica}\ndir {_quoted(places['replica'])}\n{KEEPS_NOTHING}{follow}",
        ),
    )
    return data + tuple(_watcher(site, number, primary) for number in range(1, SENTINELS + 1))


def _watcher(site: Site, number: int, primary: int) -> Launch:
    folder = site.folder / f"sentinel-{number}"
    lines = (
        f"port {site.ports[f'redis-sentinel-{number}']}\n"
        f"dir {_quoted(folder)}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n"
        f"sentinel down-after-milliseconds {SERVICE} 2000\n"
        f"sentinel failover-timeout {SERVICE} 6000\n"
    )
    return _launch(site, f"redis-sentinel-{number}", folder, lines, "--sentinel")


def _settle_sentinel(site: Site) -> None:
    """Every Sentinel knows the other two and the replica, so that a failover can succeed."""
    for number in range(1, SENTINELS + 1):
        with session("127.0.0.1", site.ports[f"redis-sentinel-{number}"]) as ask:
            reply = ask("SENTINEL", "MASTER", SERVICE)
        words = list(map(str, reply)) if isinstance(reply, list) else []
        facts = dict(zip(words[::2], words[1::2], strict=False))
        for fact, expected in (("num-other-sentinels", SENTINELS - 1), ("num-slaves", 1)):
            if int(facts.get(fact, 0)) < expected:
                raise NotReadyError(f"Sentinel {number}: {fact} is not {expected} yet")


def _sentinel_urls(site: Site) -> dict[str, str]:
    numbers = range(1, SENTINELS + 1)
    places = ",".join(f"127.0.0.1:{site.ports[f'redis-sentinel-{number}']}" for number in numbers)
    return {"redis-sentinel": f"redis+sentinel://{places}/{SERVICE}/0"}


def _cluster_urls(site: Site) -> dict[str, str]:
    places = ",".join(f"127.0.0.1:{_node_port(site, number)}" for number in range(1, NODES + 1))
    return {"redis-cluster": f"redis+cluster://{places}"}


REDIS = Server(
    name="redis",
    source=SOURCE,
    ports=("redis", "redis-tls"),
    plan=_plan,
    urls=_urls,
    ping=ping,
    prepare=_prepare,
    extra=("redis-tls",),
)

REDIS_CLUSTER = Server(
    name="redis-cluster",
    source=SOURCE,
    ports=tuple(
        f"redis-cluster-{kind}{number}" for kind in ("", "bus-") for number in range(1, NODES + 1)
    ),
    plan=_plan_cluster,
    urls=_cluster_urls,
    ping=ping_cluster,
    settle=_settle_cluster,
    on_demand=True,
)

REDIS_SENTINEL = Server(
    name="redis-sentinel",
    source=SOURCE,
    ports=(
        "redis-primary",
        "redis-replica",
        *(f"redis-sentinel-{number}" for number in range(1, SENTINELS + 1)),
    ),
    plan=_plan_sentinel,
    urls=_sentinel_urls,
    ping=ping_sentinel,
    settle=_settle_sentinel,
    on_demand=True,
)
