"""The section of the settings that says which pool of hosts is kept, and for how long."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holdfast.settings.sections import Section
from holdfast.settings.setting_spec import About
from holdfast.settings.value_checks import NUMBER


class HostsSection(Section):
    """The section `[hosts]`: the pool of workers and other machines."""

    pool: Annotated[
        str,
        Field(min_length=1, max_length=100),
        About(
            what="the pool whose requests are worked on here; pools share a store and nothing else",
            expected="a name",
        ),
    ] = "default"
    max_workers: Annotated[
        int,
        NUMBER,
        Field(ge=0, le=10_000),
        About(
            what="worker processes that a pool may have on one host, whatever templates say",
            expected="a whole number from 0 to 10000",
        ),
    ] = 4
    keep_days: Annotated[
        float,
        NUMBER,
        Field(ge=0, le=36_500),
        About(
            what="days after which requests and machines that ended are deleted",
            expected="a number of days from 0 to 36500",
        ),
    ] = 30.0
