"""Programs that fork, each in a process of its own: pytest's has threads."""

import json
import os
import subprocess
import sys
from pathlib import Path

_FRAME = '''
import json, os, sys, traceback

def in_child(call):
    """Call it in a forked child; return a function that waits for what it returned."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = ["ok", call()]
        except BaseException as error:
            said = ["raised", traceback.format_exc()]
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)

    def wait():
        with open(reading, "rb") as answer:
            how, what = json.loads(answer.read() or b'["raised", "died"]')
        os.waitpid(child, 0)
        assert how == "ok", what
        return what

    return wait
'''


def forked(program, *arguments):
    """Run *program*, which has `in_child` and the JSON values `arguments`; it asserts by itself."""
    head = f"{_FRAME}\narguments = json.loads(sys.argv[1])\n"
    said = json.dumps(arguments)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", head + program, said],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )
    assert done.returncode == 0, done.stderr
