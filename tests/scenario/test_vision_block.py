"""The exported FB_VisionStation as the program of a PLC: a scan each 10 ms over Modbus TCP against a real gateway."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from gateway.plc import chart
from protocols.faults import Code
from protocols.handshake import PlcState, Style
from protocols.plc_role import Outcome
from protocols.signals import Judgement
from tests.plc_export import order_of, plc
from tests.plc_program import PlcProgram
from tests.scenario import wire
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import note, task, watched
from tests.scenario.oracle import Evidence
from tests.scenario.stand import Stand, until
from tests.scenario.wire import Master, WireError

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(180)]
SCAN = 0.01
RUNNING = chart.NUMBER[PlcState.RUNNING]


class Controller:
    """The PLC around the block: reads the status words, calls the block, writes the command words; again and again."""

    def __init__(self, block: PlcProgram, port: int, evidence: Evidence) -> None:
        self.block, self.evidence = block, evidence
        self._master = Master(port)
        self._command: wire.Command | None = None
        self.running = asyncio.Event()
        """Cleared: the PLC is in STOP."""
        self.running.set()

    async def run(self) -> None:
        """Scan until cancelled; without a connection the block is called all the same."""
        try:
            while True:
                await self.running.wait()
                await self._scan()
                await asyncio.sleep(SCAN)
        finally:
            await self._master.close()

    async def _scan(self) -> None:
        try:
            if not self._master.connected:
                await self._master.open()
            raw = await self._master.read(wire.READ_INPUT, 0, 64)
            self.evidence.plc_read(wire.decode(raw), time.time())
            self.block.scan_words(raw, time.monotonic())
            words = self.block.command_bytes()
            self._note(words)
            await self._master.write(0, words)
        except WireError:
            await self._master.close()
            self.block.scan_words(None, time.monotonic())

    def _note(self, words: bytes) -> None:
        command = wire.decode_command(words)
        note(self.evidence, self._command, command, time.time())
        self._command = command

    async def request(self, part: int) -> None:
        """Trigger as soon as the block is ready."""
        await until(lambda: self.block.block["ready"], 20, f"ready for part {part}")
        self.block.request(part, time.monotonic())

    async def outcome(self, part: int, within: float = 20) -> Outcome:
        """What became of the part."""
        await until(lambda: self.block.outcome is not None and not self.block.busy, within, f"part {part} is done")
        assert self.block.outcome is not None
        assert self.block.outcome.part_id == part
        return self.block.outcome

    async def inspect(self, part: int) -> Outcome:
        """One cycle."""
        await self.request(part)
        return await self.outcome(part)


@contextlib.asynccontextmanager
async def controller(stand: Stand, language: str, style: Style) -> AsyncIterator[Controller]:
    """The block at work; patient, so that a restart of the gateway fits into a request."""
    one = Controller(
        plc(language, style, timeout=30_000, readyTimeout=5000, allowSimulated=True),
        stand.port,
        stand.evidence["cell1"],
    )
    async with task(one.run(), "PLC"):
        yield one


@pytest.mark.parametrize("style", Style)
async def test_parts_a_restart_and_a_late_ack(new_stand: NewStand, bench: Bench, style: Style) -> None:
    inject = {"late_at": [5, 7], "late_ms": 200}
    stand = new_stand(
        {"camera": {"inject": inject}, "cycle": {"ack_timeout_s": 0.3, "deadline_ms": 3000, "grab_timeout_ms": 900}}
    )
    plc("st", style)  # parsed before the clock runs
    await stand.start()
    async with controller(stand, "st", style) as plant, watched(stand, Master(stand.port)) as observer:
        for part in (1, 2, 3, 4):
            assert (await plant.inspect(part)).judgement is bench.verdict(part)

        await plant.request(5)
        await until(lambda: plant.block.block["state"] == RUNNING, 5, "part 5 is looked at, and the PLC knows")
        await stand.kill()
        await until(lambda: not plant.block.block["linkOk"], 5, "the PLC sees that the gateway is gone")
        await stand.start()
        interrupted = await plant.outcome(5)
        assert (interrupted.judgement, interrupted.reason) == (Judgement.FAULT, Code.RESTARTED)
        assert (await plant.inspect(6)).judgement is bench.verdict(6)

        await plant.request(7)
        await until(lambda: plant.block.block["state"] == RUNNING, 5, "part 7 is looked at")
        plant.running.clear()  # the PLC is held up, and with it the ack
        await until(lambda: observer.block is not None and observer.block.bit(wire.DEGRADED), 5, "3005")
        plant.running.set()
        assert (await plant.outcome(7)).judgement is bench.verdict(7)
        assert (await plant.inspect(8)).judgement is bench.verdict(8)
        await until(lambda: observer.block is not None and not observer.block.valid, 5, "the last one is acknowledged")
        assert await stand.stop() == 0
    assert [row.trigger.part_id for row in stand.history()] == list(range(1, 9)), "each part was inspected once"


@pytest.mark.parametrize("style", Style)
async def test_the_add_on_instruction_over_the_wire(new_stand: NewStand, bench: Bench, style: Style) -> None:
    """Its words are CDAB, which the observer does not read: what the PLC got is compared with the history."""
    stand = new_stand()
    link = stand.stations[0]["link"]
    link["word_order"] = order_of("l5x").value
    stand.write_config(stand.config, stand.data_dir)
    plc("l5x", style)
    await stand.start()
    async with controller(stand, "l5x", style) as plant:
        scores = []
        for part in range(1, 6):
            outcome = await plant.inspect(part)
            assert outcome.judgement is bench.verdict(part)
            scores.append(plant.block.block["result"]["score"])
            assert scores[-1] == pytest.approx(bench.score(part), abs=0.002)
        assert await stand.stop() == 0
    assert [row.trigger.part_id for row in stand.history()] == [1, 2, 3, 4, 5]
