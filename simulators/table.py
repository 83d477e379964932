"""What a person sees of the demo while it runs: a live table, or plain lines."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from protocols.signals import Judgement
from simulators import report
from simulators.line import Record, Tally

ROWS = 15
_COLUMNS = ("part", "truth", "verdict", "why", "found", "grab", "infer", "total", "PLC")
_LEFT = ("truth", "verdict")
_STYLES = {Judgement.OK: "green", Judgement.NG: "red", Judgement.RECHECK: "yellow", Judgement.FAULT: "bold magenta"}


class View(Protocol):
    """Entered while parts go by."""

    def note(self, text: str) -> None: ...
    def show(self, record: Record) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Plain:
    """One line a part, for pipes and files."""

    def note(self, text: str) -> None:
        """A remark beside the parts."""
        report.say(text)

    def show(self, record: Record) -> None:
        """The part as a line."""
        report.say(report.answer(record))

    def __enter__(self) -> Self:
        report.say(report.HEADER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class Live:
    """The last parts as a table that stands still, and the count below it."""

    def __init__(self, tally: Tally, console: Console | None = None) -> None:
        self._tally = tally
        self._records: deque[Record] = deque(maxlen=ROWS)
        self._console = console or Console()
        self._live = RichLive(console=self._console, auto_refresh=False)

    def note(self, text: str) -> None:
        """A remark above the table."""
        self._console.print(text, style="dim", highlight=False)

    def show(self, record: Record) -> None:
        """The part as the table's last row."""
        self._records.append(record)
        self._live.update(self.picture(), refresh=True)

    def picture(self) -> Group:
        """Table and count as they stand."""
        return Group(self._table(), self._count())

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _table(self) -> Table:
        table = Table(caption="times in ms; PLC: trigger written to result read by the PLC", box=None, pad_edge=False)
        for name in _COLUMNS:
            table.add_column(name, justify="left" if name in _LEFT else "right", min_width=5, no_wrap=True)
        for record in self._records:
            part, known, verdict, *rest = report.cells(record)
            colour = Text(verdict, style=_STYLES.get(record.answer.judgement, ""))
            truth = Text(known, style="bold reverse" if report.wrong(record) else "")
            table.add_row(part, truth, colour, *rest)
        return table

    def _count(self) -> Text:
        tally = self._tally
        share = f", right {report.share(tally)}" if tally.known else ""
        p50, p99 = report.ms(tally.response(0.5)), report.ms(tally.response(0.99))
        return Text(f"\n{tally.parts} parts{share}; PLC p50 {p50}, p99 {p99}", style="bold")
