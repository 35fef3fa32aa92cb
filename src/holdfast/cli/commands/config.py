"""The command that prints the settings in force, and where each comes from: config."""

from __future__ import annotations

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import note, print_json, print_table
from holdfast.cli.runner import tell_misspelt


def config(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """Print every setting that is in force, and where it comes from; no secret is shown."""
    from holdfast.settings import resolve_settings, settings_in_force

    resolved = resolve_settings(data=data)
    settings, found = resolved.settings, settings_in_force(resolved)
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "variable": each.variable,
                    "value": each.value or None,
                    "unset": each.unset or None,
                    "origin": {"name": each.origin.name or None, "place": each.origin.place},
                }
                for each in found
            ]
        )
    else:
        rows = [
            (each.name, each.value or (f"({each.unset})" if each.unset else ""), each.origin)
            for each in found
        ]
        print_table(("setting", "value", "from"), rows, folded=("value", "from"))
    if settings.redis.pool_size:
        note(
            "redis.pool_size has no effect: all requests share one connection to Redis, and a "
            "second one when that is busy",
            style="yellow",
        )
    tell_misspelt()
