"""The section of the settings that says by which keys jobs are sealed, and when one is poison."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from holdfast.settings.sections import Section
from holdfast.settings.setting_spec import About
from holdfast.settings.value_checks import NUMBER, checked_keys


class JobsSection(Section):
    """The section `[jobs]`: the keys that seal what is stored, and when a job is poison."""

    keys: Annotated[
        str,
        AfterValidator(checked_keys),
        About(
            what="keys that seal payloads and results of jobs, each `ID:` and 32 random bytes in "
            "base64, a line or a comma apart; best in a secret file. Secrets that are made of them "
            "sign the cursors of pages",
            expected="keys such as april:BASE64, a line or a comma apart",
            shown="secret",
            unset="they are not sealed, and cursors have a checksum",
        ),
    ] = ""
    current_key: Annotated[
        str,
        Field(max_length=64),
        About(
            what="the id of the key that new jobs are sealed by; the others open what they sealed",
            expected="the id of one of *jobs.keys*",
            unset="the only key",
        ),
    ] = ""
    quarantine_after: Annotated[
        int,
        NUMBER,
        Field(ge=1, le=1000),
        About(
            what="leases that a job may lose, as its worker vanished, until it is failed as poison "
            "whatever attempts it has left",
            expected="a whole number from 1 to 1000",
        ),
    ] = 3
