"""The checker: what clients were told, held against what the platform has when all is over.

Everything here is pure. Of an operation whose outcome is unknown both are right, that it happened
and that it did not; everything else has one right outcome.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from chaos.history import Told

WRONGS = ("lost", "doubled", "torn", "stale", "leaked", "failed")
"""*torn*: refused or in part, and there all the same. *failed*: answered as a bug is, by 500."""
DOMAINS = (
    "records", "counters", "transfers", "objects", "cache", "jobs", "schedules", "audit", "models",
    "console", "platform",
)  # fmt: skip
ABSENT = None


@dataclass(kw_only=True)
class Found:
    """What the platform has when the load is over, all are well again and all work is done."""

    rows: dict = field(default_factory=dict)  # value by key
    entries: dict = field(default_factory=dict)  # verbs of a row's audit entries, in order, by key
    counters: dict = field(default_factory=dict)
    opening: int = 0  # in all accounts together
    objects: dict = field(default_factory=dict)  # SHA-256 of the bytes, by key
    prices: dict = field(default_factory=dict)
    cached: dict = field(default_factory=dict)  # the same, as the cache says
    orders: set = field(default_factory=set)
    jobs: dict = field(default_factory=dict)  # statuses of an order's jobs, by order
    effects: dict = field(default_factory=dict)  # how often a job's end took effect, by order
    ticks: list = field(default_factory=list)  # seconds, one for each job of the schedule
    every: int = 2
    log: list = field(default_factory=list)  # what verification says of the audit's log
    waiting: int = 0  # entries that have no place in the log
    models: list = field(default_factory=list)  # tokens, one for each version
    damages: list = field(default_factory=list)
    left: dict = field(default_factory=dict)  # what was left behind, by kind


@dataclass
class Verdict:
    """How often each domain was asked and told what, and each wrong with its text."""

    told: dict
    wrong: dict

    @property
    def count(self):
        return sum(len(found) for kinds in self.wrong.values() for found in kinds.values())


class _Wrongs:
    def __init__(self):
        self.found = defaultdict(lambda: defaultdict(list))

    def add(self, domain, kind, text):
        self.found[domain][kind].append(text)


def check(history, found):
    """Return the verdict on *history*, given what was *found* afterwards."""
    wrongs = _Wrongs()
    by_domain = defaultdict(list)
    told = {name: Counter() for name in DOMAINS}
    for each in history:
        by_domain[each.domain].append(each)
        told[each.domain][each.told] += 1
        if each.status == 500:
            wrongs.add(each.domain, "failed", f"{each.verb} {each.key}: {each.answer}")
    _check_registers(by_domain["records"], found.rows, "records", wrongs)
    _check_registers(by_domain["objects"], found.objects, "objects", wrongs)
    _check_counters(by_domain["counters"], found, wrongs)
    _check_transfers(found, wrongs)
    _check_cache(by_domain["cache"], found, wrongs)
    _check_jobs(by_domain["jobs"], found, wrongs)
    _check_ticks(found, wrongs)
    _check_audit(by_domain["records"], found, wrongs)
    _check_models(by_domain["models"], found, wrongs)
    told["schedules"][Told.ACKNOWLEDGED] = len(found.ticks)
    told["audit"][Told.ACKNOWLEDGED] = sum(map(len, found.entries.values()))
    for kind, names in found.left.items():
        for name in names:
            wrongs.add("platform", "leaked", f"{kind}: {name}")
    return Verdict(told, {name: dict(kinds) for name, kinds in wrongs.found.items()})


_READS = ("get", "read", "look")


def _by_key(operations):
    grouped = defaultdict(list)
    for each in operations:
        grouped[each.key].append(each)
    return grouped


def _check_registers(operations, there, domain, wrongs):
    """Keys with one writer each: what was acknowledged last stands, or what is unknown."""
    for key, steps in _by_key(operations).items():
        state, may, refused = ABSENT, [], []
        for each in steps:
            value = ABSENT if each.verb == "delete" else each.value
            if each.verb in _READS:
                gone = each.status == 404
                if (each.told is Told.ACKNOWLEDGED or gone) and (
                    ABSENT if gone else each.answer
                ) != state:
                    kind = "lost" if gone or each.answer is None else "stale"
                    wrongs.add(domain, kind, f"{key}: read {each.answer}, written was {state}")
            elif each.told is Told.ACKNOWLEDGED:
                state = value
            elif each.told is Told.UNKNOWN:
                may.append(value)
            else:
                refused.append(value)
        final = there.get(key, ABSENT)
        if final == state or final in may:
            continue
        kind = "torn" if final in refused else "lost"
        wrongs.add(domain, kind, f"{key}: {final} is there, acknowledged was {state}")
    for key in sorted(there.keys() - {each.key for each in operations}):
        wrongs.add(domain, "torn", f"{key} is there, and nobody wrote it")


def _check_counters(operations, found, wrongs):
    for key, steps in _by_key(operations).items():
        told = Counter(each.told for each in steps)
        least = told[Told.ACKNOWLEDGED]
        most, value = least + told[Told.UNKNOWN], found.counters.get(key, 0)
        for _ in range(least - value):
            wrongs.add("counters", "lost", f"{key} is {value}, {least} were acknowledged")
        for _ in range(value - most):
            wrongs.add("counters", "doubled", f"{key} is {value}, {most} were asked at most")


def _check_transfers(found, wrongs):
    total = sum(value for key, value in found.counters.items() if key.startswith("account"))
    if total != found.opening:
        text = f"the accounts have {total} together, and began with {found.opening}"
        wrongs.add("transfers", "torn", text)


def _check_cache(operations, found, wrongs):
    """No read that began after an acknowledged write of the same process returns what was before.

    Another life of the process may, until what the last one recorded is carried out; when all is
    over nobody may.
    """
    for key, steps in _by_key(operations).items():
        writes = [each for each in steps if each.verb == "write"]
        kept = [each for each in writes if each.told is Told.ACKNOWLEDGED]
        for each in steps:
            if each.verb != "read" or each.told is not Told.ACKNOWLEDGED:
                continue
            before = [
                write.value
                for write in kept
                if write.ended <= each.began and write.boot == each.boot
            ]
            if (each.answer or 0) < max(before, default=0):
                text = f"{key}: read {each.answer} after {max(before)} was acknowledged"
                wrongs.add("cache", "stale", text)
        last, stored = max((each.value for each in kept), default=0), found.prices.get(key, 0)
        may = [each.value for each in writes if each.told is Told.UNKNOWN]
        if stored < last and stored not in may:
            wrongs.add("cache", "lost", f"{key} is {stored}, {last} was acknowledged")
        if found.cached.get(key) != stored:
            text = f"{key}: {found.cached.get(key)} in the end, and {stored} is stored"
            wrongs.add("cache", "stale", text)


def _check_jobs(operations, found, wrongs):
    told = {each.key: each.told for each in operations}
    for key in sorted(told.keys() | found.orders | found.jobs.keys() | found.effects.keys()):
        jobs, effects = found.jobs.get(key, []), found.effects.get(key, 0)
        there = key in found.orders
        if told.get(key) is Told.ACKNOWLEDGED and not (there and jobs):
            wrongs.add("jobs", "lost", f"{key}: {len(jobs)} jobs, row there: {there}")
        elif there is not bool(jobs):
            wrongs.add("jobs", "torn", f"{key}: {len(jobs)} jobs, row there: {there}")
        elif there and told.get(key, Told.REFUSED) is Told.REFUSED:
            wrongs.add("jobs", "torn", f"{key} is there and was refused")
        if len(jobs) > 1 or effects > 1:
            wrongs.add("jobs", "doubled", f"{key}: {len(jobs)} jobs, {effects} ends")
        unfinished = [status for status in jobs if status != "succeeded"]
        if unfinished:
            wrongs.add("jobs", "lost", f"{key}: its job is {unfinished}")
        elif jobs and not effects:
            wrongs.add("jobs", "lost", f"{key}: its job succeeded without effect")


def _check_ticks(found, wrongs):
    """Each tick of the schedule between the first and the last made one job."""
    for tick, times in Counter(found.ticks).items():
        if times > 1:
            wrongs.add("schedules", "doubled", f"the tick at {tick} made {times} jobs")
    for first, second in pairwise(sorted(set(found.ticks))):
        for missing in range(first + found.every, second, found.every):
            wrongs.add("schedules", "lost", f"the tick at {missing} made no job")


_RECORDED = {"add": "add", "change": "patch", "delete": "delete"}


def _check_audit(operations, found, wrongs):
    """Each change of a row has one entry; one whose outcome is unknown, at the end, may have."""
    for key, steps in _by_key(operations).items():
        writes = [each for each in steps if each.verb in _RECORDED]
        sure = [_RECORDED[each.verb] for each in writes if each.told is Told.ACKNOWLEDGED]
        may = [_RECORDED[each.verb] for each in writes if each.told is Told.UNKNOWN]
        entries = found.entries.get(key, [])
        if entries in (sure, sure + may[:1]):
            happened = len(entries) > len(sure)
            if may and happened is not _unknown_happened(writes, found.rows.get(key, ABSENT)):
                wrongs.add("audit", "torn", f"{key}: entries {entries}, and the row says otherwise")
        elif len(entries) < len(sure):
            wrongs.add("audit", "lost", f"{key}: entries {entries}, changes {sure}")
        else:
            wrongs.add("audit", "doubled", f"{key}: entries {entries}, changes {sure} {may}")
    for each in found.log:
        wrongs.add("audit", "torn", f"the log: {each}")
    if found.waiting:
        wrongs.add("audit", "lost", f"{found.waiting} entries never got a place in the log")


def _unknown_happened(writes, final):
    """Tell by the row itself whether the write that was not told of happened: it is the last."""
    last = writes[-1]
    return final == (ABSENT if last.verb == "delete" else last.value)


def _check_models(operations, found, wrongs):
    versions = Counter(found.models)
    for key, steps in _by_key(operations).items():
        outcomes = {each.told for each in steps}
        if Told.ACKNOWLEDGED in outcomes and not versions[key]:
            wrongs.add("models", "lost", f"{key} was registered, and is not there")
        if outcomes == {Told.REFUSED} and versions[key]:
            wrongs.add("models", "torn", f"{key} was refused, and is there")
    for key, times in versions.items():
        if times > 1:
            wrongs.add("models", "doubled", f"{key} is there {times} times")
    for each in found.damages:
        wrongs.add("models", "lost", each)
