"""Handlers that tests have called in child processes."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

from holdfast.errors import ConfigurationError
from holdfast.jobs import JobCancelledError, runs

MEMORY = 512 << 20


class OddError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@runs(executor="process")
def own_pid(context):
    context.progress(0.5, "half")
    if context.keeps_log:
        context.log("from the child", level="warning")
    return {"pid": os.getpid(), "payload": dict(context.payload)}


@runs(executor="process")
async def on_a_loop(_):
    return os.getpid()


@runs(executor="process")
def fails(context):
    raise {"value": ValueError("no"), "odd": OddError("this", "that")}[context.payload["error"]]


@runs(executor="process")
async def asks_for_the_store(context):
    asked = {
        "complete": lambda: context.complete("done"),
        "step": lambda: context.step("probe", os.getpid),
        "sleep": lambda: context.sleep(timedelta(seconds=1)),
        "wait_for": lambda: context.wait_for("go"),
        "blocking": lambda: context.blocking.step("probe", os.getpid),
        "results": lambda: context.result_of("before"),
    }
    refused = {}
    for name, call in asked.items():
        try:
            await call()
        except ConfigurationError as error:
            refused[name] = str(error)
    return refused


@runs(executor="process")
def ends(context):
    if context.payload["how"] == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.Signals[context.payload["how"]])
    threading.Event().wait()


@runs(executor="process")
def until_told(context):
    """Start a process of its own, tell both ids, and go on until told to stop."""
    program = "import threading; threading.Event().wait()"
    started = subprocess.Popen([sys.executable, "-S", "-c", program])
    context.progress(0.5, f"{os.getpid()} {started.pid}")
    while not context.cancelled:
        threading.Event().wait(0.01)
    started.kill()
    raise JobCancelledError("lost" if context.lease_lost else "told")


@runs(executor="process", memory=MEMORY)
def takes_memory(context):
    return len(b"x" * context.payload["bytes"])
