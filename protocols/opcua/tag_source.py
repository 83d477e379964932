"""One OPC UA device as a source of tags: watched by subscriptions, written with read-back.

One connection after another and one task: whatever it does wrong, or not at all, harms its own tags only. Runs in the
process of OPC UA's clients; the control process has the settings alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from asyncua import ua

from protocols.faults import Code
from protocols.link import Backoff, LinkError, PeerError
from protocols.opcua.connection import Connection
from protocols.opcua.device_session import Placed, place, subscribe, variant, wires
from protocols.opcua.device_settings import OpcUaDeviceConfig
from protocols.opcua.dialer import Dialer
from protocols.opcua.failures import ConnectionFailedError
from protocols.opcua.tag_subscription import News, TagSubscription
from protocols.opcua.tag_values import Conversion, ValueMismatchError, exact, same
from protocols.settings import OnEvent
from protocols.tag_sources import Alive, Life, Outputs, TagSink
from protocols.tags import Quality, TagError, TagValue, Value

READ_BACKS, READ_BACK_PAUSE = 3, 0.1
"""How often a written value is looked at, and the pause between: a control takes what it was told a cycle later."""
TICK = 0.25
"""Seconds between two looks at whether the subscriptions still live."""
AGAIN = 10.0
"""Seconds after which what the server did not know is looked for anew, by a new connection."""
NOTES = 2500
"""Things told once that are remembered: a device has 1000 tags."""
LINE = 1200
"""Characters of one line of the log, about: a line a tag would be too many for it."""
OVERFLOW = 0x480
"""Bits of a status code: data value, overflow (OPC 10000-4 §7.39)."""


class RefusedError(Exception):
    """The device has not taken a value: one sentence."""


class OpcUaTagSource:
    """Watches and writes one device until cancelled; back after every failure, with growing pauses."""

    def __init__(
        self,
        config: OpcUaDeviceConfig,
        sink: TagSink,
        refresh: Mapping[str, float],
        first: Sequence[str] = (),
        on_event: OnEvent = lambda code, text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`refresh`: outputs and how often they are written anew (seconds); `first` is watched first."""
        self.name = config.name
        self._config, self._sink, self._clock, self._on_event = config, sink, clock, on_event
        self._dialer = Dialer(config.link, on_event)
        self._tags = config.definitions()
        self._read_back = {tag.name: tag.read_back for tag in config.tags}
        self._conversions = {
            tag.name: Conversion(
                self._tags[tag.name], config.words(tag), None if tag.meant == "r_parameter" else tag.index, tag.has
            )
            for tag in config.tags
        }
        self._groups = config.groups(tuple(first))
        self._outputs = Outputs(refresh)
        self._life = Life(None if config.alive is None else Alive(config.alive.tag, config.alive.timeout_ms / 1000))
        self._readings: dict[str, TagValue] = {}
        """The newest of each tag on this connection."""
        self._told: dict[str, float] = {}
        """When each was given to the sink last."""
        self._wake = asyncio.Event()
        self._backoff = Backoff()
        self._up: bool | None = None
        self._notes: dict[str, None] = {}

    def want(self, name: str, value: Value) -> None:
        """Have this output at this value from now on; a newer call replaces an older one."""
        if self._outputs.want(name, value, self._clock()):
            self._wake.set()

    def taken(self, name: str) -> Value | None:
        """The value of an output that the device has confirmed on this connection."""
        return self._outputs.taken(name)

    async def run(self) -> None:
        """Watch and write until cancelled."""
        try:
            while True:
                pause = 0.0
                try:
                    async with self._dialer.connection() as connection:
                        await self._serve(connection)
                except ConnectionFailedError as error:
                    pause = error.pause
                    self._lost(str(error))
                except LinkError as error:
                    self._lost(str(error))
                await asyncio.sleep(max(pause, self._backoff.pause()))
        finally:
            self._lost(f"{self.name} is not watched any more")

    # ------------------------------------------------------------ one connection

    async def _serve(self, connection: Connection) -> None:
        """One connection's life; ends only by PeerError or cancellation."""
        self._outputs.forget()
        self._readings, self._told = {}, {}
        placed = await place(connection, self._config)
        self._note(placed.notes)
        types = await wires(connection, {name: placed.nodes[name] for name in self._written(placed)})
        groups = [await self._subscribe(connection, placed, *group) for group in self._groups]
        self._spoil(placed)
        self._answers()
        began = self._clock()
        connection.watcher.waiting.append(self._wake)
        while True:
            await self._write_due(connection, placed, types)
            self._look(connection, groups)
            if placed.missing and self._clock() - began > AGAIN:
                raise PeerError(f"{self.name}: {next(iter(placed.missing.values()))}; looking for it again")
            await self._rest()

    def _written(self, placed: Placed) -> list[str]:
        return [tag.name for tag in self._config.tags if tag.access == "write" and tag.name in placed.nodes]

    async def _subscribe(
        self, connection: Connection, placed: Placed, interval: int, names: tuple[str, ...]
    ) -> TagSubscription:
        known = [name for name in names if name in placed.nodes]
        seconds = self._config.link.connect_timeout_s

        def on_moment(news: Sequence[News]) -> None:
            self._moment(known, news)

        nodes = [placed.nodes[name] for name in known]
        made = await subscribe(connection, nodes, interval / 1000, seconds, on_moment)
        if abs(made.interval * 1000 - interval) > 1:
            self._note([f"{interval} ms asked for, {made.interval * 1000:g} ms granted for {', '.join(known[:10])}"])
        placed.missing |= {known[n]: f"the device does not watch it ({why})" for n, why in made.refused.items()}
        return made

    def _look(self, connection: Connection, groups: Iterable[TagSubscription]) -> None:
        """Raise when nothing can come any more."""
        if connection.watcher.lost:
            raise ConnectionFailedError(f"{connection.name}: the connection was lost")
        for group in groups:
            if group.ended:
                raise ConnectionFailedError(f"{connection.name}: {group.ended}")
            if group.asked > group.patience:
                text = f"{connection.name} has told nothing for {group.patience:g} s; it may be frozen"
                raise ConnectionFailedError(text)

    async def _rest(self) -> None:
        """Sleep until an output is due or changes, or it is time to look around."""
        if next(self._outputs.due(self._clock()), None) is None:
            pause = max(0.0, min(TICK, self._outputs.next() - self._clock()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
        self._wake.clear()

    # ------------------------------------------------------------ reading

    def _moment(self, names: Sequence[str], news: Sequence[News]) -> None:
        """One publish response: what is new, in order, then what has not changed, so that nothing grows old unseen."""
        now, utc = self._clock(), time.time()
        row: dict[str, TagValue] = {}
        for item in news:
            name = names[item.index]
            if name in row:  # the same tag twice: two moments
                self._give(row, now)
                row = {}
            row[name] = self._reading(name, item, now, utc)
        self._give(row, now)
        rested = {name: self._rested(name, now, utc) for name in names if self._due_again(name, now)}
        self._give(rested, now)

    def _give(self, row: Mapping[str, TagValue], now: float) -> None:
        if not row:
            return
        self._readings |= row
        self._told |= dict.fromkeys(row, now)
        self._sink.values(self._life.judged(row, now))

    def _due_again(self, name: str, now: float) -> bool:
        """Whether a value that has not changed is to be confirmed, well before it would grow old."""
        reading = self._readings.get(name)
        if reading is None:
            return False
        age = self._tags[name].max_age
        return now - self._told[name] >= (age / 3 if age < math.inf else 1.0) - 1e-3

    def _rested(self, name: str, now: float, utc: float) -> TagValue:
        """The value as it is still now: the subscription lives, and tells every change."""
        before = self._readings[name]
        if before.quality is Quality.GOOD and before.value is not None:
            return self._tags[name].reading(before.value, now, utc)
        return TagValue(before.value, before.quality, before.code, before.reason, now, utc, before.max_age)

    def _reading(self, name: str, news: News, now: float, utc: float) -> TagValue:
        tag, status = self._tags[name], news.data.StatusCode or ua.StatusCode()
        age = 0.0 if news.first else news.age
        at, utc = now - age, utc - age
        if status.is_bad():
            return tag.failed(Code.TAG_DOUBTFUL, f"the device says {status.name}", at, utc)
        raw = None if news.data.Value is None else news.data.Value.Value
        if raw is None and self._conversions[name].has is None:
            return tag.failed(Code.TAG_DOUBTFUL, "the device sent no value", at, utc)
        try:
            value, doubt = self._conversions[name].value(raw)
        except ValueMismatchError as error:
            return tag.failed(Code.TAG_DOUBTFUL, str(error), at, utc)
        reading = tag.reading(value, at, utc)
        if not status.is_good():
            doubt = f"the device says {status.name}"
        elif status.value & OVERFLOW == OVERFLOW:
            doubt = "the device has told less than it saw (overflow)"
        return _doubtful(reading, doubt) if doubt and reading.quality is Quality.GOOD else reading

    def _spoil(self, placed: Placed) -> None:
        """Say of tags that are nowhere that they are."""
        now, utc = self._clock(), time.time()
        watched = {tag.name for tag in self._config.watched()}
        row = {
            name: self._tags[name].failed(Code.TAG_DOUBTFUL, why, now, utc)
            for name, why in placed.missing.items()
            if name in watched
        }
        self._note([f"{name}: {why}" for name, why in placed.missing.items()], Code.TAG_DOUBTFUL)
        if row:
            self._sink.values(row)

    # ------------------------------------------------------------ writing

    async def _write_due(self, connection: Connection, placed: Placed, types: Mapping[str, str]) -> None:
        """Write what is due, each output once."""
        for name, value in list(self._outputs.due(self._clock())):
            error = ""
            try:
                if name not in placed.nodes:
                    raise RefusedError(placed.missing.get(name, "it is nowhere"))
                await self._put(connection, name, placed.nodes[name], value, types.get(name, ""))
            except (RefusedError, TagError) as refusal:
                error = str(refusal)
                self._outputs.refused(name, value, self._clock())
            except PeerError as lost:
                self._sink.written(name, value, str(lost))
                raise
            else:
                self._outputs.wrote(name, value, self._clock())
            self._sink.written(name, value, error)

    async def _put(self, connection: Connection, name: str, node: ua.NodeId, value: Value, wire: str) -> None:
        if not wire:
            raise RefusedError(f"{name}: the device does not say which type it has, so nothing is written")
        sent = exact(self._tags[name], value, wire)
        (status,) = await connection.write([(node, variant(sent, wire))])
        if not status.is_good():
            raise RefusedError(f"{name}: the device refuses {sent!r} ({status.name})")
        if not self._read_back[name]:
            return
        shown: Any = None
        for attempt in range(READ_BACKS):
            if attempt:
                await asyncio.sleep(READ_BACK_PAUSE)
            (answer,) = await connection.read([node])
            good = answer.StatusCode is None or answer.StatusCode.is_good()
            shown = answer.Value.Value if good and answer.Value is not None else None
            if same(sent, shown, wire):
                return
        raise RefusedError(f"{name}: {sent!r} was written and accepted, but the device shows {shown!r}")

    # ------------------------------------------------------------ the link

    def _answers(self) -> None:
        self._backoff.reset()
        if self._up is not True:
            self._up = True
            self._sink.link(True, f"{self._dialer.name} answers")

    def _lost(self, reason: str) -> None:
        """Every value of the device is bad from now on, whatever it was."""
        self._outputs.forget()
        self._life.lost()
        self._readings = {}
        first, self._up = self._up is not False, False
        now, utc = self._clock(), time.time()
        watched = [self._tags[tag.name] for tag in self._config.watched()]
        self._sink.values({tag.name: tag.failed(Code.LINK_LOST, reason, now, utc) for tag in watched})
        if first:
            self._sink.link(False, reason)

    def _note(self, texts: Iterable[str], code: Code = Code.NONE) -> None:
        """Tell a person once what was found, many in one line; a reconnection finds the same."""
        line = ""
        for text in texts:
            if text in self._notes:
                continue
            self._notes[text] = None
            while len(self._notes) > NOTES:
                del self._notes[next(iter(self._notes))]
            if line and len(line) + len(text) > LINE:
                self._on_event(int(code), f"{self.name}: {line}")
                line = ""
            line = f"{line}; {text}" if line else text
        if line:
            self._on_event(int(code), f"{self.name}: {line}")


def _doubtful(reading: TagValue, reason: str) -> TagValue:
    return TagValue(
        reading.value, Quality.UNCERTAIN, Code.TAG_DOUBTFUL, reason, reading.at, reading.utc, reading.max_age
    )
