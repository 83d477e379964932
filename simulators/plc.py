"""A simulated PLC: inputs, one step of its program, outputs, at every scan; it measures what a PLC would measure.

The program is the PLC's role of `protocols`, polite or rude; the carrier is either role of Modbus.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from protocols.codec import RESULT_BYTES, STATUS_BYTES, Codec, StringOrder, WordOrder
from protocols.faults import Code
from protocols.handshake import PlcState, Style
from protocols.link import Backoff
from protocols.plc_role import Outcome
from protocols.signals import Command, CommandResult, Judgement, Outputs, next_seq
from simulators.carriers import Carrier, CarrierError
from simulators.rude import Rude, RudeRole
from simulators.watch import Watch

GRACE = 1.0
"""Seconds that `inspect` waits beyond the PLC's own time-out, should the scan itself hang."""


@dataclass(frozen=True, slots=True)
class Answer(Outcome):
    """An outcome with the PLC's own times in monotonic seconds: trigger written, result first seen."""

    written: float | None = None
    seen: float | None = None

    @property
    def response(self) -> float | None:
        """Seconds from trigger written to result seen; None when there was no trigger or no result."""
        return None if self.written is None or self.seen is None or self.result is None else self.seen - self.written


class Plc:
    """One PLC with one station. `run` scans for ever; `inspect` asks for one part and may be used while it runs."""

    def __init__(  # noqa: PLR0913 - what an engineer sets on a PLC
        self,
        carrier: Carrier,
        *,
        style: Style = Style.SEQUENCE,
        scan: float = 0.01,
        timeout: float = 2.0,
        heartbeat: float = 0.2,
        codec: Codec | None = None,
        rude: Rude | None = None,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.carrier = carrier
        self.role = RudeRole(style, rude, timeout=timeout, heartbeat=heartbeat)
        self.watch = watch or Watch(style)
        self.outputs = Outputs()
        """What was read last."""
        self.scans = self.overruns = self.connections = self.torn = 0
        self.trouble = ""
        """Why the wire is down, one sentence; empty while it is up."""
        self._scan, self._clock, self._codec = scan, clock, codec or Codec()
        self._up = False
        self._backoff = Backoff()
        self._retry_at = 0.0
        self._booted = False
        self._status_block = self._result_block = b""
        self._written: float | None = None
        self._seen: float | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._waiting: list[tuple[Callable[[Outputs], bool], asyncio.Future[None]]] = []

    # ------------------------------------------------------------ for the machine's program

    @property
    def connected(self) -> bool:
        """True while the wire carries exchanges."""
        return self._up and self.carrier.connected

    @property
    def alive(self) -> bool:
        """True while the gateway's heartbeat moves."""
        return self.connected and self.role.alive(self._clock())

    @property
    def ready(self) -> bool:
        """True while a trigger would be accepted."""
        return self.alive and self.outputs.status.ready

    async def inspect(self, part_id: int, serial: str = "") -> Answer:
        """Ask for one part; the answer comes within the PLC's time-out. ValueError while another part is under way."""
        if self._answer is not None:
            raise ValueError(f"part {part_id}: another part is still being inspected")
        await self.until(lambda _: not self.role.busy, self.role.timeout + GRACE)
        self.role.request(part_id, self._clock(), serial=serial)
        self._written = self._seen = None
        self._answer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self.role.timeout + GRACE):
                return await self._answer
        except TimeoutError:
            why = "the PLC's scan does not run"
            return Answer(part_id, Judgement.FAULT, Code.DEADLINE_MISSED, failure=why, written=self._written)
        finally:
            self._answer = None

    async def execute(self, command: int, param: int = 0, within: float = 30.0) -> int:
        """Give a command by COMMAND_SEQ; returns COMMAND_RESULT, NONE without an answer `within` these seconds."""
        seq = next_seq(self.role.command.command_seq)
        self.role.write(command=command, command_param=param, command_seq=seq)
        unfinished = (CommandResult.NONE, CommandResult.RUNNING)
        done = await self.until(
            lambda o: o.status.command_seq_ack == seq and o.status.command_result not in unfinished, within
        )
        return self.outputs.status.command_result if done else CommandResult.NONE

    async def until(self, holds: Callable[[Outputs], bool], within: float) -> bool:
        """Wait until `holds` of what was read, at a scan; False after `within` seconds."""
        if holds(self.outputs):
            return True
        entry = (holds, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(within):
                await entry[1]
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(entry)
        return True

    async def until_ready(self, within: float) -> bool:
        """Wait until the gateway is there and Ready; False after `within` seconds."""
        return await self.until(lambda _: self.ready, within)

    # ------------------------------------------------------------ the scan

    async def run(self) -> None:
        """Scan at a fixed rate until cancelled; a wire that is down is tried again, for ever."""
        due = self._clock()
        try:
            while True:
                await self.exchange()
                due, missed = next_due(due, self._clock(), self._scan)
                self.overruns += missed
                await asyncio.sleep(due - self._clock())
        finally:
            self._up = False
            await self.carrier.close()

    async def exchange(self) -> None:
        """One scan: read the inputs, step the program, write the outputs; without a wire the program still steps."""
        try:
            raw = await self._inputs()
        except CarrierError as error:
            raw = None
            self._down(error)
        now = self._clock()
        commands = self.step(raw, now)
        self.scans += 1
        if raw is None:
            return
        try:
            for command in commands:
                self.watch.wrote(command, now)
                await self.carrier.write(self._codec.encode_command(command))
        except CarrierError as error:
            self._down(error)

    def step(self, raw: bytes | None, now: float) -> list[Command]:
        """The program's part of one scan, given the 128 bytes read (None: nothing was); the blocks to write."""
        if raw is not None and not self._take(raw, now):
            return [self.role.wire]  # a torn block is no news
        if raw is not None and not self._booted:
            self._booted = True
            return [self.role.wire]  # a PLC begins with zeros
        before, outcome = self.role.state, self.role.outcome
        commands = self.role.writes(self.outputs, now)
        if self.role.state is PlcState.REQUESTED and before is not PlcState.REQUESTED:
            self._written = now
        if self.role.outcome is not outcome and self.role.outcome is not None:
            self._seen = now
        self._tell()
        return commands

    def _take(self, raw: bytes, now: float) -> bool:
        """Decode what changed; False for a torn block."""
        status_block, result_block = raw[:STATUS_BYTES], raw[STATUS_BYTES : STATUS_BYTES + RESULT_BYTES]
        status, result = self.outputs.status, self.outputs.result
        if status_block != self._status_block:
            status = self._codec.decode_status(status_block)
        if result_block != self._result_block:
            decoded = self._codec.decode_result(result_block)
            if decoded is None:
                self.torn += 1
                self.watch.read(status, None, now)
                return False
            result = decoded
        self._status_block, self._result_block = status_block, result_block
        self.outputs = Outputs(status, result)
        self.watch.read(status, result, now)
        return True

    def _tell(self) -> None:
        """Wake whoever waits for this scan."""
        answer, outcome = self._answer, self.role.outcome
        if answer is not None and not answer.done() and not self.role.busy and outcome is not None:
            answer.set_result(
                Answer(
                    outcome.part_id,
                    outcome.judgement,
                    outcome.reason,
                    outcome.result,
                    outcome.failure,
                    written=self._written,
                    seen=self._seen,
                )
            )
        for holds, future in self._waiting:
            if not future.done() and holds(self.outputs):
                future.set_result(None)

    # ------------------------------------------------------------ the wire

    async def _inputs(self) -> bytes | None:
        """What the gateway shows; None while there is nobody to ask, or not yet time to try again."""
        if not self._up:
            if self._clock() < self._retry_at:
                return None
            await self.carrier.open()
            self._up = True
            self.connections += 1
            self.trouble = ""
        raw = await self.carrier.read()
        self._backoff.reset()
        if not self.carrier.connected:
            self.watch.link_lost()
        return raw

    def _down(self, error: CarrierError) -> None:
        self._up = False
        self.trouble = str(error)
        self._retry_at = self._clock() + self._backoff.pause()
        self.watch.link_lost()


def next_due(due: float, now: float, scan: float) -> tuple[float, int]:
    """When the next scan begins, on the grid that `due` lies on, and how many were missed: late scans never pile up."""
    due += scan
    missed = max(0, math.ceil((now - due) / scan)) if now > due else 0
    return due + missed * scan, missed


def wrong_order(signature: bytes, codec: Codec) -> str:
    """Empty when the signature block reads as it should with this codec; else one sentence with the remedy."""
    if signature == codec.encode_signature():
        return ""
    for words, text in itertools.product(WordOrder, StringOrder):
        if signature == Codec(words, text).encode_signature():
            return f"the gateway speaks word order {words.value}, string order {text.value}: set this PLC to the same"
    return f"no signature block where it should be (words 64 to 73 hold {signature.hex(' ', 2)}): is the address right?"


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` (0…1) of the values do not exceed (nearest rank); NaN of nothing."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
