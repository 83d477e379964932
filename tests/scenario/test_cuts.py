"""The wire to the PLC breaks at every step of the handshake and comes back: one inspection, the right verdict."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from protocols.handshake import Style
from tests.scenario import wire
from tests.scenario.conftest import KNOWN, Bench
from tests.scenario.observer import watched
from tests.scenario.panel import Panel, panel
from tests.scenario.stand import Stand
from tests.scenario.wire import Block, Master

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(30)]

STEPS = ("trigger sent", "trigger acknowledged", "exposed", "result pending", "ack sent", "ack taken")
SLOW = {"camera": {"inject": {"late_at": list(range(1, KNOWN + 1)), "late_ms": 40}}}
"""Each inspection lasts long enough that a cut at any step comes before the next one."""
_parts = itertools.count(1)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, bench: Bench) -> Iterator[Stand]:
    """One gateway for all cuts: what one cut broke, the next one shows."""
    stand = Stand(tmp_path_factory.mktemp("cuts"), bench.recipe, SLOW)
    asyncio.run(_started(stand))
    yield stand
    left = stand.close()
    assert not left, left


async def _started(stand: Stand) -> None:
    await stand.start()
    async with panel(stand.evidence["cell1"], stand.port) as plc:
        await plc.ready()
        stand.measure()


class Cycle:
    """One part, step by step, the wire cut behind one of them."""

    def __init__(self, plc: Panel, style: Style, step: str, how: str) -> None:
        self.plc, self.style, self.step, self.how = plc, style, step, how

    async def run(self, part: int) -> Block:
        """The result that the PLC took."""
        plc, sequence = self.plc, self.style is Style.SEQUENCE
        await plc.see(lambda b: b.ready and not b.valid, 5, "Ready, and no result waits")
        cut = self.step == "trigger sent"
        if sequence:
            seq = await plc.trigger(part, unheard=cut)
        else:
            seq = 0
            await plc.write(part_id=part, trigger=True, unheard=cut)
        await self._cut("trigger sent")
        if sequence:
            await plc.see(lambda b: b.trigger_seq_ack == seq, 2, "TRIGGER_SEQ_ACK")
        else:
            await plc.see(lambda b: b.bit(wire.TRIGGER_ACK), 2, "TriggerAck")
        await self._cut("trigger acknowledged")
        if not sequence:
            await plc.write(trigger=False)
            await plc.see(lambda b: not b.bit(wire.TRIGGER_ACK), 2, "TriggerAck falls")
        await plc.see(lambda b: b.bit(wire.EXPOSURE_DONE), 2, "ExposureDone")
        await self._cut("exposed")
        block = await plc.see(lambda b: b.valid and b.part_id == part, 2, "the result")
        await self._cut("result pending")
        assert await plc.read() == block or (await plc.read()).result == block.result, "the result must wait for us"
        await self._acknowledge(block)
        return block

    async def _acknowledge(self, block: Block) -> None:
        plc, cut = self.plc, self.step == "ack sent"
        if self.style is Style.SEQUENCE:
            await plc.write(result_ack_seq=block.result_seq, unheard=cut)
        else:
            await plc.write(result_ack=True, unheard=cut)
        await self._cut("ack sent")
        await plc.see(lambda b: not b.valid, 2, "ResultValid falls")
        await self._cut("ack taken")
        if self.style is Style.BITS:
            await plc.write(result_ack=False)

    async def _cut(self, step: str) -> None:
        if step == self.step:
            await self.plc.cut(self.how)
            await self.plc.connect()


@pytest.mark.parametrize("how", ["fin", "rst", "silence"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("style", Style)
async def test_the_wire_is_cut_in_mid_handshake(stand: Stand, bench: Bench, style: Style, step: str, how: str) -> None:
    evidence = stand.evidence["cell1"]
    async with panel(evidence, stand.port) as plc, watched(stand, Master(stand.port)):
        await plc.connect()
        await plc.write(enable=True)
        for cut in (step, "nowhere"):
            part = next(_parts)
            block = await Cycle(plc, style, cut, how).run(part)
            assert block.judgement == bench.verdict(part)
            assert block.score == pytest.approx(bench.score(part), abs=0.002)
            assert [row.trigger.part_id for row in stand.history()].count(part) == 1
