"""The section of the settings that bounds what callers may send, ask and cost."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import ByteSize, Field

from holdfast.settings.sections import MIB, Section
from holdfast.settings.setting_spec import About
from holdfast.settings.value_checks import NUMBER

_GIB = 1 << 30
_Rate: TypeAlias = Annotated[float, NUMBER, Field(gt=0, le=1_000_000)]
_RATE = "a number above 0, 1000000 at most"


class LimitsSection(Section):
    """The section `[limits]`: how often, how much and how long, for the HTTP API and for videos."""

    request_rate: Annotated[
        _Rate, About(what="requests a second that one API key may go on asking", expected=_RATE)
    ] = 50.0
    request_burst: Annotated[
        _Rate, About(what="requests that it may ask at once", expected=_RATE)
    ] = 200.0
    refusal_rate: Annotated[
        _Rate, About(what="refused keys a second from one address", expected=_RATE)
    ] = 1.0
    refusal_burst: Annotated[_Rate, About(what="refused keys at once", expected=_RATE)] = 20.0
    body: Annotated[
        ByteSize,
        NUMBER,
        Field(ge=1024, le=_GIB),
        About(
            what="bytes of a request's body that is no upload; also as `4MiB`",
            expected="a size from 1KiB to 1GiB",
        ),
    ] = ByteSize(MIB)
    json_depth: Annotated[
        int,
        NUMBER,
        Field(ge=1, le=1000),
        About(what="levels of JSON in it", expected="a whole number from 1 to 1000"),
    ] = 64
    request_time: Annotated[
        float,
        NUMBER,
        Field(ge=0, le=86_400),
        About(
            what="seconds until a request is answered, or stopped with 503; 0 is no limit. Uploads "
            "have bounds of their own",
            expected="a number of seconds from 0 to 86400",
        ),
    ] = 60.0
    upload: Annotated[
        ByteSize,
        NUMBER,
        Field(ge=1, le=5 * 1024 * _GIB),
        About(what="bytes of one upload", expected="a size from 1 byte to 5TiB"),
    ] = ByteSize(64 * _GIB)
    project_bytes: Annotated[
        ByteSize,
        NUMBER,
        Field(ge=0, le=1 << 60),
        About(
            what="bytes of videos that a project may have, an upload beyond is answered with 507; "
            "0 is no limit",
            expected="a size, or 0",
        ),
    ] = ByteSize(0)
    upload_age: Annotated[
        float,
        NUMBER,
        Field(gt=0, le=31_536_000),
        About(
            what="seconds after which a file that was sent in and never ingested, or an upload in "
            "parts that was never completed, is removed",
            expected="a number of seconds above 0, a year at most",
        ),
    ] = 86_400.0
    decoder_memory: Annotated[
        ByteSize,
        NUMBER,
        Field(ge=256 * MIB, le=1024 * _GIB),
        About(
            what="bytes of memory of the process that decodes a video",
            expected="a size from 256MiB to 1TiB",
        ),
    ] = ByteSize(2 * _GIB)
    decoder_cpu: Annotated[
        float,
        NUMBER,
        Field(gt=0, le=31_536_000),
        About(
            what="seconds of CPU of one detection; 100 are added for each MiB of the video",
            expected="a number of seconds above 0, a year at most",
        ),
    ] = 600.0
    decoder_silence: Annotated[
        float,
        NUMBER,
        Field(gt=0, le=86_400),
        About(
            what="seconds without a sign of progress after which decoding is ended",
            expected="a number of seconds above 0, 86400 at most",
        ),
    ] = 300.0
