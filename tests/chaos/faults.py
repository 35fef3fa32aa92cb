"""What is done to an installation, at random from a seed, and undone: each fault is one coroutine.

Two hands hurt it at once, one its programs and one what they stand on, so that faults meet. Each
has dice of its own: by one seed both do the same in the same order. When exactly each thing happens
is the machine's affair.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass

JUMPS = (-7200, -900, -60, 60, 900, 7200)
"""Seconds by which a program's clock is off for a while."""


@dataclass(frozen=True)
class Mark:
    """A fault on the time line, in seconds since the run began."""

    name: str
    began: float
    ended: float


class Faults:
    """The faults of *installation*: those that can be had here, and why others can't."""

    def __init__(self, installation, seed, began, until):
        self.place = installation
        self.seed = seed
        self.began = began
        self.until = until
        self.marks = []
        self._down = []
        self.absent = {}
        if installation.no_disk is not None:
            self.absent["full disk"] = installation.no_disk
        if installation.no_clock is not None:
            self.absent["turned clock"] = installation.no_clock

    @property
    def counts(self):
        return Counter(mark.name for mark in self.marks)

    async def hurt(self):
        """Hurt with both hands until it is over; leave the last fault healed."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._supervise())
            group.create_task(self._hand("programs", self._program_faults()))
            group.create_task(self._hand("servers", self._server_faults()))

    async def _supervise(self):
        """Start programs again that ended by themselves, as those do that find no database."""
        while not self.until():
            for program in self.place.programs.values():
                if not program.runs and program not in self._down:
                    program.start()
            await asyncio.sleep(1)

    async def _hand(self, name, faults):
        dice = random.Random(f"{self.seed}:{name}")
        while faults and not self.until():
            await asyncio.sleep(dice.uniform(2, 12))
            if self.until():
                return
            fault = dice.choice(faults)
            at, said = time.monotonic() - self.began, await fault(dice)
            self.marks.append(Mark(said, at, time.monotonic() - self.began))

    def _program_faults(self):
        turned = [] if "turned clock" in self.absent else [self._turn_clock]
        return [self._kill_program, self._pause_program, self._restart_program, *turned]

    def _server_faults(self):
        full = [] if "full disk" in self.absent else [self._fill_disk]
        if not hasattr(self.place, "lines"):
            return full
        return [
            self._kill_server, self._pause_server, self._restart_server, self._cut_line,
            self._delay_line, self._truncate_line, self._fail_over, *full,
        ]  # fmt: skip

    def _program(self, dice):
        return self.place.programs[dice.choice(sorted(self.place.programs))]

    async def _kill_program(self, dice):
        program = self._program(dice)
        self._down.append(program)
        program.kill()
        await asyncio.sleep(dice.uniform(0, 6))
        await self._start(program)
        return f"kill {program.name}"

    async def _pause_program(self, dice):
        program = self._program(dice)
        program.freeze()
        await asyncio.sleep(dice.uniform(1, 15))  # leases are of 5
        program.thaw()
        return f"pause {program.name}"

    async def _restart_program(self, dice):
        program = self._program(dice)
        self._down.append(program)
        await asyncio.to_thread(program.stop)
        await self._start(program)
        return f"restart {program.name}"

    async def _turn_clock(self, dice):
        program = self._program(dice)
        program.turn_clock(dice.choice(JUMPS))
        await asyncio.sleep(dice.uniform(2, 12))
        program.turn_clock(0)
        return f"turn the clock of {program.name}"

    async def _start(self, program):
        """Let it run again, and wait until it is ready."""
        program.start()
        self._down.remove(program)
        while not self.until() and not await asyncio.to_thread(program.is_ready):  # noqa: ASYNC110
            await asyncio.sleep(0.5)

    def _server(self, dice):
        name = dice.choice(sorted(self.place.servers()))
        return name, self.place.servers()[name]

    async def _kill_server(self, dice):
        name, server = self._server(dice)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(dice.uniform(0, 5))
        await asyncio.to_thread(server.start)
        return f"kill {name}"

    async def _pause_server(self, dice):
        name, server = self._server(dice)
        processes = _family(server.process.pid)
        for each in processes:
            each.suspend()
        await asyncio.sleep(dice.uniform(1, 8))
        for each in processes:
            _resume(each)
        return f"pause {name}"

    async def _restart_server(self, dice):
        name, server = self._server(dice)
        if hasattr(server, "restart"):
            await asyncio.to_thread(server.restart)
        else:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        return f"restart {name}"

    def _line(self, dice):
        name = dice.choice(sorted(self.place.lines))
        return name, self.place.lines[name]

    async def _cut_line(self, dice):
        name, line = self._line(dice)
        await asyncio.to_thread(line.cut)
        await asyncio.sleep(dice.uniform(0, 6))
        await asyncio.to_thread(line.heal)
        return f"cut off {name}"

    async def _delay_line(self, dice):
        name, line = self._line(dice)
        stream = dice.choice(("upstream", "downstream"))
        late = {"latency": dice.randint(50, 3000), "jitter": 50}
        await asyncio.to_thread(lambda: line.add("latency", stream, **late))
        await asyncio.sleep(dice.uniform(2, 10))
        await asyncio.to_thread(line.heal)
        return f"delay {name}"

    async def _truncate_line(self, dice):
        name, line = self._line(dice)
        stream = dice.choice(("upstream", "downstream"))
        most = dice.randint(1, 20_000)
        await asyncio.to_thread(lambda: line.add("limit_data", stream, bytes=most))
        await asyncio.sleep(dice.uniform(1, 6))
        await asyncio.to_thread(line.heal)
        return f"truncate answers of {name}" if stream == "downstream" else f"truncate {name}"

    async def _fill_disk(self, dice):
        disks = self.place.disks()
        name = dice.choice(sorted(disks))
        await asyncio.to_thread(disks[name].fill)
        await asyncio.sleep(dice.uniform(2, 8))
        await asyncio.to_thread(disks[name].relieve)
        if hasattr(self.place, "servers"):  # PostgreSQL ends where its log can't be written
            server = self.place.servers()[name]
            if server.process.poll() is not None:
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
        return f"fill the disk of {name}"

    async def _fail_over(self, _dice):
        await asyncio.to_thread(self.place.fail_over)
        return "fail over PostgreSQL"


def _family(pid):
    import psutil  # noqa: PLC0415 - the servers' sessions are processes of their own

    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _resume(process):
    import psutil  # noqa: PLC0415

    try:
        process.resume()
    except psutil.NoSuchProcess:
        return  # it was ended while it was paused
