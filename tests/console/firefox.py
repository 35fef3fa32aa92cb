"""Drives Debian's Firefox by Marionette, the protocol in which Mozilla's own driver speaks to it.

A message is its length, a colon and JSON: [0, number, command, parameters], answered by
[1, number, error, result]. The commands are those of the W3C's WebDriver.
"""

import contextlib
import json
import socket
import subprocess
import time

from servers import free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the W3C's name for what an element is known by
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Control": "\ue009", "Escape": "\ue00c"}
PATIENCE = 180  # seconds; a busy machine takes its time


class Firefox:
    """One session of a Firefox."""

    def __init__(self, connection):
        self._stream = connection.makefile("rwb")
        self._number = 0
        self._read()  # the greeting
        self.ask("WebDriver:NewSession", capabilities={})
        self.ask("WebDriver:SetTimeouts", pageLoad=PATIENCE * 1000, script=PATIENCE * 1000)

    def ask(self, command, **parameters):
        """Send a command, and return its result. Raises AssertionError for an error."""
        self._number += 1
        text = json.dumps([0, self._number, command, parameters])
        self._stream.write(f"{len(text)}:{text}".encode())
        self._stream.flush()
        _, number, error, result = self._read()
        assert number == self._number
        assert error is None, f"{command} {parameters}: {error['error']}: {error['message']}"
        return result

    def _read(self):
        size = b""
        while (digit := self._stream.read(1)) != b":":
            assert digit, "Firefox is gone"
            size += digit
        return json.loads(self._stream.read(int(size)))

    def open(self, url):
        self.ask("WebDriver:Navigate", url=url)

    @property
    def url(self):
        return self.ask("WebDriver:GetCurrentURL")["value"]

    def run(self, script, *arguments):
        """Run a script's body in the page, and return what it returns, or its promise gives."""
        return self.ask("WebDriver:ExecuteScript", script=script, args=arguments)["value"]

    def all(self, selector):
        """Return the elements that fit a CSS selector."""
        found = self.ask("WebDriver:FindElements", using="css selector", value=selector)
        return [each[ELEMENT] for each in found]

    def one(self, selector):
        """Wait for an element that fits a CSS selector, and return it."""
        return self.until(lambda: self.all(selector), selector)[0]

    def linked(self, text):
        """Return the link that has this text."""
        return self.ask("WebDriver:FindElement", using="link text", value=text)["value"][ELEMENT]

    def until(self, condition, what):
        """Wait until *condition* holds, and return what it gave."""
        end = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < end, f"waited for {what} at {self.url}"
            time.sleep(0.05)
        return found

    def click(self, element):
        self.ask("WebDriver:ElementClick", id=element)

    def fill(self, selector, text):
        """Put a text, or a file by its path, into a field."""
        self.ask("WebDriver:ElementSendKeys", id=self.one(selector), text=str(text))

    def text(self, selector):
        return self.ask("WebDriver:GetElementText", id=self.one(selector))["value"]

    def press(self, *keys):
        """Press keys together, by name or as the letter that they write, then let them go."""
        values = [KEYS.get(key, key) for key in keys]
        actions = [{"type": "keyDown", "value": value} for value in values]
        actions += [{"type": "keyUp", "value": value} for value in reversed(values)]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self.ask("WebDriver:PerformActions", actions=[keyboard])


@contextlib.contextmanager
def firefox(program, profile, *, script=True):
    """Start a Firefox with an empty profile, and yield it; without *script* no page runs any."""
    profile.mkdir()
    port = free_port()
    settings = {"marionette.port": port, "javascript.enabled": script}
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in settings.items()
    ]
    (profile / "user.js").write_text("\n".join(lines))
    command = [program, "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    with (profile / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with contextlib.closing(_connected(port, process)) as connection:
            yield Firefox(connection)
    finally:
        process.terminate()
        process.wait(30)


def _connected(port, process):
    end = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, "Firefox ended while it started"
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE * 2)
        assert time.monotonic() < end, "Firefox does not listen"
        time.sleep(0.1)
