"""One Modbus device as a source of tags: polled in groups, block by block, and written through the same connection.

A device has one connection and one task: whatever it does wrong, or not at all, it harms its own tags only.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from protocols.faults import Code
from protocols.link import Backoff, PeerError
from protocols.modbus.exchange import Exchange, RefusedByPeerError
from protocols.modbus.planning import BIT_TABLES, STANDARD, Answer, Limits, Place, Request, plan
from protocols.modbus.turns import LostByAnotherError
from protocols.tag_sources import Alive, Life, TagSink, retry_after
from protocols.tags import Tag, TagError, TagValue, Value

STALE = 1.0
"""Seconds without an answer after which even a fault of another on a shared connection is ours."""
_NOT_SO = frozenset({2, 3})
"""Exceptions that speak of the address or quantity (MODBUS Application Protocol V1.1b3, §7)."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A tag and where it lies."""

    tag: Tag
    place: Place
    unit: int = 1


@dataclass(frozen=True, slots=True)
class TagGroup:
    """Tags read together each `period` seconds; blocks are read in the order of the tags."""

    period: float
    tags: tuple[Placed, ...]
    limits: Limits = STANDARD


@dataclass(frozen=True, slots=True)
class Output:
    """A tag that is written: on change, at each connection, and anew each `refresh` seconds (0: not)."""

    placed: Placed
    refresh: float = 0.0


@dataclass(frozen=True, slots=True)
class _Block:
    unit: int
    request: Request
    tags: tuple[Placed, ...]


class _Polled:
    """A group, its blocks, and when it is due."""

    def __init__(self, group: TagGroup) -> None:
        self.group = group
        self.due = 0.0
        self.blocks = _planned(group.tags, group.limits)

    def next(self, now: float) -> None:
        """On the grid; turns that a slow device has cost are left out."""
        self.due += self.group.period * max(1, math.ceil((now - self.due) / self.group.period))

    def finer(self, block: _Block) -> bool:
        """Plan a refused block anew, first without gaps, then tag by tag; False when it cannot be split."""
        if len(block.tags) == 1:
            return False
        finer = _planned(block.tags, replace(self.group.limits, max_gap=0))
        if len(finer) == 1:
            finer = [part for placed in block.tags for part in _planned((placed,), self.group.limits)]
        at = self.blocks.index(block)
        self.blocks[at : at + 1] = finer
        return True


class TagSource:
    """Reads and writes one device until cancelled; back after every failure, with growing pauses."""

    def __init__(
        self,
        name: str,
        exchange: Exchange,
        groups: Sequence[TagGroup],
        outputs: Sequence[Output],
        sink: TagSink,
        alive: Alive | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._exchange, self._sink, self._clock = exchange, sink, clock
        self._groups = [_Polled(group) for group in groups if group.tags]
        self._outputs = {output.placed.tag.name: output for output in outputs}
        self._life = Life(alive)
        self._wanted: dict[str, Value] = {}
        self._taken: dict[str, Value] = {}
        """What the device has confirmed on this connection."""
        self._again: dict[str, float] = {}
        """When an output is to be written again though it did not change."""
        self._refusals: dict[str, int] = {}
        """Of an output's wanted value, in a row."""
        self._wake = asyncio.Event()
        self._backoff = Backoff()
        self._up: bool | None = None
        self._answered = -math.inf

    def want(self, name: str, value: Value) -> None:
        """Have this output at this value from now on; a newer call replaces an older one."""
        if name in self._wanted and self._wanted[name] == value:
            return
        self._wanted[name] = value
        self._refusals.pop(name, None)
        if name in self._taken and self._taken[name] == value:
            self._again[name] = self._clock()  # wanted otherwise in between: say it once more, and go on refreshing
        else:
            self._again.pop(name, None)
        self._wake.set()

    def taken(self, name: str) -> Value | None:
        """The value of an output that the device has confirmed on this connection."""
        return self._taken.get(name)

    async def run(self) -> None:
        """Poll and write until cancelled."""
        try:
            while True:
                try:
                    await self._exchange.open()
                    await self._serve()
                except LostByAnotherError as error:
                    if self._up and self._clock() - self._answered < STALE:
                        continue  # not this device is silent: connect again before a value grows old
                    self._lost(str(error))
                except PeerError as error:
                    self._lost(str(error))
                finally:
                    self._exchange.close()
                await asyncio.sleep(self._backoff.pause())
        finally:
            self._lost(f"{self.name} is not polled any more")

    async def _serve(self) -> None:
        """One connection's life; ends only by PeerError or cancellation."""
        now = self._clock()
        self._taken, self._again = {}, {}
        for polled in self._groups:
            polled.due = now
        while True:
            await self._write_due()
            now = self._clock()
            due = [polled for polled in self._groups if polled.due <= now]
            if due:
                next_one = min(due, key=lambda polled: polled.due)
                await self._poll(next_one)
                next_one.next(self._clock())
            else:
                times = [polled.due for polled in self._groups] + list(self._again.values())
                await self._rest(min(times, default=math.inf))

    async def _rest(self, until: float) -> None:
        """Sleep until something is due or an output changes."""
        self._wake.clear()
        if next(self._unwritten(), None) is not None:
            return
        pause = None if until == math.inf else max(0.0, until - self._clock())
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            return

    # ------------------------------------------------------------ reading

    async def _poll(self, polled: _Polled) -> None:
        readings: dict[str, TagValue] = {}
        for block in tuple(polled.blocks):
            await self._write_due()
            # The age counts from the question: nobody knows when in between the device took the value.
            at, utc = self._clock(), time.time()
            try:
                answer = await self._ask(block)
            except RefusedByPeerError as error:
                if error.code not in _NOT_SO or not polled.finer(block):
                    readings |= {p.tag.name: p.tag.failed(Code.TAG_DOUBTFUL, str(error), at, utc) for p in block.tags}
            else:
                for placed in block.tags:
                    readings[placed.tag.name] = placed.tag.reading(_value(placed, block.request, answer), at, utc)
            self._answers()
        if readings:
            self._sink.values(self._life.judged(readings, self._clock()))

    async def _ask(self, block: _Block) -> Answer:
        request = block.request
        if request.table in BIT_TABLES:
            return await self._exchange.read_bits(block.unit, request.table, request.address, request.count)
        return await self._exchange.read_registers(block.unit, request.table, request.address, request.count)

    # ------------------------------------------------------------ writing

    def _unwritten(self) -> Iterator[str]:
        now = self._clock()
        for name, value in self._wanted.items():
            again = self._again.get(name)
            if again is not None:
                if again <= now:
                    yield name
            elif name not in self._taken or self._taken[name] != value:
                yield name

    async def _write_due(self) -> None:
        """Write what is due, each output once, so that reading is never starved."""
        for name in tuple(self._unwritten()):
            await self._write(name, self._wanted[name])

    async def _write(self, name: str, value: Value) -> None:
        output = self._outputs[name]
        pause, error = output.refresh, ""
        try:
            await self._put(output.placed, value)
        except (RefusedByPeerError, TagError) as refusal:
            self._refusals[name] = tries = self._refusals.get(name, 0) + 1
            pause, error = retry_after(tries), str(refusal)
            self._taken.pop(name, None)
        except PeerError as lost:
            self._sink.written(name, value, str(lost))
            raise
        else:
            self._taken[name] = value
            self._refusals.pop(name, None)
        self._answers()
        self._again.pop(name, None)
        if self._wanted[name] == value and pause:
            self._again[name] = self._clock() + pause
        self._sink.written(name, value, error)

    async def _put(self, placed: Placed, value: Value) -> None:
        words = placed.tag.encode(value)
        if placed.place.table in BIT_TABLES:
            await self._exchange.write_bits(placed.unit, placed.place.address, (bool(value),))
        else:
            await self._exchange.write_registers(placed.unit, placed.place.address, words)

    # ------------------------------------------------------------ the link

    def _answers(self) -> None:
        self._answered = self._clock()
        self._backoff.reset()
        if self._up is not True:
            self._up = True
            self._sink.link(True, f"{self._exchange.name} answers")

    def _lost(self, reason: str) -> None:
        """Every value of the device is bad from now on, whatever it was."""
        self._taken, self._again = {}, {}
        self._life.lost()
        first, self._up = self._up is not False, False
        at, utc = self._clock(), time.time()
        tags = [placed.tag for polled in self._groups for placed in polled.group.tags]
        self._sink.values({tag.name: tag.failed(Code.LINK_LOST, reason, at, utc) for tag in tags})
        if first:
            self._sink.link(False, reason)


def _planned(tags: Sequence[Placed], limits: Limits) -> list[_Block]:
    """The requests for these tags, unit by unit; the block of the first tag comes first."""
    blocks = []
    for unit in dict.fromkeys(placed.unit for placed in tags):
        mine = [placed for placed in tags if placed.unit == unit]
        requests = plan([placed.place for placed in mine], limits)
        for request in sorted(requests, key=lambda request: min(request.wanted)):
            blocks.append(_Block(unit, request, tuple(mine[n] for n in request.wanted)))
    return blocks


def _value(placed: Placed, request: Request, answer: Answer) -> Value:
    first = placed.place.address - request.address
    if isinstance(answer, bytes):
        return placed.tag.decode(answer[2 * first : 2 * (first + placed.place.size)])
    return answer[first]
