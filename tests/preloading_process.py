"""Imports the modules that it is told, and forks a process for each request; for preloaded.py."""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import types


def asked_program(control):
    """Return the code that was asked for, in a child of its own; the parent goes on until the end.

    A request has the standard streams, and a pipe that is told the process id and how it ended.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ends = {}
    while True:
        ready = select.select([control, reading], [], [])[0]
        if reading in ready:
            os.read(reading, 4096)
        while ends:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            tell(ends[pid], os.waitstatus_to_exitcode(status))
            os.close(ends.pop(pid))
        if control not in ready:
            continue
        request, given, _, _ = socket.recv_fds(control, 1 << 20, 4)
        if not request:
            os._exit(0)
        *streams, end = given
        pid = os.fork()
        if pid == 0:
            break
        ends[pid] = end
        for stream in streams:
            os.close(stream)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for each in (reading, writing, *streams, *ends.values()):
        os.close(each)
    asked = json.loads(request)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["-c", *asked["arguments"]]
    tell(end, os.getpid())
    os.close(end)
    return asked["code"]


def tell(end, number):
    with contextlib.suppress(BrokenPipeError):
        os.write(end, b"%d\n" % number)


for name in sys.argv[2:]:
    importlib.import_module(name)
gc.collect()
gc.freeze()
program = compile(asked_program(socket.socket(fileno=int(sys.argv[1]))), "<string>", "exec")
sys.modules["__main__"] = types.ModuleType("__main__")
exec(program, vars(sys.modules["__main__"]))
