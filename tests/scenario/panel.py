"""A PLC by hand: one connection, the command block as it stands, and no program of its own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import fields, replace
from typing import Any

from protocols.signals import Control, next_seq
from tests.scenario import wire
from tests.scenario.observer import note
from tests.scenario.oracle import Evidence
from tests.scenario.stand import POLL
from tests.scenario.wire import Block, Master, WireError

BITS = {bit.name.lower(): int(bit) for bit in Control if bit.name}
WORDS = tuple(field.name for field in fields(wire.Command))


class Panel:
    """Writes the whole block at each change, as PLCs do; notes what it issues for the oracle."""

    def __init__(self, evidence: Evidence, port: int, unit: int = 1) -> None:
        self.command = wire.Command()
        self.evidence, self._port, self._unit = evidence, port, unit
        self._master = Master(port, unit)
        self._silent: list[Master] = []
        """Connections left open that say nothing any more."""

    async def connect(self, within: float = 10) -> None:
        """Connect, and write the block as it stands, as a PLC does at every poll."""
        end = time.monotonic() + within
        while not self._master.connected:
            try:
                await self._master.open()
                await self._master.write(0, self.command.encode())
            except WireError:
                assert time.monotonic() < end, f"nobody listens at port {self._port}"
                await asyncio.sleep(POLL)

    async def cut(self, how: str) -> None:
        """Lose the connection: `fin`, `rst`, or `silence`, in which the gateway hears of nothing."""
        if how == "silence":
            self._silent.append(self._master)
            self._master = Master(self._port, self._unit)
        else:
            await self._master.close(reset=how == "rst")

    async def close(self) -> None:
        for master in (self._master, *self._silent):
            await master.close()

    async def write(self, *, unheard: bool = False, **changes: Any) -> None:
        """Change words or CONTROL bits by name and write the block; `unheard`: do not wait for the answer."""
        before, self.command = self.command, self._changed(changes)
        note(self.evidence, before, self.command, time.time())
        if unheard:
            await self._master.write_unheard(0, self.command.encode())
        else:
            await self._master.write(0, self.command.encode())

    async def rush(self, **changes: Any) -> None:
        """As `write`, as fast as this PLC can, whoever has seen it."""
        await self.write(**changes)

    def _changed(self, changes: dict[str, Any]) -> wire.Command:
        control = self.command.control
        for name in changes.keys() & BITS.keys():
            control = control | BITS[name] if changes[name] else control & ~BITS[name]
        if unknown := changes.keys() - BITS.keys() - set(WORDS):
            raise ValueError(f"no such word or bit in the command block: {', '.join(sorted(unknown))}")
        words = {name: value for name, value in changes.items() if name in WORDS}
        return replace(self.command, **{"control": control, **words})

    async def read(self) -> Block:
        block = wire.decode(await self._master.read(wire.READ_INPUT, 0, 64))
        self.evidence.plc_read(block, time.time())
        return block

    async def see(self, holds: Callable[[Block], bool], within: float, what: str) -> Block:
        """Read until `holds`; AssertionError after `within` seconds."""
        end = time.monotonic() + within
        while not holds(block := await self.read()):
            assert time.monotonic() < end, f"not within {within:g} s: {what}; the wire shows {block}"
            await asyncio.sleep(POLL)
        return block

    # ------------------------------------------------------------ sequence style in whole steps

    async def ready(self, within: float = 20) -> None:
        """Enable, and wait for Ready."""
        await self.connect()
        await self.write(enable=True)
        await self.see(lambda b: b.ready, within, "Ready")

    async def trigger(self, part: int, **how: bool) -> int:
        """The next number for this part; returns it."""
        seq = next_seq(self.command.trigger_seq or (await self.read()).trigger_seq_ack)
        await self.write(part_id=part, trigger_seq=seq, **how)
        return seq

    async def take(self, seq: int, within: float = 2) -> Block:
        """Wait for the result of this trigger, acknowledging what is shown before it."""
        end = time.monotonic() + within
        while True:
            block = await self.see(lambda b: b.valid, max(0.0, end - time.monotonic()), f"the result of trigger {seq}")
            await self.write(result_ack_seq=block.result_seq)
            if block.trigger_seq == seq:
                return block
            shown = block.result_seq
            await self.see(lambda b, shown=shown: not b.valid or b.result_seq != shown, 1, "the ack is taken")  # type: ignore[misc]

    async def inspect(self, part: int) -> Block:
        """One polite cycle."""
        await self.see(lambda b: b.ready, 5, "Ready")
        return await self.take(await self.trigger(part))


@contextlib.asynccontextmanager
async def panel(evidence: Evidence, port: int, unit: int = 1) -> AsyncIterator[Panel]:
    """A panel that is disconnected at the end."""
    one = Panel(evidence, port, unit)
    try:
        yield one
    finally:
        await one.close()
