"""`gateway plc watch`: both blocks of a station, polled and shown until it is stopped. It never writes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from gateway.plc import target as targets
from gateway.plc.server_check import order_of
from gateway.plc.watched import BEATS, Row, Watched
from protocols.codec import Codec
from protocols.link import Backoff, PeerError
from protocols.modbus.exchange import Exchange, RefusedByPeerError
from protocols.modbus.registers import COMMAND_WORDS, OUTPUT_WORDS, SHOWN_WORDS, Table
from protocols.modbus.tcp_exchange import TcpExchange

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gateway.plc.target import Wish

POLL = 0.05
FRAMES = 4
"""Pictures a second on a terminal."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where both blocks are read."""

    name: str
    exchange: Exchange
    unit: int
    command: int
    table: Table
    shown: int
    words: int
    codec: Codec
    certain: bool
    """The orders were told; else those of the signature are taken."""


def source(wish: Wish) -> Source:
    """The station that is meant; raises TargetError, ConfigError."""
    if wish.client:
        link, _ = targets.client_link(wish)
        if not (isinstance(link.command_area, int) and isinstance(link.outputs_area, int)):
            raise targets.TargetError("a station with single fields has no block to watch; watch it in the PLC's tool")
        exchange = TcpExchange(link.host, link.port, timeout=max(1.0, link.timeout_ms / 1000), quirks=link.quirks)
        places = (link.unit_id, link.command_area, Table.HOLDING, link.outputs_area, OUTPUT_WORDS)
        return Source(f"PLC at {link.place}, unit {link.unit_id}", exchange, *places, link.codec(), certain=True)
    wanted = targets.server_target(wish)
    registers = wanted.registers
    exchange = TcpExchange(wanted.host, wanted.port, timeout=1.0)
    places = (wanted.unit, registers.command, Table.INPUT, registers.status, SHOWN_WORDS)
    certain = bool(wanted.because)
    return Source(f"gateway at {wanted.name}", exchange, *places, wanted.codec, certain=certain)


async def run(source: Source, out: TextIO, *, plain: bool, seconds: float | None = None) -> int:
    """Show until cancelled or the time is up; 1 when nothing was ever read."""
    view: Plain | Screen = Plain(out) if plain else Screen(out)
    watched = Watched(source.codec, shown_words=source.words)
    end = None if seconds is None else time.monotonic() + seconds
    seen = False
    backoff = Backoff()
    with view:
        while end is None or time.monotonic() < end:
            try:
                await source.exchange.open()
                backoff.reset()
                async with asyncio.timeout_at(None if end is None else _loop_time(end)):
                    await _follow(source, watched, view)
            except TimeoutError:
                seen = True
            except RefusedByPeerError as error:
                view.lost(f"{error}; compare unit and addresses with `gateway map FILE`")
            except PeerError as error:
                view.lost(str(error))
            finally:
                source.exchange.close()
            seen = seen or view.shown
            if end is not None and time.monotonic() >= end:
                break
            await asyncio.sleep(backoff.pause())
    return 0 if seen else 1


def _loop_time(end: float) -> float:
    return asyncio.get_running_loop().time() + end - time.monotonic()


async def _follow(source: Source, watched: Watched, view: Plain | Screen) -> None:
    exchange, unit = source.exchange, source.unit
    while True:
        command = await exchange.read_registers(unit, Table.HOLDING, source.command, COMMAND_WORDS)
        shown = await exchange.read_registers(unit, source.table, source.shown, source.words)
        if not source.certain and (found := order_of(shown[2 * OUTPUT_WORDS :])):
            watched.codec = Codec(*found)
        now = time.monotonic()
        news = watched.take(command, shown, now)
        view.show(source.name, watched, news, now)
        await asyncio.sleep(POLL)


class Plain:
    """Line by line: everything once, then what changes; heartbeats only when they stop or move again."""

    def __init__(self, out: TextIO) -> None:
        self.shown = False
        self._out = out
        self._why: list[str] = []
        self._still: dict[str, bool] = {}
        self._lost = ""

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.flush()

    def show(self, name: str, watched: Watched, news: list[str], now: float) -> None:
        """What is new since the last call."""
        if not self.shown:
            self._say(name)
        if self._lost:
            self._say("connected again")
        for row in (watched.row(key, now) for key in news):
            if row.field.name not in BEATS or not self.shown:
                self._say(_line(row))
        self.shown, self._lost = True, ""
        for beat in sorted(BEATS):
            still = watched.still(beat, now) > 0
            if still != self._still.get(beat, False):
                self._still[beat] = still
                self._say(f"{beat} {'stands still' if still else 'moves again'}")
        why = watched.why(now)
        for sentence in why:
            if _same(sentence) not in map(_same, self._why):
                self._say(f"  {sentence}")
        if self._why and not why:
            self._say("  Ready")
        self._why = why
        self._out.flush()

    def lost(self, reason: str) -> None:
        """No answer; told once."""
        if reason != self._lost:
            self._say(reason)
            self._out.flush()
        self._lost = reason

    def _say(self, text: str) -> None:
        self._out.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def _line(row: Row) -> str:
    return f"{row.field.block.value:9} {row.field.word:3} {row.field.name:18} {row.raw:19} {row.shown} ({row.writer})"


def _same(sentence: str) -> str:
    """A sentence without its numbers that grow."""
    return sentence.split(" for ", maxsplit=1)[0]


class Screen:
    """A table on a terminal, drawn anew a few times a second."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self.shown = False
        self._live = Live(console=Console(file=out), refresh_per_second=FRAMES, screen=True)
        self._drawn = 0.0

    def __enter__(self) -> Screen:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, name: str, watched: Watched, news: list[str], now: float) -> None:
        """Draw, if it is time to."""
        self.shown = True
        if now - self._drawn >= 1 / FRAMES:
            self._drawn = now
            self._live.update(_picture(name, watched, now))

    def lost(self, reason: str) -> None:
        """The reason in place of the table: numbers of before would look alive."""
        from rich.text import Text

        self._live.update(Text(reason, style="bold red"))


def _picture(name: str, watched: Watched, now: float) -> RenderableType:
    from rich.columns import Columns
    from rich.console import Group
    from rich.table import Table as Grid
    from rich.text import Text

    grids = []
    rows = list(watched.rows(now))
    for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        grid = Grid(show_edge=False, pad_edge=False)
        for title in ("word", "name", "raw", "value", "age", "by"):
            grid.add_column(title, no_wrap=True)
        for row in part:
            fresh = row.age is not None and row.age < 1.0
            age = "" if row.age is None else f"{row.age:.1f} s"
            cells = (f"{row.field.word}", row.field.name, row.raw[:19], row.shown[:40], age, row.writer)
            grid.add_row(*(Text(cell) for cell in cells), style="bold" if fresh else "")
        grids.append(grid)
    why = watched.why(now)
    text = Text("\n".join(why) if why else "Ready", style="yellow" if why else "green")
    return Group(Text(f"{name}   {time.strftime('%H:%M:%S')}", style="bold"), text, Columns(grids))
