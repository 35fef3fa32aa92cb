"""A Redis primary, a replica, and three Sentinels that watch over them; started when asked for."""

from __future__ import annotations

from tools.services.address import parse
from tools.services.failure import NotReadyError
from tools.services.redis import KEEPS_NOTHING, SOURCE, launch, quoted
from tools.services.redis_protocol import session
from tools.services.server import Launch, Server, Site

SENTINELS = 3
SERVICE = "holdfast"


def ping(url: str) -> None:
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


def _plan(site: Site) -> tuple[Launch, ...]:
    primary, replica = site.ports["redis-primary"], site.ports["redis-replica"]
    places = {name: site.folder / name for name in ("primary", "replica")}
    follow = f"replicaof 127.0.0.1 {primary}\n"
    data = (
        launch(
            site,
            "redis-primary",
            places["primary"],
            f"port {primary}\ndir {quoted(places['primary'])}\n{KEEPS_NOTHING}",
        ),
        launch(
            site,
            "redis-replica",
            places["replica"],
            f"port {replica}\ndir {quoted(places['replica'])}\n{KEEPS_NOTHING}{follow}",
        ),
    )
    return data + tuple(_watcher(site, number, primary) for number in range(1, SENTINELS + 1))


def _watcher(site: Site, number: int, primary: int) -> Launch:
    folder = site.folder / f"sentinel-{number}"
    lines = (
        f"port {site.ports[f'redis-sentinel-{number}']}\n"
        f"dir {quoted(folder)}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n"
        f"sentinel down-after-milliseconds {SERVICE} 2000\n"
        f"sentinel failover-timeout {SERVICE} 6000\n"
    )
    return launch(site, f"redis-sentinel-{number}", folder, lines, "--sentinel")


def _settle(site: Site) -> None:
    """Every Sentinel knows the other two and the replica, so that a failover can succeed."""
    for number in range(1, SENTINELS + 1):
        with session("127.0.0.1", site.ports[f"redis-sentinel-{number}"]) as ask:
            reply = ask("SENTINEL", "MASTER", SERVICE)
        words = list(map(str, reply)) if isinstance(reply, list) else []
        facts = dict(zip(words[::2], words[1::2], strict=False))
        for fact, expected in (("num-other-sentinels", SENTINELS - 1), ("num-slaves", 1)):
            if int(facts.get(fact, 0)) < expected:
                raise NotReadyError(f"Sentinel {number}: {fact} is not {expected} yet")


def _urls(site: Site) -> dict[str, str]:
    numbers = range(1, SENTINELS + 1)
    places = ",".join(f"127.0.0.1:{site.ports[f'redis-sentinel-{number}']}" for number in numbers)
    return {"redis-sentinel": f"redis+sentinel://{places}/{SERVICE}/0"}


REDIS_SENTINEL = Server(
    name="redis-sentinel",
    source=SOURCE,
    ports=(
        "redis-primary",
        "redis-replica",
        *(f"redis-sentinel-{number}" for number in range(1, SENTINELS + 1)),
    ),
    plan=_plan,
    urls=_urls,
    ping=ping,
    settle=_settle,
    on_demand=True,
)
