"""`python -m benchmarks`: runs the benchmarks one after the other and prints tables with ratios and goals."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import native, report
from benchmarks.report import Table

BENCHMARKS = {
    "reads": "modbus_server",
    "client": "client_reads",
    "polls": "polls",
    "many": "many",
    "path": "path",
    "throughput": "throughput",
    "decode": "decode",
    "start": "start",
    "crash": "crash",
    "history": "history",
    "worker": "worker",
    "engines": "engines",
    "cameras": "cameras",
    "pictures": "pictures",
    "frames": "frame_ways",
    "tls": "secured",
    "opcua": "opcua",
    "opcua-load": "opcua_load",
}
"""Name on the command line → module."""
OPCUA = ("opcua", "opcua-load")
BEGIN, END = "<!-- {}: written by python -m benchmarks --markdown -->", "<!-- end of {} -->"


def main() -> int:
    """0, also when goals are missed; 1 when a benchmark broke down."""
    options = _options()
    head = report.machine()
    for name, value in head:
        print(f"{name + ':':11}{value}")
    print(flush=True)
    found: dict[str, Any] = {}
    shown: dict[str, list[Table]] = {}
    broken = []
    for name in options.only or BENCHMARKS:
        try:
            found[name], tables = _run(name, options.quick)
        except Exception:  # noqa: BLE001 - the boundary of one benchmark: the others still run
            traceback.print_exc()
            broken.append(name)
            continue
        shown.setdefault("OPC UA results" if name in OPCUA else "results", []).extend(tables)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": dict(head), **found}, indent=1) + "\n", encoding="utf-8")
    if options.markdown is not None:
        told = [*head, ("command", _command())]
        _write_markdown(options.markdown, {part: report.markdown(told, tables) for part, tables in shown.items()})
    if broken:
        print(f"broken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: about two minutes instead of ten")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the tables; between their marks, if it has them")
    return parser.parse_args()


def _command() -> str:
    return f"`python -m benchmarks {' '.join(sys.argv[1:])}`"


def _run(name: str, quick: bool) -> tuple[Any, Sequence[Table]]:
    module = import_module(f"benchmarks.{BENCHMARKS[name]}")
    begin, busy, ours = time.monotonic(), _busy(), _ours()
    try:
        found = module.run(quick)
    except native.MissingError as error:
        print(f"{name}: not measured: {error}\n", flush=True)
        return {"missing": str(error)}, ()
    tables: Sequence[Table] = module.tables(found)
    for table in tables:
        print(report.text(table))
    took = time.monotonic() - begin
    others = max(0.0, _busy() - busy - (_ours() - ours)) / took
    print(f"  ({name} took {took:.0f} s; other programs kept {others:.2f} cores busy meanwhile)\n", flush=True)
    return {**found, "other_programs_cores": round(others, 2)}, tables


def _busy() -> float:
    """Seconds of processor time spent on this computer since its start, stolen ones included."""
    ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _ours() -> float:
    """The same of this process and its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _write_markdown(file: Path, parts: dict[str, str]) -> None:
    """Replace what stands between the marks of each part that was measured; without marks all is written anew."""
    old = file.read_text(encoding="utf-8") if file.exists() else ""
    for part, results in parts.items():
        before, begin, rest = old.partition(BEGIN.format(part))
        _, end, after = rest.partition(END.format(part))
        if not (begin and end):
            file.write_text("\n".join(parts.values()), encoding="utf-8")
            return
        old = f"{before}{begin}\n\n{results}\n{end}{after}"
    file.write_text(old, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
