"""The acceptance report an engineer signs: plain text, JSON for programs, a page to print. Pure."""

from __future__ import annotations

import html
import json
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby

from gateway.plc.acceptance import Finding, Record, Verdict

TITLE = "Acceptance of the link between PLC and vision gateway"
SIGNATURES = ("Machine", "PLC program, version", "Engineer", "Date, signature")
WIDTH = 118
_INDENT = " " * 14


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above the findings."""

    target: str
    """Which station, by which role."""
    at: datetime
    """When it ended; with its zone."""
    seconds: float
    version: str
    """Of the gateway's software that ran the check."""


def text(record: Record, heading: Heading, *, signed: bool = False) -> str:
    """The report as plain text; `signed` adds the lines for the signature."""
    return "\n".join(_lines(record, heading, signed=signed)) + "\n"


def _lines(record: Record, heading: Heading, *, signed: bool) -> Iterator[str]:
    yield TITLE
    yield from (f"  {name:14} {value}" for name, value in _head(record, heading))
    for group, findings in groupby(record.findings, key=lambda finding: finding.group):
        members = list(findings)
        yield ""
        yield f"{members[0].number[0]}  {group}"
        for why, group_of in groupby(members, key=_untried):
            same = list(group_of)
            yield from _skipped(why, same) if why else chain.from_iterable(map(_finding, same))
    yield ""
    yield from _wrapped("ended", record.ended, "") if record.ended else ()
    yield f"{'PASSED' if record.passed else 'FAILED'}: {record.summary}"
    if signed:
        yield from ("", *(line for name in SIGNATURES for line in ("", f"{name + ':':24}{'_' * 50}")))


def _untried(finding: Finding) -> str:
    return finding.found if finding.verdict is Verdict.SKIPPED else ""


def _skipped(why: str, findings: list[Finding]) -> Iterator[str]:
    """Several that were not tried for one reason take one line."""
    first, last = findings[0], findings[-1]
    number = first.number if first is last else f"{first.number}…{last.number}"
    name = f"{first.name}: " if first is last else ""
    yield from _wrapped("", f"{name}{why}", f"  {number:{4 if first is last else 10}}skipped ")


def _finding(finding: Finding) -> Iterator[str]:
    failed = finding.verdict is Verdict.FAILED
    line = f"  {finding.number:4}{finding.verdict.value:8}{finding.name}"
    yield f"{line}: {finding.found}" if not failed and len(line) + len(finding.found) < WIDTH else line
    if failed:
        yield from _wrapped("demanded", finding.demanded, _INDENT)
    if failed or len(line) + len(finding.found) >= WIDTH:
        yield from _wrapped("found", finding.found, _INDENT)
    if finding.remedy:
        yield from _wrapped("remedy", finding.remedy, _INDENT)


def _wrapped(name: str, content: str, indent: str) -> list[str]:
    first = f"{indent}{name + ':':10}" if name else indent
    return textwrap.wrap(content, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))


def _head(record: Record, heading: Heading) -> Iterator[tuple[str, str]]:
    yield "station", heading.target
    yield "date", heading.at.strftime("%Y-%m-%d %H:%M:%S %z")
    yield "duration", f"{heading.seconds:.1f} s"
    yield "software", heading.version
    yield from record.facts.items()


def as_json(record: Record, heading: Heading) -> str:
    """The report for programs."""
    content = {
        "title": TITLE,
        "station": heading.target,
        "date": heading.at.isoformat(timespec="seconds"),
        "seconds": round(heading.seconds, 1),
        "software": heading.version,
        "facts": record.facts,
        "passed": record.passed,
        "ended": record.ended,
        "counts": {verdict.name.lower(): record.count(verdict) for verdict in Verdict},
        "checks": [
            {
                "number": finding.number,
                "group": finding.group,
                "name": finding.name,
                "demanded": finding.demanded,
                "found": finding.found,
                "verdict": finding.verdict.name.lower(),
                "remedy": finding.remedy,
            }
            for finding in record.findings
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


_STYLE = """
@page { size: A4; margin: 15mm }
body { font: 10pt/1.35 system-ui, sans-serif; color: #111; max-width: 190mm; margin: 1em auto }
h1 { font-size: 15pt; margin: 0 0 .5em } h2 { font-size: 11pt; margin: 1.2em 0 .3em; break-after: avoid }
table { border-collapse: collapse; width: 100% } tr { break-inside: avoid }
th, td { border: .5pt solid #999; padding: 2pt 4pt; text-align: left; vertical-align: top }
th { background: #eee; font-weight: 600 } td:first-child, td:last-child { white-space: nowrap }
.head td { border: 0; padding: 0 1em 0 0 } .failed td { background: #fdd } .failed td:last-child { font-weight: 700 }
.note td { background: #ffd } .skipped td { color: #777 } .remedy { margin-top: 2pt; font-style: italic }
.sum { font-size: 12pt; font-weight: 700; margin: 1em 0 } .sign { margin-top: 12mm; break-inside: avoid }
.sign td { border: 0; border-bottom: .5pt solid #111; height: 11mm; vertical-align: bottom }
.sign td:first-child { border: 0; width: 45mm }
"""


def as_html(record: Record, heading: Heading) -> str:
    """The report as one page without anything from elsewhere, to be printed and signed."""
    return "\n".join(_page(record, heading)) + "\n"


def _page(record: Record, heading: Heading) -> Iterator[str]:
    yield f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title>'
    yield f"<style>{_STYLE}</style></head><body><h1>{TITLE}</h1>"
    rows = (f"<tr><td>{_escaped(name)}</td><td>{_escaped(value)}</td></tr>" for name, value in _head(record, heading))
    yield f'<table class="head">{"".join(rows)}</table>'
    for group, findings in groupby(record.findings, key=lambda finding: finding.group):
        yield f"<h2>{_escaped(group)}</h2>"
        yield "<table><tr><th>no.</th><th>check</th><th>demanded</th><th>found</th><th>verdict</th></tr>"
        yield from map(_row, findings)
        yield "</table>"
    ended = f"<br>{_escaped(record.ended)}" if record.ended else ""
    yield f'<p class="sum">{"PASSED" if record.passed else "FAILED"}: {_escaped(record.summary)}{ended}</p>'
    signs = "".join(f"<tr><td>{name}</td><td></td></tr>" for name in SIGNATURES)
    yield f'<table class="sign">{signs}</table></body></html>'


def _row(finding: Finding) -> str:
    remedy = f'<div class="remedy">{_escaped(finding.remedy)}</div>' if finding.remedy else ""
    cells = (finding.number, finding.name, finding.demanded, finding.found)
    told = "".join(f"<td>{_escaped(cell)}{remedy if cell is finding.found else ''}</td>" for cell in cells)
    return f'<tr class="{finding.verdict.name.lower()}">{told}<td>{finding.verdict.value}</td></tr>'


def _escaped(content: str) -> str:
    return html.escape(content, quote=True)


def _signed(record: Record, heading: Heading) -> str:
    return text(record, heading, signed=True)


WRITERS: dict[str, Callable[[Record, Heading], str]] = {".txt": _signed, ".json": as_json, ".html": as_html}
"""What --report writes, by the file's extension."""
