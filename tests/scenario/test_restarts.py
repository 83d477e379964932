"""The gateway is killed and started again: numbers go on, an open inspection is told, nothing is inspected twice."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from protocols.faults import Code
from protocols.signals import Judgement
from tests.scenario import wire
from tests.scenario.conftest import KNOWN, Bench, NewStand
from tests.scenario.observer import line, task, watched
from tests.scenario.panel import panel
from tests.scenario.roles import ROLES, Role, cell
from tests.scenario.stand import free_port
from tests.scenario.test_lines import client_link
from tests.scenario.wire import Master

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(90)]


@pytest.mark.parametrize("role", ROLES)
async def test_c14_killed_in_mid_inspection(new_stand: NewStand, bench: Bench, role: Role) -> None:
    async with cell(new_stand, role, {"camera": {"inject": {"late_at": [4], "late_ms": 200}}}) as at:
        stand, plc = at.stand, at.plc
        await plc.ready()
        before = [await plc.inspect(part) for part in (1, 2, 3)][-1]
        await plc.see(lambda b: b.ready, 5, "Ready")
        seq = await plc.trigger(4)
        await plc.see(lambda b: b.bit(wire.BUSY) and b.bit(wire.EXPOSURE_DONE), 2, "part 4 is exposed")
        await stand.kill()
        await plc.cut("fin")
        await stand.start()
        await plc.connect()  # and writes the same number again
        told = await plc.see(
            lambda b: b.valid and b.boot_id != before.boot_id, 10, "the interrupted inspection is told"
        )
        assert (told.judgement, told.reason) == (Judgement.FAULT, Code.RESTARTED)
        assert (told.trigger_seq, told.part_id) == (seq, 4)
        assert told.result_seq == before.result_seq + 1
        assert (await plc.take(seq)).result_seq == told.result_seq
        assert (await plc.inspect(5)).judgement == bench.verdict(5)
        assert await stand.stop() == 0
    rows = [(row.trigger.part_id, row.reason) for row in stand.history()]
    assert [part for part, _ in rows] == [1, 2, 3, 4, 5]
    assert rows[3] == (4, Code.RESTARTED)


@pytest.mark.parametrize("patient", [True, False])
async def test_c14_what_was_open_at_the_kill_is_told_unasked(new_stand: NewStand, bench: Bench, patient: bool) -> None:
    """Bit style: there is no number by which the PLC could ask again. A patient one waits for Ready before its ack."""
    stand = new_stand({"camera": {"inject": {"late_at": [1], "late_ms": 200}}})
    evidence = stand.evidence["cell1"]
    await stand.start()
    async with panel(evidence, stand.port) as plc, watched(stand, Master(stand.port)):
        await plc.ready()
        await plc.write(part_id=1, trigger=True)
        await plc.see(lambda b: b.bit(wire.TRIGGER_ACK) and b.bit(wire.EXPOSURE_DONE), 2, "part 1 is exposed")
        await plc.write(trigger=False)
        await stand.kill()
        await plc.cut("rst")
        await stand.start()
        await plc.connect()
        told = await plc.see(lambda b: b.valid and b.ready >= patient, 10, "the interrupted inspection is told")
        assert (told.part_id, told.judgement, told.reason) == (1, Judgement.FAULT, Code.RESTARTED)
        await plc.write(result_ack=True)
        await plc.see(lambda b: not b.valid and b.ready, 10, "ResultValid falls")
        await plc.write(result_ack=False, part_id=2, trigger=True)
        after = await plc.see(lambda b: b.valid, 2, "the result of part 2")
        assert (after.part_id, after.judgement) == (2, bench.verdict(2))
        assert await stand.stop() == 0
    assert [row.trigger.part_id for row in stand.history()] == [1, 2]


@pytest.mark.parametrize(
    ("role", "taken"),
    [("server", False), ("server", True), ("client", False), pytest.param("client", True, marks=pytest.mark.slow)],
)
async def test_c07_a_repeated_number_is_answered_from_the_history(
    new_stand: NewStand, bench: Bench, role: Role, taken: bool
) -> None:
    async with cell(new_stand, role) as at:
        stand, plc = at.stand, at.plc
        await plc.ready()
        await plc.inspect(1)
        seq = await plc.trigger(2)
        before = await plc.see(lambda b: b.valid and b.trigger_seq == seq, 2, "the result of part 2")
        if taken:
            await plc.write(result_ack_seq=before.result_seq)
        await stand.kill()
        await plc.cut("fin")
        await stand.start()
        await plc.connect()
        if taken:  # a PLC that has its result asks again only if it means it
            await plc.see(lambda b: b.ready and b.boot_id != before.boot_id, 10, "Ready")
            await plc.write(trigger_seq=0, result_ack_seq=0)
            await plc.write(trigger_seq=seq)
        again = await plc.see(lambda b: b.valid and b.boot_id != before.boot_id, 10, "the stored result")
        assert again.result == before.result
        await plc.take(seq)
        assert (await plc.inspect(3)).result_seq == before.result_seq + 1
        assert await stand.stop() == 0
    assert [row.trigger.part_id for row in stand.history()] == [1, 2, 3]


@pytest.mark.parametrize(("role", "kills", "seed"), [("server", 4, 1), ("client", 3, 2)])
async def test_c14_killed_anywhere(new_stand: NewStand, bench: Bench, role: str, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    slave_port = free_port() if role == "client" else 0
    slow = {"camera": {"inject": {"late_at": list(range(1, KNOWN, 2)), "late_ms": 60}}}
    stand = new_stand(slow | ({"link": client_link(slave_port)} if slave_port else {}))
    await stand.start()
    async with line(stand, slave_port=slave_port, gives_up=1.0, watch=not slave_port) as plant:
        part, boots = 0, set()
        for _ in range(kills):
            await plant.ready()
            boots.add(plant.plc.outputs.status.boot_id)
            async with task(_kill_after(stand.signal, chance.uniform(0, 0.25)), "killer"):
                while stand.running:
                    part += 1
                    answer = await plant.plc.inspect(part)
                    if answer.result is not None and answer.reason != Code.RESTARTED:
                        assert answer.judgement is bench.verdict(part), answer
            await stand.ended()
            await stand.start()
            plant.reconnect()
            # A polled PLC still holds the Ready of the killed one in its memory; only another BOOT_ID is the new one's.
            await plant.plc.until(lambda outputs: outputs.status.boot_id not in boots, 10)
        await plant.ready()
        part += 1
        assert (await plant.plc.inspect(part)).judgement is bench.verdict(part)
        boots.add(plant.plc.outputs.status.boot_id)
        assert len(boots) == kills + 1
        assert await stand.stop() == 0


async def _kill_after(send: object, seconds: float) -> None:
    await asyncio.sleep(seconds)  # the moment is what is varied; nothing waits for it
    assert callable(send)
    send(signal.SIGKILL)
