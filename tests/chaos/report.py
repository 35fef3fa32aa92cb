"""The report of a run: one page that needs nothing beside it, of counts, a plot, the faults."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

from chaos.checker import DOMAINS, WRONGS
from chaos.history import Told

LEFT, WIDTH, HEIGHT = 190, 810, 190
_LANE = 13
_COLOURS = {
    Told.ACKNOWLEDGED: "var(--good)",
    Told.REFUSED: "var(--hair)",
    Told.UNKNOWN: "var(--bad)",
}
_SHOWN = 20
_STYLE = Path(__file__).with_name("report.css")


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was run: where, how long, by which seed, what was asked and what was done to it."""

    seed: int
    began: datetime
    seconds: float
    history: list
    marks: list
    absent: dict
    place: str
    plant: str | None = None

    @property
    def faults(self):
        return Counter(mark.name for mark in self.marks)


def page(run, verdict):
    """Return the page as HTML."""
    wrong = f"{verdict.count} wrong" if verdict.count else "nothing wrong"
    when = f"{run.began:%Y-%m-%d %H:%M} UTC, {run.seconds / 60:g} minutes, seed {run.seed}"
    faults = ", ".join(f"{name} {count}" for name, count in sorted(run.faults.items()))
    warnings = [f"Not to be had here: {name}: {why}" for name, why in run.absent.items()]
    if run.plant:
        warnings.append(f"Planted: {run.plant}")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Chaos: seed {run.seed}</title><style>{_STYLE.read_text("utf-8")}</style></head><body>
<h1>{len(run.history):,} operations, {len(run.marks)} faults, {wrong}</h1>
<p>{escape(run.place)}. {when}.</p>
{"".join(f"<p class=warn>{escape(text)}</p>" for text in warnings)}
<h2>Operations a second, and faults below them</h2>
{_plot(run)}
<p class=key>{_key()}</p>
<h2>Counts</h2>
{_table(verdict)}
<p>Of an operation whose outcome is unknown both are right, that it happened and that it did not.
<h2>Faults</h2>
<p>{escape(faults or "none")}</p>
{_findings(verdict)}
</body></html>
"""


def _key():
    return " ".join(
        f'<i style="background:{colour}"></i>{told}' for told, colour in _COLOURS.items()
    )


def _plot(run):
    """Bars of operations by end and outcome, and a line for each fault while it lasted."""
    length = max([run.seconds, *(each.ended for each in run.history)], default=1.0)
    width = max(1.0, length / 200)
    bins = Counter((int(each.ended / width), each.told) for each in run.history)
    totals = Counter()
    for (place, _), count in bins.items():
        totals[place] += count
    most = max(totals.values(), default=1)
    parts, step = [], WIDTH * width / length
    for place in sorted(totals):
        bottom = HEIGHT
        for told, colour in _COLOURS.items():
            high = HEIGHT * bins[place, told] / most
            bottom -= high
            if high:
                parts.append(
                    f'<rect x="{LEFT + place * step:.1f}" y="{bottom:.1f}" '
                    f'width="{step * 0.9:.2f}" height="{high:.1f}" fill="{colour}"/>'
                )
    lanes = sorted(run.faults)
    for lane, name in enumerate(lanes):
        y = HEIGHT + 16 + lane * _LANE
        parts.append(f'<text x="0" y="{y + 4}">{escape(name)}</text>')
        for mark in run.marks:
            if mark.name == name:
                x, end = (LEFT + WIDTH * at / length for at in (mark.began, mark.ended))
                parts.append(
                    f'<line x1="{x:.1f}" x2="{max(end, x + 2):.1f}" y1="{y}" y2="{y}"><title>'
                    f"{escape(name)}, {mark.began:.0f} to {mark.ended:.0f} s</title></line>"
                )
    high = HEIGHT + 20 + len(lanes) * _LANE
    said = f"{most / width:.0f} a second"
    return (
        f'<svg viewBox="0 0 {LEFT + WIDTH} {high}" role="img" '
        f'aria-label="Operations, at most {said}">'
        f'{"".join(parts)}<text x="0" y="11">{said}</text></svg>'
    )


def _table(verdict):
    columns = [*Told, *WRONGS]
    rows = []
    for domain in DOMAINS:
        told, wrong = verdict.told[domain], verdict.wrong.get(domain, {})
        cells = [f"<td>{told[name]:,}" for name in Told]
        counts = [len(wrong.get(name, ())) for name in WRONGS]
        cells += [f'<td class="{"bad" if count else "zero"}">{count}' for count in counts]
        rows.append(f"<tr><th>{domain}{''.join(cells)}")
    head = "".join(f"<th>{name}" for name in ["", *columns])
    return f"<table><thead><tr>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _findings(verdict):
    parts = []
    for domain, kinds in verdict.wrong.items():
        for kind, texts in kinds.items():
            shown = "".join(f"<li>{escape(text)}" for text in texts[:_SHOWN])
            more = f"<p>and {len(texts) - _SHOWN} more</p>" if len(texts) > _SHOWN else ""
            parts.append(f"<h2>{domain}: {kind}</h2><ul>{shown}</ul>{more}")
    return "".join(parts)
