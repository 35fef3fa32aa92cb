"""Reads where this machine's Debian comes from, out of apt's own lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

APT = Path("/etc/apt")
RELEASE = Path("/etc/os-release")
ROLLING = {"stable", "testing", "unstable", "sid"}  # what may stand for a codename in a list


@dataclass(frozen=True)
class AptSource:
    """One entry of a list: what to fetch from *uri*, and the *trust* (deb822 fields) it has."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    trust: Mapping[str, str]

    def of_suite(self, suite: str) -> str:
        """Return a deb822 list that names *suite* of the same place, trusted in the same way."""
        fields = {"Types": "deb", "URIs": self.uri, "Suites": suite, "Components": "main"}
        fields |= {"Targets": "Packages", "Languages": "none"}  # what is to be fetched, no more
        lines = [f"{name}: {value}" for name, value in {**fields, **self.trust}.items()]
        return "\n".join(lines) + "\n"


def debian_source(apt: Path = APT, release: Path = RELEASE) -> AptSource | None:
    """Return the first entry for this machine's own Debian release, or None where it has none.

    Others name their suites after Debian's, too: an entry whose path is `debian` goes before.
    """
    words = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', _text(release), re.MULTILINE))
    if words.get("ID") != "debian":
        return None
    wanted = ROLLING | {words.get("VERSION_CODENAME", "stable")}
    found = [
        each for each in _entries(apt) if wanted & {*each.suites} and "main" in each.components
    ]
    own = [each for each in found if each.uri.rstrip("/").endswith("/debian")]
    return next(iter(own or found), None)


def _entries(apt: Path) -> Iterator[AptSource]:
    """Every enabled entry, in the order in which apt reads the files."""
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))):
        if path.suffix == ".list":
            yield from _one_line_entries(_text(path))
        elif path.suffix == ".sources":
            yield from _deb822_entries(_text(path))


def _one_line_entries(text: str) -> Iterator[AptSource]:
    """Return the entries of lines such as `deb [option=value ...] URI suite component ...`."""
    for line in text.splitlines():
        entry = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line.strip())
        if entry:
            options, uri, suite, components = entry.groups()
            trust = dict(part.split("=", 1) for part in (options or "").split() if "=" in part)
            yield AptSource(uri, (suite,), tuple(components.split()), _trust(trust))


def _deb822_entries(text: str) -> Iterator[AptSource]:
    """Return those of stanzas of `Field: value`; a line that begins with a space goes on."""
    text = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    for stanza in re.split(r"\n[ \t]*\n", text):
        pairs = re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        fields = {name.lower(): value for name, value in pairs}
        on = fields.get("enabled", "yes").strip().lower() not in {"no", "false", "0", "off"}
        if on and "deb" in fields.get("types", "").split():
            for uri in fields.get("uris", "").split():
                suites, components = fields.get("suites", ""), fields.get("components", "")
                yield AptSource(
                    uri, tuple(suites.split()), tuple(components.split()), _trust(fields)
                )


def _trust(fields: Mapping[str, str]) -> dict[str, str]:
    names = {"signed-by": "Signed-By", "trusted": "Trusted"}
    lowered = {name.lower(): value for name, value in fields.items()}
    return {said: lowered[name] for name, said in names.items() if name in lowered}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
