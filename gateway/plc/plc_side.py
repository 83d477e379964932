"""The PLC's side of one link, for trials: one look, one write at a time, and it sees when somebody else writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from gateway.plc.acceptance import StopError
from protocols.codec import RESULT_BYTES, STATUS_BYTES, Codec
from protocols.handshake import PlcState
from protocols.link import PeerError
from protocols.modbus.exchange import Exchange, RefusedByPeerError
from protocols.modbus.registers import COMMAND_WORDS, OUTPUT_WORDS, RegisterMap, Table
from protocols.plc_role import Outcome, PlcRole
from protocols.signals import BLANK_COMMAND, UINT_MAX, Command, Control, Outputs

SCAN = 0.002
"""Seconds between two looks."""
BEAT = 0.2
BUSY = 0x06
REREADS = 5
_EDGES = sum(int(bit) for bit in Control) - int(Control.ENABLE)
"""The bits of CONTROL that act when they change."""


class ForeignMasterError(StopError):
    """Somebody else writes the command block."""

    def __init__(self, seen: str) -> None:
        self.seen = seen
        super().__init__(
            f"another master writes this station ({seen}): stop the PLC or disconnect it, then start the check anew"
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """One inspection as the PLC saw it; `seconds` from the write of the trigger to the read of its result."""

    outcome: Outcome
    seconds: float
    outputs: Outputs


class PlcSide:
    """Reads the outputs and writes the command block of one unit; `beating` keeps PLC_HEARTBEAT moving at each look.

    Every look raises ForeignMasterError when the command block is not what was written here, StopError when the
    gateway was restarted, and PeerError when it does not answer.
    """

    def __init__(
        self,
        exchange: Exchange,
        unit: int,
        registers: RegisterMap,
        codec: Codec,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.exchange, self.unit, self.registers, self.codec = exchange, unit, registers, codec
        self.clock, self.pause = clock, pause
        self.command = BLANK_COMMAND
        self.beating = False
        self.reads = self.torn = 0
        self._beat_at = 0.0
        self._boot: int | None = None
        self._written: bytes | None = None

    # ------------------------------------------------------------ one request

    async def block(self) -> bytes:
        """The command block as it stands: 64 bytes."""
        return await self.exchange.read_registers(self.unit, Table.HOLDING, self.registers.command, COMMAND_WORDS)

    async def outputs(self) -> Outputs:
        """Status and result of one moment; a torn block is counted and read again."""
        for _ in range(REREADS):
            raw = await self.exchange.read_registers(self.unit, Table.INPUT, self.registers.status, OUTPUT_WORDS)
            self.reads += 1
            result = self.codec.decode_result(raw[STATUS_BYTES : STATUS_BYTES + RESULT_BYTES])
            if result is not None:
                return Outputs(self.codec.decode_status(raw[:STATUS_BYTES]), result)
            self.torn += 1
        raise PeerError(f"{self.exchange.name}: RESULT_SEQ and RESULT_SEQ_COPY differ in {REREADS} reads in a row")

    def adopt(self, block: bytes) -> None:
        """Take this as the block that stands there, written by nobody else from now on."""
        self._written, self.command = block, self.codec.decode_command(block)

    # ------------------------------------------------------------ one step

    async def write(self, **fields: Any) -> None:
        """Change fields of the command and write the whole block in one request."""
        self.command = replace(self.command, **fields)
        await self.put(self.codec.encode_command(self.command))

    async def control(self, on: int = 0, off: int = 0) -> None:
        """Raise and lower bits of CONTROL."""
        # Plain ints: the complement of a flag has none of the bits that its class does not name, the user's.
        await self.write(control=self.command.control & ~int(off) | int(on))

    async def put(self, block: bytes) -> None:
        """Write these 64 bytes."""
        try:
            await self.exchange.write_registers(self.unit, self.registers.command, block)
        except RefusedByPeerError as refused:
            if refused.code == BUSY:
                raise ForeignMasterError("the gateway keeps the command block for it, exception 06") from refused
            raise
        self._written = block

    async def look(self) -> Outputs:
        """One read of the outputs, with all that is watched beside it."""
        outputs = await self.outputs()
        self._same_gateway(outputs)
        await self._own()
        if self.beating and self.clock() >= self._beat_at:
            self._beat_at = self.clock() + BEAT
            await self.write(plc_heartbeat=self.command.plc_heartbeat % UINT_MAX + 1)
        return outputs

    async def until(self, holds: Callable[[Outputs], bool], within: float) -> tuple[Outputs, bool]:
        """Look until it holds: the last outputs, and whether it did within so many seconds."""
        end = self.clock() + within
        while True:
            outputs = await self.look()
            if holds(outputs):
                return outputs, True
            if self.clock() >= end:
                return outputs, False
            await self.pause(SCAN)

    async def watch(self, seconds: float) -> list[tuple[float, Outputs]]:
        """All that is seen in so many seconds, with its time."""
        end = self.clock() + seconds
        seen = []
        while self.clock() < end:
            seen.append((self.clock(), await self.look()))
            await self.pause(SCAN)
        return seen

    # ------------------------------------------------------------ one part

    def role(self, role: PlcRole) -> PlcRole:
        """Let a role go on from the command as it stands."""
        numbers = ("control", "trigger_seq", "result_ack_seq", "plc_heartbeat", "command", "command_param")
        role.write(**{name: getattr(self.command, name) for name in (*numbers, "command_seq", "part_id")})
        return role

    async def inspect(self, role: PlcRole, part: int, serial: str = "") -> Answer:
        """One part by the role's cycle, acknowledged; ends with the role's own time-out."""
        role.request(part, self.clock(), serial=serial)
        self.beating = False  # the role beats
        asked = seen = self.clock()
        last = Outputs()
        while True:
            outputs = await self.look()
            state, before = role.state, role.outcome
            now = self.clock()
            command = role.scan(outputs, now)
            if role.outcome is not None and before is None:
                seen, last = now, outputs
            if state is PlcState.IDLE and role.state is PlcState.REQUESTED:
                asked = now
            if command != self.command:
                self.command = command
                await self.put(self.codec.encode_command(command))
            if not role.busy and role.outcome is not None:
                self.beating = True
                return Answer(role.outcome, seen - asked, last)
            await self.pause(SCAN)

    # ------------------------------------------------------------ the end

    async def restore(self, found: bytes) -> None:
        """Leave the block as it was found, without any edge that starts something: zeros first, numbers before levels.

        A number that comes back is refused while CONTROL and COMMAND are 0; bits that act by their edge stay 0.
        """
        await self.put(bytes(len(found)))
        if not any(found):
            return
        before = self.codec.decode_command(found)
        await self.put(self.codec.encode_command(replace(before, control=0, command=0)))
        level = before.control & ~_EDGES
        await self.put(self.codec.encode_command(replace(before, control=level)))

    # ------------------------------------------------------------ inside

    def _same_gateway(self, outputs: Outputs) -> None:
        boot = outputs.status.boot_id
        if self._boot not in (None, boot):
            raise StopError("the gateway was restarted during the check; see its log, then start the check anew")
        self._boot = boot

    async def _own(self) -> None:
        if self._written is None:
            return
        block = await self.block()
        if block != self._written:
            self._same_gateway(await self.outputs())
            raise ForeignMasterError(changed(self.codec, self._written, block))


def changed(codec: Codec, before: bytes, after: bytes) -> str:
    """Which fields of the command block differ, in words."""
    old, new = codec.decode_command(before), codec.decode_command(after)
    named = [
        f"{name.upper()} {getattr(old, name)} → {getattr(new, name)}"
        for name in Command.__dataclass_fields__
        if getattr(old, name) != getattr(new, name)
    ]
    return ", ".join(named[:3]) or "reserved words changed"
