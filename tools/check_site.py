"""Checks the built documentation: links and anchors, what pages load, and that the API is whole.

`python -m tools.check_site FOLDER` prints what is wrong, and ends with code 1 when something is.
"""

from __future__ import annotations

import importlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}
"""The attribute by which each kind of element loads something."""
NAMED = ("canonical", "prev", "next")
"""Relations of a link element that load nothing."""

ROOMS = ("records", "objects", "cache", "jobs", "media")


class Page(HTMLParser):
    """A built page: its anchors, where its links lead, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the element is called, links to and loads."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and values.get("href"):
            self.links.add(values["href"])
        if values.get(LOADED.get(tag, "")) and values.get("rel") not in NAMED:
            self.loads.add(values[LOADED[tag]])


def undescribed(folder: Path) -> list[str]:
    """Return the public names of the rooms that their pages in *folder* don't describe."""
    found: list[str] = []
    for room in ROOMS:
        path = folder / "reference" / "api" / f"{room}.html"
        page = Page(path)
        described = {anchor.rpartition(".")[2] for anchor in page.anchors}
        described |= set(re.findall(r"<code>(\w+)</code>", page.text))
        public: list[str] = importlib.import_module(f"holdfast.{room}").__all__
        found += [f"{path}: says nothing of {name}" for name in public if name not in described]
    return found


def problems(folder: Path) -> list[str]:
    """Return what is wrong with the site in *folder*, a line each."""
    pages = {path: Page(path) for path in sorted(folder.rglob("*.html")) if path.name != "404.html"}
    resolved = {path.resolve(): page for path, page in pages.items()}
    found = [] if pages else [f"{folder}: no page"]
    for path, page in pages.items():
        found += [
            f"{path}: loads {target}" for target in sorted(page.loads) if urlsplit(target).netloc
        ]
        for target in sorted(page.links | page.loads):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            if not there.exists():
                found.append(f"{path}: leads to {target}, which is not there")
            elif (
                parts.fragment
                and there in resolved
                and unquote(parts.fragment) not in resolved[there].anchors
            ):
                found.append(f"{path}: leads to {target}, where there is no such anchor")
    return found


if __name__ == "__main__":
    site = Path(sys.argv[1])
    wrong = problems(site) + undescribed(site)
    print("\n".join(wrong) or "links and anchors are there, nothing is loaded from elsewhere")
    sys.exit(bool(wrong))
