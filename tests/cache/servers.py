"""Real Redis servers on free loopback ports, to be killed, stopped and restarted."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

from servers import free_port


class RedisServer:
    """One redis-server process with its data in *folder*; a context manager."""

    def __init__(self, folder, *options, program="redis-server"):
        self.folder = folder
        self.port = free_port()
        self.options = options
        self.program = program
        self.process = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        command = [self.program, *self.options, "--port", str(self.port), "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(
            [*command, "--dir", str(self.folder), "--save", "", "--repl-diskless-sync-delay", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.ask("PING") in {"+PONG", "-NOAUTH Authentication required."}:
                    return
            except OSError:
                pass
            assert self.process.poll() is None, "redis-server ended at its start"
            assert time.monotonic() < deadline, "redis-server does not answer"

    def kill(self):
        """As a crash does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self):
        """Stop the process, and return when it has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def ask(self, *words):
        """Return the first line that a plain socket gets for a command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain:
            parts = b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(str.encode, words))
            plain.sendall(b"*%d\r\n%s" % (len(words), parts))
            with plain.makefile("rb") as answers:
                return answers.readline().decode().rstrip("\r\n")

    def say(self, *words):
        """Return all of what redis-cli prints for a command."""
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wait_until(look, what, seconds=120):
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class RedisCluster:
    """Three primaries with a replica each, small, in *folder*; a context manager.

    `nodes` are the servers, the primaries first; node n + 3 is the replica of node n.
    """

    def __init__(self, folder, node_timeout=1000):
        settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout)]
        small = ["--maxmemory", "64mb", "--repl-backlog-size", "1mb"]
        self.nodes = []
        for number in range(6):
            (folder / str(number)).mkdir()
            bus = ["--cluster-port", str(free_port())]
            self.nodes.append(RedisServer(folder / str(number), *settings, *bus, *small))

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])
        return f"redis+cluster://{hosts}"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            self._join()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _join(self):
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            assert node.ask("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1)) == "+OK"
            if number < 3:
                slots = (str(number * 5461), str(min(16383, number * 5461 + 5460)))
                if number == 2:
                    slots = (slots[0], "16383")
                assert node.ask("CLUSTER", "ADDSLOTSRANGE", *slots) == "+OK"
            bus = node.options[node.options.index("--cluster-port") + 1]
            assert first.ask("CLUSTER", "MEET", "127.0.0.1", str(node.port), bus) == "+OK"
        wait_until(
            lambda: all(
                node.say("CLUSTER", "NODES").count("connected") == 6 for node in self.nodes
            ),
            "the nodes don't meet",
        )
        for primary, replica in zip(self.nodes[:3], self.nodes[3:], strict=True):
            name = primary.say("CLUSTER", "MYID").strip()
            assert replica.ask("CLUSTER", "REPLICATE", name) == "+OK"
        self.wait_until_whole()

    def wait_until_whole(self):
        """Wait until every slot is served, every primary has its replica, and all agree."""

        def whole():
            running = [node for node in self.nodes if node.process is not None]
            owners = set()
            for node in running:
                if "cluster_state:ok" not in node.say("CLUSTER", "INFO"):
                    return False
                owners.add(
                    frozenset(
                        (line.split()[0], *line.split()[8:])
                        for line in node.say("CLUSTER", "NODES").splitlines()
                        if "master" in line.split()[2] and len(line.split()) > 8
                    )
                )
                if "role:slave" in (said := node.say("INFO", "replication")) and (
                    "master_link_status:up" not in said
                ):
                    return False
            return len(owners) == 1

        wait_until(whole, "the cluster does not come together")

    def owner(self, name):
        """Return the node that serves *name* now."""
        slot = int(self.running[0].say("CLUSTER", "KEYSLOT", name))
        for line in self.running[0].say("CLUSTER", "NODES").splitlines():
            words = line.split()
            for owned in words[8:]:
                first, _, last = owned.partition("-")
                if not owned.startswith("[") and int(first) <= slot <= int(last or first):
                    port = int(words[1].partition("@")[0].rpartition(":")[2])
                    return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody serves {name}")

    @property
    def running(self):
        return [node for node in self.nodes if node.process is not None]


class Toxic:
    """A Toxiproxy proxy of the test's own before *server*; a context manager."""

    def __init__(self, api, server):
        self.api = api
        self.port = free_port()
        self.name = f"cache-{os.getpid()}-{self.port}"
        self.server = server

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self):
        upstream = f"127.0.0.1:{self.server.port}"
        listen = f"127.0.0.1:{self.port}"
        self._call("POST", "/proxies", name=self.name, listen=listen, upstream=upstream)
        return self

    def __exit__(self, *_):
        self._call("DELETE", f"/proxies/{self.name}")

    def add(self, kind, stream="downstream", **attributes):
        """Let the proxy do *kind* to what goes *stream*."""
        said = {"name": f"{kind}-{stream}", "type": kind, "stream": stream}
        self._call("POST", f"/proxies/{self.name}/toxics", **said, attributes=attributes)

    def heal(self):
        for toxic in self._call("GET", f"/proxies/{self.name}/toxics"):
            self._call("DELETE", f"/proxies/{self.name}/toxics/{toxic['name']}")
        self._call("POST", f"/proxies/{self.name}", enabled=True)

    def cut(self):
        """End every connection and take no new one."""
        self._call("POST", f"/proxies/{self.name}", enabled=False)

    def _call(self, method, path, **body):
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{self.api}{path}", data=data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None
