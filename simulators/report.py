"""What the simulators say: one line a part, a summary, the broken rules; 80 columns wide."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from pathlib import Path
from typing import Any

from protocols.faults import describe
from protocols.signals import Judgement, Result
from simulators.line import VERDICTS, Record, Tally
from simulators.plc import Plc
from simulators.watch import RULES, Watch

_ROW = "{:>6}  {:<15} {:<7} {:>5} {:>5} {:>6} {:>6} {:>6} {:>7}"
HEADER = _ROW.format("part", "truth", "verdict", "why", "found", "grab", "infer", "total", "PLC ms")


def say(text: str) -> None:
    """One line to standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line to standard error."""
    sys.stderr.write(text + "\n")


def cells(record: Record) -> tuple[str, ...]:
    """Part, truth, verdict, reason, findings, grab, infer, total and the PLC's own time, in milliseconds, as text."""
    answer = record.answer
    result, response = answer.result, answer.response
    times = ("-",) * 4 if result is None else _times(result)
    return (
        str(record.part_id),
        truth(record),
        answer.judgement.name if result is not None else "none",
        str(answer.reason) if answer.reason else "",
        *times,
        "-" if response is None else f"{response * 1000:.1f}",
    )


def _times(result: Result) -> tuple[str, ...]:
    tenths = (result.grab, result.infer, result.total)
    return str(result.findings), *(f"{tenth / 10:.1f}" for tenth in tenths)


def truth(record: Record) -> str:
    """What is wrong with the part in a word or two: its first defect, and how many more."""
    if record.defects is None:
        return ""
    if not record.defects:
        return "good"
    more = len(record.defects) - 1
    return record.defects[0].replace("_", " ") + (f" +{more}" if more else "")


def answer(record: Record) -> str:
    """One part as one line under HEADER, at most 80 columns; a wrong one is marked, a missing answer explained."""
    row = _ROW.format(*cells(record)) + ("  wrong" if wrong(record) else "")
    failure, code = record.answer.failure, record.answer.reason
    if not failure:
        return row
    return f"{row}\n        {textwrap.shorten(f'{failure}: {reason(code)}' if code else failure, 72)}"


def summary(tally: Tally) -> list[str]:
    """The run in a few lines."""
    counts = ", ".join(f"{tally.judged[verdict]} {verdict.name}" for verdict in VERDICTS if tally.judged[verdict])
    lines = ["", f"{tally.parts} parts: {counts or 'none'}"]
    if tally.known:
        lines += confusion(tally)
    trouble = f"without an answer {tally.unanswered}, later than {tally.deadline * 1000:.0f} ms {tally.late}"
    lines.append(f"{trouble}, held up on the line {tally.waited}")
    if tally.responses:
        p50, p99, most = (ms(tally.response(share)) for share in (0.5, 0.99, 1.0))
        lines.append(f"trigger to result at the PLC: p50 {p50}, p99 {p99}, longest {most}")
    return lines


def confusion(tally: Tally) -> list[str]:
    """Truth against verdict, and the share that is right."""
    head = "".join(f"{verdict.name:>9}" for verdict in VERDICTS)
    rows = [
        f"  {name}{''.join(f'{tally.confusion[good, verdict]:>9}' for verdict in VERDICTS)}"
        for name, good in (("good parts", True), ("bad parts ", False))
    ]
    errors = f"escapes {tally.escapes}, false rejects {tally.false_rejects}, to be rechecked {tally.rechecks}"
    return [f"            {head}", *rows, f"right {share(tally)}; {errors}"]


def share(tally: Tally) -> str:
    """How many of the verdicts OK and NG are right."""
    part = f" ({tally.right / tally.decided:.1%})" if tally.decided else ""
    return f"{tally.right} of {tally.decided}{part}"


def wire(plc: Plc) -> list[str]:
    """What the PLC counted of its scans, and the gateway of the triggers."""
    status = plc.outputs.status
    scans = f"PLC: {plc.scans} scans, {plc.overruns} left out, {plc.connections} connections"
    return [f"gateway since its start: {status.missed} triggers refused, {status.lost} results lost", scans]


def wire_as_json(plc: Plc) -> dict[str, Any]:
    """The same as numbers, with the broken rules."""
    status, watch = plc.outputs.status, plc.watch
    return {
        "missed": status.missed,
        "lost": status.lost,
        "scans": plc.scans,
        "overruns": plc.overruns,
        "connections": plc.connections,
        "torn": plc.torn,
        "results_seen": watch.results,
        "results_repeated": watch.repeats,
        "power_cycles": plc.role.power_cycles,
        "violations": dict(watch.counts),
        "violation_texts": [f"{v.rule}: {v.text}" for v in watch.violations],
    }


def verdict(watch: Watch) -> list[str]:
    """Whether the contract was kept, and where not."""
    if not watch.reads:
        return ["contract not checked: nothing was read"]
    if watch.ok:
        return [f"contract kept: {len(RULES)} rules at {watch.reads} reads"]
    lines = [f"CONTRACT BROKEN: {', '.join(f'{rule} {count}x' for rule, count in watch.counts.items())}"]
    lines += [f"  {v.rule}: {v.text}" for v in watch.violations[:10]]
    return lines


def reason(code: int) -> str:
    """A fault code for people."""
    return describe(code) if code else "no reason given"


def ms(seconds: float) -> str:
    """A time in milliseconds, or a dash for none."""
    return "-" if math.isnan(seconds) else f"{seconds * 1000:.1f} ms"


def wrong(record: Record) -> bool:
    """The truth is known and neither said nor left open: an escape, a false reject or no verdict at all."""
    return record.defects is not None and not record.right and record.answer.judgement is not Judgement.RECHECK


def save(path: Path, figures: dict[str, Any]) -> None:
    """Write the figures as JSON; a file that cannot be written is told, not raised."""
    try:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        complain(f"{path} cannot be written: {error.strerror}; give another file")
