"""The section of the settings that says what `holdfast worker` serves, and how much at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ByteSize, Field

from holdfast.settings.sections import Section
from holdfast.settings.setting_spec import About
from holdfast.settings.value_checks import NUMBER, split_names


class WorkerSection(Section):
    """The section `[worker]`: queues, concurrency, and when a worker makes way for another."""

    queues: Annotated[
        tuple[str, ...],
        BeforeValidator(split_names),
        Field(min_length=1),
        About(what="the queues that are served, in this order", expected="names of queues"),
    ] = ("default",)
    concurrency: Annotated[
        int,
        NUMBER,
        Field(ge=1, le=10_000),
        About(what="jobs that run at once", expected="a whole number from 1 to 10000"),
    ] = 1
    processes: Annotated[
        int,
        NUMBER,
        Field(ge=0, le=1000),
        About(
            what="child processes for handlers that ask for one; 0: as many as *concurrency*",
            expected="a whole number from 0 to 1000",
        ),
    ] = 0
    drain: Annotated[
        float,
        NUMBER,
        Field(ge=0, le=86_400),
        About(
            what="seconds that running jobs have to end once the worker is told to stop, before "
            "they are put back into their queues; 0 is no limit",
            expected="a number of seconds from 0 to 86400",
        ),
    ] = 0.0
    memory: Annotated[
        ByteSize,
        NUMBER,
        Field(ge=0, le=1 << 50),
        About(
            what="bytes in memory from which a worker starts again after the jobs at hand; 0 is "
            "no limit, others need Linux",
            expected="a size such as 2GiB, or 0",
        ),
    ] = ByteSize(0)
