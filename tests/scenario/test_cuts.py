"""The wire to the PLC breaks at every step of the handshake and comes back: one inspection, the right verdict."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from protocols.faults import Code
from protocols.handshake import Style
from tests.scenario import wire
from tests.scenario.conftest import KNOWN, Bench
from tests.scenario.panel import Panel
from tests.scenario.roles import ROLES, Plant, at_work, planted
from tests.scenario.wire import Block

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(30)]

STEPS = ("trigger sent", "trigger acknowledged", "exposed", "result pending", "ack sent", "ack taken")
SLOW = {"camera": {"inject": {"late_at": list(range(1, KNOWN + 1)), "late_ms": 40}, "frozen_check": False}}
"""Each inspection lasts long enough that a cut at any step comes before the next one."""
_parts = itertools.count()


def next_part() -> int:
    """Part numbers come round: the trigger's number tells two parts apart."""
    return next(_parts) % KNOWN + 1


@pytest.fixture(scope="module", params=ROLES)
def plant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bench: Bench) -> Iterator[Plant]:
    """One gateway for all cuts of a role: what one cut broke, the next one shows."""
    yield from planted(request.param, tmp_path_factory.mktemp("cuts"), bench.recipe, SLOW)


def taken(block: Block) -> bool:
    """TriggerAck."""
    return block.bit(wire.TRIGGER_ACK)


class Cycle:
    """One part, step by step, the wire cut behind one of them."""

    def __init__(self, plc: Panel, style: Style, step: str, how: str) -> None:
        self.plc, self.style, self.step, self.how = plc, style, step, how

    async def run(self, part: int) -> Block:
        """The result that the PLC took."""
        plc = self.plc
        await plc.see(lambda b: b.ready and not b.valid, 5, "Ready, and no result waits")
        await (self._ask(part) if self.style is Style.SEQUENCE else self._ask_by_bit(part))
        block = await plc.see(lambda b: b.valid and b.part_id == part, 2, "the result")
        await self._cut("result pending")
        assert await plc.read() == block or (await plc.read()).result == block.result, "the result must wait for us"
        await (self._acknowledge(block) if self.style is Style.SEQUENCE else self._acknowledge_by_bit(block))
        return block

    async def _ask(self, part: int) -> None:
        plc = self.plc
        seq = await plc.trigger(part, unheard=self.step == "trigger sent")
        await self._cut("trigger sent")
        block = await plc.see(lambda b: b.trigger_seq_ack == seq, 2, "TRIGGER_SEQ_ACK")
        if block.trigger_refused:  # a number that came while nobody listened is refused, and the PLC asks anew
            assert (block.trigger_refused, self.step) == (Code.LINK_LOST, "trigger sent")
            seq = await plc.trigger(part)
            await plc.see(lambda b: b.trigger_seq_ack == seq and not b.trigger_refused, 2, "the new number is taken")
        await self._cut("trigger acknowledged")
        await plc.see(lambda b: b.bit(wire.EXPOSURE_DONE), 2, "ExposureDone")
        await self._cut("exposed")

    async def _ask_by_bit(self, part: int) -> None:
        plc = self.plc
        await plc.write(part_id=part, trigger=True, unheard=self.step == "trigger sent")
        await self._cut("trigger sent")
        block = await plc.see(lambda b: taken(b) or b.not_ready_reason == Code.OUT_OF_ORDER, 2, "TriggerAck")
        if not taken(block):  # a Trigger that rose while nobody listened is no edge: it falls, and rises again
            await plc.write(trigger=False)
            await plc.see(lambda b: b.ready, 2, "Ready")
            await plc.write(trigger=True)
            await plc.see(taken, 2, "TriggerAck")
        await self._cut("trigger acknowledged")
        await plc.write(trigger=False)
        await plc.see(lambda b: not taken(b), 2, "TriggerAck falls")
        await plc.see(lambda b: b.bit(wire.EXPOSURE_DONE), 2, "ExposureDone")
        await self._cut("exposed")

    async def _acknowledge(self, block: Block) -> None:
        plc = self.plc
        await plc.write(result_ack_seq=block.result_seq, unheard=self.step == "ack sent")
        await self._cut("ack sent")
        await plc.see(lambda b: not b.valid, 2, "ResultValid falls")
        await self._cut("ack taken")

    async def _acknowledge_by_bit(self, block: Block) -> None:
        """A ResultAck that rose while nobody listened is no edge: the same result is offered again, and taken."""
        plc = self.plc
        await plc.write(result_ack=True, unheard=self.step == "ack sent")
        await self._cut("ack sent")
        await plc.see(lambda b: not b.valid, 2, "ResultValid falls")
        await self._cut("ack taken")
        await plc.write(result_ack=False)
        again = await plc.read()
        if again.valid:
            assert again.result == block.result, "not the same result again"
            await plc.write(result_ack=True)
            await plc.see(lambda b: not b.valid, 2, "ResultValid falls")
            await plc.write(result_ack=False)

    async def _cut(self, step: str) -> None:
        if step == self.step:
            await self.plc.cut(self.how)
            await self.plc.connect()


@pytest.mark.parametrize("how", ["fin", "rst", "silence"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("style", Style)
async def test_c01_c02_the_wire_is_cut_in_mid_handshake(
    plant: Plant, bench: Bench, style: Style, step: str, how: str
) -> None:
    stand = plant.stand
    async with at_work(plant) as cell:
        plc = cell.plc
        await plc.connect()
        await plc.write(enable=True)
        for cut in (step, "nowhere"):
            part = next_part()
            before = stand.inspected()
            block = await Cycle(plc, style, cut, how).run(part)
            assert block.judgement == bench.verdict(part)
            assert block.score == pytest.approx(bench.score(part), abs=0.002)
            assert stand.inspected() == before + 1
