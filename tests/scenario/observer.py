"""Collects the evidence: a Modbus reader of its own beside the PLC, and a tap on what the PLC writes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from protocols.handshake import Style
from protocols.signals import Command, Control
from simulators.carriers import Carrier, ModbusMaster
from simulators.plc import Plc
from simulators.rude import Rude
from simulators.slave import ModbusSlave
from simulators.watch import Watch
from tests.scenario import oracle, wire
from tests.scenario.oracle import Evidence, Issue, View
from tests.scenario.stand import POLL, Stand, until
from tests.scenario.wire import Block, Master, WireError


class Tap(Watch):
    """The PLC's own watch, which also notes each trigger for the oracle."""

    def __init__(self, evidence: Evidence, style: Style) -> None:
        super().__init__(style, deadline=evidence.deadline, margin=oracle.PROMISE + evidence.margin)
        self._evidence = evidence
        self._last: Command | None = None

    def wrote(self, command: Command, now: float) -> None:
        """As Watch; a changed number or a rising Trigger is an issue, a blank block a start of the PLC."""
        note(self._evidence, self._last, command, time.time())
        self._last = command
        super().wrote(command, now)


class TappedCarrier:
    """A carrier that lets the oracle see what the PLC reads."""

    def __init__(self, carrier: Carrier, evidence: Evidence) -> None:
        self.name = carrier.name
        self._carrier, self._evidence = carrier, evidence

    @property
    def connected(self) -> bool:
        return self._carrier.connected

    async def open(self) -> None:
        await self._carrier.open()

    async def read(self) -> bytes:
        raw = await self._carrier.read()
        self._evidence.plc_read(wire.decode(raw), time.time())
        return raw

    async def write(self, block: bytes) -> None:
        await self._carrier.write(block)

    async def signature(self) -> bytes | None:
        return await self._carrier.signature()

    async def close(self) -> None:
        await self._carrier.close()


def note(evidence: Evidence, before: Any, command: Any, at: float) -> None:
    """Add what this command block issues, seen after `before`; any record with the fields of the block will do."""
    if not any((command.control, command.trigger_seq, command.part_id, command.plc_heartbeat)):
        evidence.blanks.append(at)
    elif command.trigger_seq not in (0, before.trigger_seq if before else 0):
        evidence.issues.append(Issue(command.trigger_seq, command.part_id, at))
    elif command.control & ~(before.control if before else 0) & Control.TRIGGER:
        evidence.issues.append(Issue(0, command.part_id, at))


class Observer:
    """Reads the outputs every few milliseconds, by connections of its own, until cancelled."""

    def __init__(self, evidence: Evidence, master: Master, *, in_plc: bool = False, commands: bool = False) -> None:
        """`in_plc`: the blocks lie in the PLC's server; `commands`: no tap there, so the command block is read too."""
        self.evidence, self._master, self._in_plc, self._commands = evidence, master, in_plc, commands
        self._raw = b""
        self._fresh = True
        self._command: wire.Command | None = None
        self._polled = time.time()
        self.block: Block | None = None
        """What is on the wire now; None while the wire is down."""

    async def run(self) -> None:
        """Watch; a wire that is down is a gap in the evidence, not a fault."""
        try:
            while True:
                try:
                    await self._poll()
                except WireError:
                    self._fresh, self.block = True, None
                    await self._master.close()
                await asyncio.sleep(POLL)
        finally:
            await self._master.close()

    async def _poll(self) -> None:
        if not self._master.connected:
            await self._master.open()
        if self._commands:
            self._note(await self._master.read(wire.READ_HOLDING, 0, 32))
        if self._in_plc:
            self._see(await self._master.read(wire.READ_HOLDING, 100, 64))
        else:
            self._see(await self._master.read(wire.READ_INPUT, 0, 64))

    def _note(self, raw: bytes) -> None:
        command, at = wire.decode_command(raw), self._polled
        self._polled = time.time()
        if command != self._command:
            note(self.evidence, self._command, command, at)
            self._command = command

    def _see(self, raw: bytes) -> None:
        now, views = time.time(), self.evidence.views
        self.block = block = wire.decode(raw)
        if not block.boot_id:
            return  # nobody has written there yet
        late = bool(views) and now - views[-1].last > 0.2  # we were held up: what happened meanwhile was not seen
        if raw != self._raw or self._fresh or not views:
            views.append(View(now, now, block, self._fresh or late))
            self._raw, self._fresh = raw, False
        else:
            views[-1].fresh |= late
            views[-1].last = now


class Line:
    """A gateway, its PLC and the observer at work."""

    def __init__(self, stand: Stand, plc: Plc, observer: Observer) -> None:
        self.stand, self.plc, self.observer = stand, plc, observer
        self.evidence = observer.evidence

    async def ready(self, within: float = 20) -> None:
        """Wait until the PLC may trigger."""
        ok = await self.plc.until_ready(within)
        assert ok, f"not Ready within {within} s: {self.plc.outputs.status} {self.plc.trouble}\n{self.stand.log_text()}"
        if not self.stand.runs[-1].held:
            self.stand.measure()

    def reconnect(self) -> None:
        """Let the PLC try again at once instead of after its pause: restarts are what is tested, not pauses."""
        self.plc._retry_at = 0.0

    async def see(self, holds: Callable[[Block], bool], within: float, what: str) -> Block:
        """Wait for something on the wire."""
        await until(lambda: self.observer.block is not None and holds(self.observer.block), within, what)
        assert self.observer.block is not None
        return self.observer.block


@contextlib.asynccontextmanager
async def task(coroutine: Any, name: str) -> AsyncIterator[None]:
    """Run something beside the body."""
    running = asyncio.create_task(coroutine, name=name)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@contextlib.asynccontextmanager
async def watched(stand: Stand, master: Master, station: str = "cell1", **how: bool) -> AsyncIterator[Observer]:
    """The observer alone at work; at the end the oracle speaks."""
    observer = Observer(stand.evidence[station], master, **how)
    async with task(observer.run(), "observer"):
        yield observer
    judge(stand, station)


@contextlib.asynccontextmanager
async def line(
    stand: Stand,
    *,
    style: Style = Style.SEQUENCE,
    slave_port: int = 0,
    station: str = "cell1",
    unit: int = 1,
    rude: Rude | None = None,
    scan: float = 0.01,
    gives_up: float = 2.0,
    watch: bool = True,
    pardoned: tuple[str, ...] = (),
) -> AsyncIterator[Line]:
    """PLC and observer at work on a gateway; at the end the oracle speaks, and the PLC's watch.

    `slave_port`: the PLC is a Modbus server there, which the gateway polls. `pardoned`: how sentences of
    either begin that this line may hear.
    """
    evidence = stand.evidence[station]
    tap = Tap(evidence, style)
    carrier: Carrier = (
        ModbusSlave("127.0.0.1", slave_port) if slave_port else ModbusMaster("127.0.0.1", stand.port, unit=unit)
    )
    plc = Plc(carrier, style=style, scan=scan, timeout=gives_up, rude=rude, watch=tap)
    observer = Observer(evidence, Master(slave_port or stand.port, 1 if slave_port else unit), in_plc=bool(slave_port))
    async with task(plc.run(), "PLC"), task(observer.run(), "observer"):
        yield Line(stand, plc, observer)
    judge(stand, station, pardoned)
    seen = [text for v in tap.violations if not (text := f"{v.rule}: {v.text}").startswith(pardoned)]
    assert not watch or tap.ok or (pardoned and not seen), seen


def judge(stand: Stand, station: str = "cell1", pardoned: tuple[str, ...] = ()) -> None:
    """Hold the evidence against the invariants."""
    evidence = stand.evidence[station]
    if stand.running:
        stand.measure()
        stand.runs[-1].log = stand.log()
    evidence.read_at = time.time()
    evidence.rows = stand.history(station)
    broken = [text for text in oracle.violations(evidence) if not text.startswith(pardoned)]
    assert not broken, "\n".join(broken)
