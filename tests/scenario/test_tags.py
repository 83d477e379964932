"""A machining cell without a PLC: its counter triggers, its values are recorded, lamp and gate are written back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from protocols.signals import Judgement
from protocols.tags import Quality
from tests.machine import Machine, machine
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import line
from tests.scenario.stand import Stand, until

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]

PROGRAM, TOOL, LOAD, PART, COUNTER, LAMP, GATE = 10, 11, 12, 20, 22, 40, 41
SHOWN = {Judgement.OK: 1, Judgement.NG: 2}


def device(port: int) -> dict[str, Any]:
    return {
        "name": "cnc",
        "link": {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "timeout_ms": 500},
        "groups": [{"name": "fast", "period_ms": 20}, {"name": "slow", "period_ms": 200}],
        "tags": [
            {"name": "program", "address": PROGRAM, "group": "slow", "max_age_ms": 5000},
            {"name": "tool", "address": TOOL, "group": "slow", "min": 1, "max": 40, "max_age_ms": 5000},
            {"name": "load", "address": LOAD, "type": "float32", "unit": "%", "group": "slow", "max_age_ms": 5000},
            {"name": "part", "address": PART, "type": "uint32", "group": "fast", "max_age_ms": 5000},
            {"name": "counter", "address": COUNTER, "group": "fast", "max_age_ms": 5000},
            {"name": "lamp", "address": LAMP, "access": "write"},
            {"name": "gate", "address": GATE, "access": "write"},
        ],
    }


GATED = {"kind": "gate", "tag": "cnc.gate", "after_parts": 1, "pulse_ms": 500}
TAGS = {
    "record": ["cnc.program", "cnc.tool", "cnc.load"],
    "trigger": {"tag": "cnc.counter", "on": "count", "part_id": "cnc.part"},
    "outputs": [
        {"kind": "lamp", "tag": "cnc.lamp"},
        GATED,
    ],
}
ALONE = {
    "link": {"kind": "loopback"},
    "cycle": {"enable": "always", "acknowledge": "none", "deadline_ms": 2000},
    "tags": TAGS,
}


def ready(stand: Stand, cnc: Machine) -> bool:
    """The vision is there, the gate was written, and the counter has been read."""
    up = stand.told("vision_ready") and stand.told("started") and stand.told("output_written", tag="cnc.gate")
    return bool(up) and sum(1 for asked in cnc.asked if asked[1] == PART) > 5


def inspected(stand: Stand, count: int) -> bool:
    return stand.inspected() == count


def shows(cnc: Machine, address: int, value: int) -> bool:
    return cnc.words[address] == value


async def step(cnc: Machine, part: int) -> None:
    cnc.put(PART, "I", part)
    cnc.words[COUNTER] = (cnc.words[COUNTER] + 1) & 0xFFFF


async def test_counter_triggers_values_recorded_lamp_and_gate_written(new_stand: NewStand, bench: Bench) -> None:
    async with machine() as cnc:
        cnc.words[PROGRAM], cnc.words[TOOL], cnc.words[COUNTER] = 1204, 99, 65533
        cnc.put(LOAD, "f", 42.5)
        stand = new_stand(ALONE)
        stand.devices = [device(cnc.port)]
        stand.write_config(stand.config, stand.data_dir)
        await stand.start()
        await until(lambda: ready(stand, cnc), 20, "the station is ready")
        verdicts = [bench.verdict(part) for part in range(1, 13)]
        for count in range(1, 13):
            await step(cnc, count)
            await until(partial(inspected, stand, count), 10, f"part {count} is inspected")
            await until(partial(shows, cnc, LAMP, SHOWN[verdicts[count - 1]]), 5, "the lamp shows the verdict")
            await until(partial(shows, cnc, GATE, 0), 5, "the gate rests before the next part")
            # By parts: the one before is at the gate as soon as this one was triggered.
            assert cnc.values(GATE).count(1) == verdicts[: count - 1].count(Judgement.OK)
        assert await stand.stop() == 0
        assert (cnc.words[LAMP], cnc.words[GATE]) == (0, 0)
    rows = stand.history()
    assert [(row.trigger.part_id, row.judgement) for row in rows] == list(zip(range(1, 13), verdicts, strict=True))
    tags = rows[-1].trigger.tags
    assert (tags["cnc.program"].value, tags["cnc.program"].quality) == (1204, Quality.GOOD)
    assert (tags["cnc.tool"].value, tags["cnc.tool"].quality) == (99, Quality.UNCERTAIN)
    assert tags["cnc.load"].value == 42.5
    assert 0 <= tags["cnc.load"].age(0.0) < 5
    assert stand.told("result_lost") == []
    (told, *_) = stand.told("inspection", part_id=12)
    assert told["tags"]["cnc.program"] == 1204
    assert told["tags"]["cnc.tool"] == {"value": 99, "quality": "uncertain"}
    printed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "gateway", "history", str(stand.config), "--json"],
        capture_output=True,
        check=True,
        text=True,
    )
    newest = json.loads(printed.stdout.splitlines()[0])
    assert newest["trigger"]["tags"]["cnc.load"]["value"] == 42.5


async def test_a_lost_machine_takes_ready_and_what_it_counted_unseen_is_missed_not_inspected(
    new_stand: NewStand, bench: Bench
) -> None:
    async with machine() as cnc:
        stand = new_stand(ALONE)
        stand.devices = [device(cnc.port)]
        stand.write_config(stand.config, stand.data_dir)
        await stand.start()
        await until(lambda: ready(stand, cnc), 20, "the station is ready")
        good = bench.good(1)[0]
        await step(cnc, good)
        await until(lambda: stand.inspected() == 1, 10, "the part is inspected")
        before = cnc.values(GATE).count(1)
        await cnc.close()
        await until(lambda: stand.told("equipment", code=3021, missing=True), 10, "a gate that is lost is told")
        await until(lambda: stand.told("device", device="cnc", state="down"), 10, "the device is down")
        cnc.asked.clear()
        await step(cnc, good)
        await cnc.open()
        await until(lambda: stand.told("trigger_refused", code=3001), 20, "the part that nobody saw is told")
        assert stand.inspected() == 1
        await step(cnc, good)
        await until(lambda: stand.inspected() == 2, 10, "the next part is inspected")
        # The part before the loss was proved good, but nobody knows any more where it is.
        assert cnc.values(GATE).count(1) == before
        await step(cnc, good)
        await until(lambda: cnc.values(GATE).count(1) == before + 1, 10, "the gate opens for the part after the loss")
        assert await stand.stop() == 0


async def test_with_a_plc_its_parts_carry_the_values_and_a_killed_gateway_begins_with_the_gate_on_reject(
    new_stand: NewStand, bench: Bench
) -> None:
    async with machine() as cnc:
        cnc.words[PROGRAM] = 7
        tags = {"record": ["cnc.program"], "outputs": [{**GATED, "pulse_ms": 60_000}]}
        stand = new_stand({"tags": tags, "cycle": {"deadline_ms": 2000}})
        stand.devices = [device(cnc.port)]
        stand.write_config(stand.config, stand.data_dir)
        await stand.start()
        good = bench.good(3)
        async with line(stand) as plant:
            await plant.ready()
            for part in good[:2]:
                assert (await plant.plc.inspect(part)).judgement is Judgement.OK
            await until(partial(shows, cnc, GATE, 1), 5, "the first one is at the gate and passes")
            await stand.kill()
            assert cnc.words[GATE] == 1  # nobody is there to close it: the device's own watchdog must
            cnc.writes.clear()
            await stand.start()
            await plant.ready()
            assert cnc.values(GATE) == [0]
            assert (await plant.plc.inspect(good[2])).judgement is Judgement.OK
            assert await stand.stop() == 0
        # The second one was proved good before the kill, but of that nobody knows any more.
        assert cnc.values(GATE) == [0]
    assert [row.trigger.tags["cnc.program"].value for row in stand.history()] == [7, 7, 7]
