"""Kill a process at each system call that changes files, one after another, and look each time.

Started by test_disk_crashes.py as a program of its own, since it forks. Python tells an audit
hook of every open, link, rename, mkdir, unlink, chmod, truncate and lock before it happens.
"""

import os
import signal
import sys
from pathlib import Path

from holdfast.objects import PutOptions, sync
from objects.disk_state import empty_folders, strays

OLD = b"old" * 100_000
NEW = b"new" * 200_000
STEPS = ("open", "os.", "fcntl.")


def put_new(bucket):
    bucket.put("folder/new.bin", NEW, metadata={"is": "new"})


def replace(bucket):
    head = bucket.head("folder/old.bin")
    options = PutOptions(if_match=head.etag)
    bucket.put("folder/old.bin", NEW, metadata={"is": "new"}, options=options)


def delete(bucket):
    bucket.delete("folder/old.bin")


def copy(bucket):
    bucket.copy("folder/old.bin", "elsewhere/new.bin")


def borrow(bucket):
    with bucket.as_file("folder/old.bin") as path:
        assert path.read_bytes() == OLD


def crash(root, operation, step):
    """Run *operation* in a child that dies before its *step*th step; return how it ended."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event, _arguments):
            nonlocal left
            if event.startswith(STEPS) and event not in {"os.listdir", "os.scandir"}:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        with sync.open_bucket(root) as bucket:
            sys.addaudithook(count)
            operation(bucket)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def check(root, operation, step):
    with sync.open_bucket(root) as bucket:
        assert strays(root) == set(), (operation.__name__, step, strays(root))
        assert not empty_folders(root), (operation.__name__, step, empty_folders(root))
        for info in bucket.list():
            expected = NEW if info.metadata["is"] == "new" else OLD
            assert bucket.get(info.key) == expected, (operation.__name__, step, info)
        if operation is not delete:
            assert bucket.exists("folder/old.bin")
        assert bucket.sweep() == 0


def main(folder):
    for operation in (put_new, replace, delete, copy, borrow):
        step = 0
        status = None
        while status != 0:
            step += 1
            root = folder / f"{operation.__name__}-{step}"
            with sync.open_bucket(root) as bucket:
                bucket.put("folder/old.bin", OLD, metadata={"is": "old"})
            status = crash(root, operation, step)
            assert status in (0, signal.SIGKILL), (operation.__name__, step, status)
            check(root, operation, step)
        print(operation.__name__, step - 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
