"""The section of the settings that says what `holdfast migrate` works on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from holdfast.settings.sections import Section
from holdfast.settings.setting_spec import About
from holdfast.settings.value_checks import split_names


class MigrationsSection(Section):
    """The section `[migrations]`: whose tables `holdfast migrate` changes, by which files."""

    entities: Annotated[
        tuple[str, ...],
        BeforeValidator(split_names),
        About(
            what="the entities whose tables `holdfast migrate` changes, each `MODULE:NAME` as in "
            "`shop:ENTITIES`, an entity or a list of them, with commas between",
            expected="names such as shop:ENTITIES, with commas between",
            unset="those of the domains",
        ),
    ] = ()
    folder: Annotated[
        Path,
        About(what="the folder with the files of the migrations", expected="the path of a folder"),
    ] = Path("migrations")
