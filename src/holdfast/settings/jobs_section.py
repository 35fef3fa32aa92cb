"""The section of the settings that says by which keys jobs are sealed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from holdfast.settings.sections import Section
from holdfast.settings.setting_spec import About
from holdfast.settings.value_checks import checked_keys


class JobsSection(Section):
    """The section `[jobs]`: the keys that seal payloads and results in the store."""

    keys: Annotated[
        str,
        AfterValidator(checked_keys),
        About(
            what="keys that seal payloads and results of jobs, each `ID:` and 32 random bytes in "
            "base64, a line or a comma apart; best in a secret file",
            expected="keys such as april:BASE64, a line or a comma apart",
            shown="secret",
            unset="they are not sealed",
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
