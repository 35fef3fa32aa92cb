"""Writes the table of all settings into its page: `python -m tools.settings_table`."""

from __future__ import annotations

from pathlib import Path

from holdfast.settings.in_force import settings_table

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"
BEGIN, END = "<!-- the settings -->", "<!-- to here -->"


def main() -> None:
    """Put the table between the two marks of the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, behind = rest.partition(END)
    page = f"{before}{BEGIN}\n\n{settings_table()}\n{END}{behind}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
