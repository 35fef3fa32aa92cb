"""The program's commands, those of installed domains among them."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from typer._click.core import Command, Context

_ENTRY_POINTS = "holdfast.domains"


class ProgramGroup(TyperGroup):
    """The commands of the program, and those of the domains that are switched on.

    A domain's commands are called by its name. Nothing of a domain is imported for another command.
    """

    def list_commands(self, ctx: Context) -> list[str]:
        """Return the names of all commands; those of domains come last."""
        own = super().list_commands(ctx)
        if not _may_be_set() or not entry_points(group=_ENTRY_POINTS):
            return own
        try:
            found = [name for name in _switched_on() if self.get_command(ctx, name) is not None]
        except HoldfastError:  # help is given whatever the settings are
            return own
        return [*own, *(name for name in found if name not in own)]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Return the command called so; that of a domain is imported for it."""
        found = super().get_command(ctx, cmd_name)
        if found is not None or not entry_points(group=_ENTRY_POINTS, name=cmd_name):
            return found
        if cmd_name not in _switched_on():
            return None
        from holdfast.platform.domain_selection import domain_named

        commands = domain_named(cmd_name).commands
        return None if commands is None else typer.main.get_group(commands())


def _may_be_set() -> bool:
    """Return whether anything is there that could name a domain: metadata are slow to read."""
    files = (Path(".env"), Path("holdfast.toml"))
    return any(name.upper().startswith("HOLDFAST_") for name in os.environ) or any(
        path.exists() for path in files
    )


def _switched_on() -> tuple[str, ...]:
    from holdfast.settings import read_settings

    return read_settings().domains
