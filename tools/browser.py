"""Installs the browsers that tests of the console drive, which are Debian's.

In the place of Chromium Playwright's own will do. Of Firefox that one is not the Firefox that
people have. `python -m tools.browser`, or `make browser`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from tools.services.failure import MissingError
from tools.services.programs.command import Commands
from tools.services.programs.debian import install_packages

NAMES = ("chromium", "chromium-browser", "google-chrome")
FIREFOX_NAMES = ("firefox-esr", "firefox")


def browser() -> str | None:
    """Return the path of a Chromium that is installed, None where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or _of_playwright()


def firefox() -> str | None:
    """Return the path of a Firefox that is installed, None where there is none."""
    return next(filter(None, map(shutil.which, FIREFOX_NAMES)), None)


def _of_playwright() -> str | None:
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def main() -> int:
    """Install what is missing, and say which browsers there are. Without a Chromium it fails."""
    if browser() is None:
        try:
            install_packages(("chromium",), Commands().run)
        except MissingError as missing:
            print(f"{missing}; asking Playwright for its own", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    if firefox() is None:
        try:
            install_packages(("firefox-esr",), Commands().run)
        except MissingError as missing:
            print(f"{missing}; the tests in Firefox are skipped", file=sys.stderr)
    print(browser(), firefox() or "no Firefox", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
