"""`holdfast demo` on a terminal ends with the address of a page that is there."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import urllib.request

import pytest

from cli.program import PROGRAM, environment
from media.films import film


def test_on_a_terminal_it_serves_what_it_found_until_it_is_stopped(tmp_path):
    clip = film(tmp_path / "gate.mp4")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "demo", clip, "--data", tmp_path / "data"],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=environment(COLUMNS="200"),
    ) as process:
        os.close(theirs)
        said = b""
        try:
            while len(found := re.findall(rb"http://\S+(?:/console/|\.mp4)", said)) < 2:
                said += os.read(ours, 4096)
            addresses = [each.decode() for each in found]
            for address, kind in zip(addresses, ("text/html", "video/mp4"), strict=True):
                assert _answer(address, process).headers["Content-Type"].startswith(kind)
            process.send_signal(signal.SIGINT)
            assert process.wait() == 0
        finally:
            process.kill()
            os.close(ours)


def _answer(address, process):
    """What is at *address*, once the server listens."""
    while True:
        with contextlib.suppress(urllib.error.URLError):  # also an answer that is an error
            return urllib.request.urlopen(address)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.05)
