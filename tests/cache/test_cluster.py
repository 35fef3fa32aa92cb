"""A real Redis Cluster: slots, slots that move, primaries that die."""

import asyncio

import pytest

from cache.states import is_settled, is_up, pending
from holdfast.cache import CacheOptions, Outcome, open_cache, sync
from holdfast.cache.drivers.redis.slots import parse_cluster_nodes, slot_of
from holdfast.errors import ConfigurationError, UnavailableError

pytestmark = pytest.mark.anyio

QUICK = CacheOptions(timeout=1.0, early=0)


async def until(look, seconds=60):
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.01)


async def up(*caches):
    await until(lambda: all(is_settled(cache) for cache in caches))


@pytest.mark.parametrize(
    "name", ["k", "a{b}c", "{}x", "{", "a{}{b}", "a{{b}}c", "x}{y", "ä日{本}", "holdfast:k:key:7"]
)
def test_a_name_has_the_slot_that_the_server_gives_it(shared_cluster, name):
    assert slot_of(name) == int(shared_cluster.nodes[0].say("CLUSTER", "KEYSLOT", name))


def test_a_layout_takes_no_failed_primary_and_needs_every_slot():
    line = "{} 127.0.0.1:{}@1{} {} - 0 0 1 connected {}\n"
    one = line.format("a", 7000, 7000, "myself,master", "0-8000 [8001->-b]")
    two = line.format("b", 7001, 7001, "master", "8001-16383")
    layout = parse_cluster_nodes(one + two, "h", by_name=False)
    assert layout.primaries["127.0.0.1:7001"] == ((8001, 16383),)
    assert layout.moving
    assert layout.owners()[8001] == "127.0.0.1:7001"
    for broken in (one, one + two.replace("master", "master,fail")):
        with pytest.raises(UnavailableError, match="8383 slots"):
            parse_cluster_nodes(broken, "h", by_name=False).owners()
    with pytest.raises(UnavailableError, match="no primary"):
        parse_cluster_nodes("", "h", by_name=False)
    named = one.replace("@17000", "@17000,one.example") + two
    assert "one.example:7000" in parse_cluster_nodes(named, "h", by_name=True).primaries
    unnamed = one.replace("127.0.0.1", "")
    assert "h:7000" in parse_cluster_nodes(unnamed, "h", by_name=False).primaries


async def test_many_keys_of_every_node_in_one_call(shared_cluster):
    url = f"{shared_cluster.url}?prefix=many"
    values = {f"k{number}": number for number in range(3000)}
    async with open_cache(url) as cache:
        assert await cache.set_many(values, tags=["t"]) is Outcome.APPLIED
        assert await cache.get_many(values) == values
        owners = {shared_cluster.owner(f"many:k:k{number}").port for number in range(30)}
        assert len(owners) == 3
        assert await cache.keys("k1?") == [f"k1{digit}" for digit in range(10)]
        assert await cache.invalidate(pattern="k1*") is Outcome.APPLIED
        assert len(await cache.keys()) == 3000 - 1111
        assert await cache.invalidate(tags=["t"]) is Outcome.APPLIED
        assert await cache.get_many(values) == {}
    with sync.open_cache(url) as cache:
        assert cache.set_many(values) is Outcome.APPLIED
        assert cache.get_many(values) == values
        assert cache.invalidate(pattern="*") is Outcome.APPLIED
        assert cache.keys() == []


class Move:
    """One slot on its way from its owner to another primary."""

    def __init__(self, cluster, name, to=None):
        self.slot = str(slot_of(name))
        self.source = cluster.owner(name)
        others = [node for node in cluster.nodes[:3] if node is not self.source]
        self.target = next(node for node in others if to in {None, node.port})
        self.ids = [node.say("CLUSTER", "MYID").strip() for node in (self.source, self.target)]

    def begin(self):
        source, target = self.ids
        assert self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", source) == "+OK"
        assert self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", target) == "+OK"

    def carry(self, *names):
        where = ("127.0.0.1", str(self.target.port), "", "0", "5000", "KEYS")
        assert self.source.ask("MIGRATE", *where, *names) == "+OK"

    def end(self):
        for node in (self.target, self.source):
            assert node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", self.ids[1]) == "+OK"


async def test_commands_follow_a_slot_that_moves(shared_cluster):
    cluster = shared_cluster
    async with open_cache(cluster.url, options=QUICK) as cache, open_cache(cluster.url) as other:
        await cache.set_many({f"{{x}}{number}": number for number in range(20)})
        await cache.set("{x}n", 5)
        move = Move(cluster, "holdfast:k:{x}n")
        move.begin()
        move.carry("holdfast:k:{x}n", *[f"holdfast:k:{{x}}{number}" for number in range(10)])
        for each in (cache, other):
            found = await each.get_many([f"{{x}}{number}" for number in range(20)])
            assert found == {f"{{x}}{number}": number for number in range(20)}
        assert await cache.increment("{x}n", ttl=60) == 6
        assert await other.add("{x}new", 1)
        assert not await cache.add("{x}new", 2)
        assert await cache.expire("{x}new", 60)
        assert len(await cache.keys("{x}*")) == 22
        assert await cache.invalidate(keys=["{x}3", "{x}13"]) is Outcome.APPLIED
        assert await other.get_many(["{x}3", "{x}13", "{x}4", "{x}14"]) == {"{x}4": 4, "{x}14": 14}
        left = [f"holdfast:k:{{x}}{number}" for number in (*range(10, 13), *range(14, 20))]
        move.carry(*left)
        move.end()
        for each in (cache, other):
            assert await each.get_or_set("{x}14", _never) == 14
            assert await each.get("{x}3") is None
            assert is_up(each)
        assert await cache.invalidate(pattern="{x}*") is Outcome.APPLIED
        assert await other.keys() == []


async def test_a_pattern_misses_nothing_that_moves_behind_its_back(shared_cluster):
    """What is still to be looked at goes to where it has looked already."""
    cluster = shared_cluster
    async with open_cache(cluster.url, options=QUICK) as cache:
        commands = cache._driver._remote._commands
        first = int(next(iter(commands.clients)).rpartition(":")[2])
        tags = (f"moving{number}" for number in range(100))  # nobody else's keys are in its slot
        tag = next(tag for tag in tags if cluster.owner(f"{{{tag}}}").port != first)
        names = [f"{{{tag}}}{number}" for number in range(50)]
        await cache.set_many(dict.fromkeys(names, 1))
        move = Move(cluster, f"{{{tag}}}", to=first)
        honest, looked = commands._scan_one, []

        async def watching(client, match):
            async for found in honest(client, match):
                yield found
            looked.append(client)
            if len(looked) == 1:
                move.begin()
                move.carry(*[f"holdfast:k:{name}" for name in names])
                move.end()

        commands._scan_one = watching
        assert await cache.invalidate(pattern=f"{{{tag}}}*") is Outcome.APPLIED
        assert len(looked) == 6
        assert await cache.get_many(names) == {}


async def _never():
    raise AssertionError("it was there")


async def test_the_death_of_a_primary_ends_in_its_replica_and_an_empty_namespace(cluster):
    url = cluster.url
    async with open_cache(url, options=QUICK) as cache, open_cache(url, options=QUICK) as other:
        await cache.set_many({f"k{number}": 1 for number in range(100)})
        dying = cluster.owner("holdfast:k:k0")
        dying.kill()
        assert await cache.invalidate(keys=["k0"]) is Outcome.PENDING
        assert pending(cache) == 1
        assert await cache.get("k1") is None
        with pytest.raises(UnavailableError):
            await cache.increment("n")
        await up(cache)
        assert await cache.get_many([f"k{number}" for number in range(100)]) == {}
        assert await cache.set("k0", "new") is Outcome.APPLIED
        await other.get("k0")
        await up(other)
        assert await other.get("k0") == "new"
        assert cluster.owner("holdfast:k:k0") is not dying
        dying.start()
        cluster.wait_until_whole()
        assert await cache.get("k0") == await other.get("k0") == "new"
        assert is_up(cache)
        assert is_up(other)


async def test_a_write_that_a_frozen_primary_did_not_answer_is_never_carried_out_later(
    shared_cluster,
):
    cluster = shared_cluster
    async with open_cache(cluster.url, options=QUICK) as cache:
        await cache.set("k", "first")
        owner = cluster.owner("holdfast:k:k")
        owner.freeze()
        assert await cache.set("k", "late") is Outcome.PENDING
        assert await cache.invalidate(keys=["k"]) is Outcome.PENDING
        owner.thaw()
        await up(cache)
        for _ in range(50):
            assert await cache.get("k") is None


async def test_a_slot_without_owner_is_an_outage(cluster):
    for node in cluster.nodes[3:]:
        node.kill()
    async with open_cache(cluster.url, options=QUICK) as cache:
        await until(lambda: is_up(cache))
        await cache.set("k", 1)
        cluster.owner("holdfast:k:k").kill()
        assert await cache.delete("k") is Outcome.PENDING
        first = next(node for node in cluster.running)
        await until(lambda: "cluster_state:fail" in first.say("CLUSTER", "INFO"))
        async with asyncio.timeout(60):
            while "(redis cluster: no node can say" not in (await cache.health()).detail:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not is_up(cache)


async def test_a_server_that_is_no_cluster_is_not_used_as_one(redis):
    url = redis.url.replace("redis://", "redis+cluster://").removesuffix("/0")
    async with open_cache(url, options=QUICK) as cache:
        assert not is_up(cache)
        assert "cluster support disabled" in (await cache.health()).detail
    with pytest.raises(ConfigurationError, match="database 0"):
        open_cache(f"{url}/1")
