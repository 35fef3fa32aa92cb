"""Kill a process at each system call that changes files, one after another, and look each time.

Started by test_disk_crashes.py as a program of its own, since it forks. Python tells an audit
hook of every open, link, rename, mkdir, unlink, chmod, truncate and lock before it happens.
"""

import os
import shutil
import signal
import sys
from itertools import combinations
from pathlib import Path

from holdfast.objects import PutOptions, Versioning, sync
from objects.disk_state import empty_folders, strays

OLD = b"old"
NEW = b"new"
LONG = b"long" * 150_000
KEY = "folder/old.bin"
STEPS = ("open", "os.", "fcntl.")


def put_new(bucket):
    bucket.put("folder/new.bin", LONG)


def replace(bucket):
    head = bucket.head(KEY)
    options = PutOptions(if_match=None if head is None else head.etag)
    bucket.put(KEY, NEW, metadata={"is": "new"}, options=options)


def delete(bucket):
    bucket.delete(KEY)


def copy(bucket):
    bucket.copy(KEY, "elsewhere/new.bin")


def borrow(bucket):
    with bucket.as_file(KEY) as path:
        assert path.read_bytes() == OLD


def tag(bucket):
    bucket.set_tags(KEY, {"a": "b"})


def keep(bucket):
    bucket.admin.set(Versioning(enabled=True))


def names(bucket):
    return [version.version for version in bucket.versions(KEY)]


def delete_newest(bucket):
    bucket.delete(KEY, version=names(bucket)[0])


def delete_older(bucket):
    bucket.delete(KEY, version=names(bucket)[1])


def delete_null(bucket):
    bucket.delete(KEY, version="null")


def restore(bucket):
    bucket.restore(KEY, names(bucket)[-1])


def erase(bucket):
    bucket.erase(KEY)


def sweep(bucket):
    bucket.sweep()


def one(bucket):
    bucket.put(KEY, OLD, metadata={"is": "old"})


def null_among_others(bucket):
    """An object of the time before versions, others before and behind it."""
    one(bucket)
    bucket.admin.set(Versioning(enabled=True))
    for number in range(2):
        bucket.put(KEY, b"%d" % number, options=PutOptions(tags={"n": f"{number}"}))


def null_in_the_middle(bucket):
    bucket.admin.set(Versioning(enabled=True))
    bucket.put(KEY, b"first")
    bucket.admin.set(Versioning(enabled=False))
    bucket.put(KEY, b"middle")
    bucket.admin.set(Versioning(enabled=True))
    one(bucket)


def switched_off(bucket):
    null_in_the_middle(bucket)
    bucket.admin.set(Versioning(enabled=False))


def null_marker_in_the_middle(bucket):
    null_in_the_middle(bucket)
    bucket.delete(KEY, version=names(bucket)[0])
    bucket.admin.set(Versioning(enabled=False))
    bucket.delete(KEY)
    bucket.admin.set(Versioning(enabled=True))
    one(bucket)
    bucket.admin.set(Versioning(enabled=False))


def null_on_top(bucket):
    switched_off(bucket)
    one(bucket)


def marker_on_top(bucket):
    null_among_others(bucket)
    bucket.delete(KEY)


def marker_alone(bucket):
    bucket.admin.set(Versioning(enabled=False))
    bucket.admin.set(Versioning(enabled=True))
    one(bucket)
    bucket.delete(KEY)
    bucket.delete(KEY, version=names(bucket)[1])


def abandoned(bucket):
    """As a writer leaves it that died in its commit."""
    switched_off(bucket)
    root = bucket.root
    child = os.fork()
    if child == 0:
        die_before(lambda event, paths: event == "os.rename" and "records" in paths[1], 1)
        replace(bucket)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert strays(root)


PAIRS = [
    *((one, operation) for operation in (put_new, replace, delete, copy, borrow, tag, keep)),
    *((null_among_others, operation) for operation in (replace, delete, restore)),
    *((null_among_others, o) for o in (delete_newest, delete_older, delete_null, erase)),
    *((null_in_the_middle, operation) for operation in (replace, delete_null)),
    *((switched_off, operation) for operation in (replace, delete, restore)),
    *((null_marker_in_the_middle, operation) for operation in (replace, delete)),
    *((null_on_top, operation) for operation in (replace, delete, delete_newest, restore)),
    *((marker_on_top, operation) for operation in (replace, delete_newest, delete_older, erase)),
    *((marker_alone, operation) for operation in (replace, delete_newest)),
    (abandoned, sweep),
]


def die_before(chosen, step):
    """Kill this process before the *step*th event that is *chosen*."""
    left = step

    def count(event, arguments):
        nonlocal left
        if chosen(event, arguments):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def changes_files(event, _arguments):
    return event.startswith(STEPS) and event not in {"os.listdir", "os.scandir"}


def crash(bucket, operation, step):
    """Run *operation* in a child that dies before its *step*th step; return how it ended."""
    child = os.fork()
    if child == 0:
        die_before(changes_files, step)
        operation(bucket)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def state_of(bucket):
    """All that can be seen of a bucket but names that are new with each write."""
    chains = {}
    for found in bucket.versions():
        content = tags = None
        if not found.marker:
            content = bucket.get(found.key, version=found.version)
            assert len(content) == found.size
        if found.latest:
            head = bucket.head(found.key)
            assert (head is None) == found.marker
            tags = None if found.marker else bucket.tags(found.key)
        assert found.latest == (found.key not in chains)
        chains.setdefault(found.key, []).append((found.version == "null", content, tags))
    listed = {info.key: info.metadata for info in bucket.list()}
    assert listed.keys() == {key for key, chain in chains.items() if chain[0][1] is not None}
    return bucket.admin.get(Versioning), chains, listed


def parts(state):
    """States with some of the versions of the key: what a multiple removal may have reached."""
    said, chains, _ = state
    for size in range(len(chains[KEY]) + 1):
        for left in combinations(chains[KEY], size):
            yield said, [content for _, content, _ in left]


def main(folder):
    for number, (start, operation) in enumerate(PAIRS):
        at, states = f"{start.__name__} {operation.__name__}", []
        before = None
        step = 0
        status = None
        while status != 0:
            root = folder / f"{number}-{step}"
            with sync.open_bucket(root) as bucket:
                bucket.root = root
                start(bucket)
                if step == 0 and start is not abandoned:
                    before = state_of(bucket)
                step += 1
                status = crash(bucket, operation, step)
            assert status in (0, signal.SIGKILL), (at, step, status)
            with sync.open_bucket(root) as bucket:
                assert strays(root) == set(), (at, step, strays(root))
                assert not empty_folders(root), (at, step, empty_folders(root))
                states.append(state_of(bucket))
                assert bucket.sweep() == 0
            shutil.rmtree(root)
        after = states[-1]
        if operation is erase:
            allowed = list(parts(before))
            got = [
                (said, [entry[1] for entry in chains.get(KEY, [])]) for said, chains, _ in states
            ]
        else:
            allowed, got = [before, after], states
        for place, state in enumerate(got):
            assert state in allowed, (at, place + 1)
        assert (before == after) == (operation is borrow), at
        print(at, step - 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
