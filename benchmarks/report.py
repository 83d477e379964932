"""Tables of figures with their goals, as text and as Markdown, and what the computer was."""

from __future__ import annotations

import operator
import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

LIBRARIES = ("asyncua", "numpy", "onnxruntime", "opencv-python-headless", "pymodbus", "SQLAlchemy", "uvloop")
_COMPARE = {"≤": operator.le, "≥": operator.ge}


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be; `value` None = it could not be measured, `why` says so."""

    what: str
    value: float | None
    sign: str
    limit: float
    unit: str = ""
    why: str = ""

    def words(self) -> tuple[str, str, str, str]:
        """Figure, what was measured, goal, verdict."""
        goal = f"{self.sign} {self.limit:g}{self.unit}"
        if self.value is None:
            return self.what, "-", goal, f"not measured: {self.why}"
        met = _COMPARE[self.sign](self.value, self.limit)
        return self.what, f"{self.value:.3g}{self.unit}", goal, "met" if met else "**missed**"


@dataclass(frozen=True, slots=True)
class Table:
    """One comparison: what was done, the figures, the goals."""

    title: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    goals: Sequence[Goal] = ()


def tail(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99, p99.9 and the worst in microseconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    points = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: round(ordered[round(point * last)] * 1e6, 1) for name, point in points.items()}


def middle(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each figure over several rounds."""
    return {name: round(statistics.median(figures[name] for figures in rounds), 2) for name in rounds[0]}


def cells(figures: dict[str, float] | None, names: Sequence[str], digits: int = 0) -> list[str]:
    """The named figures of a row, blank where there is none."""
    return [f"{figures[name]:.{digits}f}" if figures and name in figures else "" for name in names]


def machine() -> list[tuple[str, str]]:
    """What the figures depend on."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return [
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("system", f"{platform.system()} {platform.release()}, load average at the start {load}"),
        ("Python", f"{platform.python_version()}; {versions}"),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def markdown(head: Sequence[tuple[str, str]], tables: Sequence[Table]) -> str:
    """The results as sections of a Markdown file."""
    parts = [*(f"- {name}: {value}" for name, value in head), ""]
    goals = [goal for table in tables for goal in table.goals]
    parts += _grid(("figure", "measured", "goal", ""), [goal.words() for goal in goals])
    for table in tables:
        parts += [f"### {table.title}", "", table.text, "", *_grid(table.columns, table.rows)]
    return "\n".join(parts)


def _grid(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    align = [":--" if index == 0 else "--:" for index in range(len(columns))]
    for cells_of in (columns, align, *rows):
        yield "| " + " | ".join(map(str, cells_of)) + " |"
    yield ""


def text(table: Table) -> str:
    """One table for the terminal."""
    parts = [table.title, f"  {table.text}", ""]
    parts += _aligned([table.columns, *table.rows])
    if table.goals:
        parts += ["", *_aligned([goal.words() for goal in table.goals])]
    return "\n".join(parts).replace("**", "") + "\n"


def _aligned(rows: Sequence[Sequence[object]]) -> Iterator[str]:
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        first, *rest = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  " + "  ".join([first, *rest]).rstrip()
