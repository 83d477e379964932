"""A gateway with faces in a process of their own: the PLC notices nothing of what becomes of it, but who drives."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from protocols.faults import Code
from protocols.signals import Control, Judgement
from tests.played_face import FaceClient, face_client
from tests.scenario import wire
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import Line, line, task, watched
from tests.scenario.stand import Stand, free_port, until
from tests.scenario.wire import Master

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(120)]

GAP = "gap:"
"""Results are numbered whoever asks: what a face asked for is a gap for the PLC, and no loss."""
ROOT = Path(__file__).parents[2]
VARIABLES, VISION = "cell1/VARIABLES", "cell1/MACHINE_VISION"


def carried(new_stand: NewStand, *stations: dict[str, Any]) -> Stand:
    """A stand whose gateway has the played server."""
    stand = new_stand(*stations)
    stand.program, stand.opcua = "tests.scenario.carried", {"port": free_port()}
    stand.environment["PYTHONPATH"] = str(ROOT)
    stand.write_config(stand.config, stand.data_dir)
    return stand


def face_port(stand: Stand) -> int:
    assert stand.opcua is not None
    return int(stand.opcua["port"])


def carrier(stand: Stand) -> psutil.Process | None:
    """The carrier process, if there is one."""
    for process in psutil.Process(stand.pid).children():
        with contextlib.suppress(psutil.Error):
            if "tests.played_server" in process.cmdline():
                return process
    return None


@contextlib.asynccontextmanager
async def plant_of(stand: Stand, *pardoned: str) -> AsyncIterator[tuple[Line, FaceClient]]:
    """The gateway with its PLC at work, Ready, and somebody at the faces."""
    await stand.start()
    async with line(stand, pardoned=pardoned) as plant, face_client(face_port(stand)) as face:
        await plant.ready()
        yield plant, face


def enable(plant: Line, on: bool) -> None:
    """The PLC's own Enable."""
    control = plant.plc.role.command.control
    plant.plc.role.write(control=control | Control.ENABLE if on else control & ~int(Control.ENABLE))


async def taken(plant: Line, face: FaceClient, who: str = VARIABLES) -> None:
    """The PLC lets go, and a face takes the station."""
    enable(plant, False)
    await plant.see(lambda b: b.not_ready_reason == Code.NOT_ENABLED, 5, "the PLC has disabled it")
    face.send(face=who, link="up", write={"control": 0})
    face.write(who, control=1)
    await plant.see(lambda b: b.not_ready_reason == Code.DRIVEN_BY_OTHER, 5, "the PLC is told who drives")
    await face.until(lambda: face.ready(who), "the station is Ready for the face")


async def asked(plant: Line, face: FaceClient, seq: int, part: int) -> dict[str, Any]:
    """The face has a part inspected; its result as the face is shown it."""
    plant.evidence.foreign.add(part)
    face.write(VARIABLES, trigger_seq=seq, part_id=part)
    await face.until(lambda: face.of(VARIABLES, "result")[-1]["part_id"] == part, f"part {part} is answered")
    await face.until(lambda: face.status(VARIABLES)["bits"] & wire.RESULT_VALID, "and valid")
    result = dict(face.of(VARIABLES, "result")[-1])
    face.write(VARIABLES, result_ack_seq=result["result_seq"])
    await face.until(lambda: not face.status(VARIABLES)["bits"] & wire.RESULT_VALID, "taken")
    return result


async def test_a_carrier_that_is_killed_and_stopped_again_and_again_costs_the_plc_nothing(
    new_stand: NewStand, bench: Bench
) -> None:
    stand = carried(new_stand, {"cycle": {"deadline_ms": 1000}})  # what starts takes its share of a small computer
    parts = itertools.count(1)
    async with plant_of(stand) as (plant, first):
        plant.evidence.untouched = True
        plant.stand.measure()
        for blow in (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL, signal.SIGSEGV):
            victim = carrier(stand)
            assert victim is not None
            victim.send_signal(blow)
            served = len(stand.told("carrier", state="ready"))
            while len(stand.told("carrier", state="ready")) == served:
                part = next(parts) % 100 + 1
                assert (await plant.plc.inspect(part)).judgement is bench.verdict(part)
            assert not victim.is_running()
        async with face_client(face_port(stand)) as again:
            await again.until(lambda: again.ready(VARIABLES), "the new one shows the station")
            part = next(parts) % 100 + 1
            assert (await plant.plc.inspect(part)).judgement is bench.verdict(part)
            await again.until(lambda: again.of(VISION, "outcome")[-1]["part"] == part, "and its outcomes")
            numbers = [told["number"] for told in again.of(VISION, "outcome")]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len(stand.told("carrier_ended", code=int(Code.INTERNAL))) == 4
        assert first.of(VARIABLES, "driven") == ["LINK"]
        assert await stand.stop() == 0


async def test_a_face_takes_over_when_the_plc_disables_and_gives_the_station_back(
    new_stand: NewStand, bench: Bench
) -> None:
    stand = carried(new_stand)
    async with plant_of(stand, GAP) as (plant, face):
        assert (await plant.plc.inspect(1)).judgement is bench.verdict(1)
        await taken(plant, face)
        for seq, part in enumerate((90, 91, 92), 1):
            result = await asked(plant, face, seq, part)
            assert (result["judgement"], result["trigger_seq"]) == (bench.verdict(part), seq)
        assert face.of(VISION, "outcome")[-1]["seat"] == "VARIABLES"
        enable(plant, True)
        await plant.see(lambda b: b.not_ready_reason == Code.DRIVEN_BY_OTHER, 5, "nobody is driven out")
        assert not plant.plc.ready
        face.write(VARIABLES, control=0)
        await plant.ready()
        for part in (2, 3):
            assert (await plant.plc.inspect(part)).judgement is bench.verdict(part)
        assert [told["driver"] for told in stand.told("driver")] == ["variables", "link"]
        assert await stand.stop() == 0
    rows = stand.history()
    assert [row.trigger.part_id for row in rows] == [1, 90, 91, 92, 2, 3]
    assert [row.trigger.by_bit for row in rows] == [False, True, True, True, False, False]


async def test_a_face_that_dies_in_mid_cycle_leaves_its_result_to_nobody_and_the_station_to_the_plc(
    new_stand: NewStand, bench: Bench
) -> None:
    slow = {"camera": {"inject": {"late_at": [93], "late_ms": 150}}}
    stand = carried(new_stand, slow)
    async with plant_of(stand, GAP) as (plant, face):
        await taken(plant, face)
        plant.evidence.foreign.add(93)
        face.write(VARIABLES, trigger_seq=1, part_id=93)
        await face.until(lambda: face.status(VARIABLES)["bits"] & wire.BUSY, "the part is looked at")
        enable(plant, True)
        victim = carrier(stand)
        assert victim is not None
        victim.kill()
        await plant.ready()
        assert (await plant.plc.inspect(2)).judgement is bench.verdict(2)
        assert await stand.stop() == 0
    rows = {row.trigger.part_id: row for row in stand.history()}
    assert rows[93].judgement is bench.verdict(93), "it ended and is recorded"


async def test_a_plc_that_leaves_while_a_face_drives_is_no_fault(new_stand: NewStand, bench: Bench) -> None:
    stand = carried(new_stand)
    await stand.start()
    async with face_client(face_port(stand)) as face:
        async with line(stand) as plant:
            await plant.ready()
            await taken(plant, face)
        for seq, part in enumerate((90, 91), 1):
            assert (await asked(plant, face, seq, part))["judgement"] == bench.verdict(part)
        await until(lambda: face.ready(VARIABLES), 5, "Ready all the time")
        assert not stand.told("link", state="down"), "the link went down, and nobody who drives was told"
        face.write(VARIABLES, control=0)
        await until(lambda: len(stand.told("driver")) == 2, 5, "given back")
    assert await stand.stop() == 0


async def test_a_trigger_of_the_plc_s_while_a_face_drives_is_refused_with_its_reason(new_stand: NewStand) -> None:
    stand = carried(new_stand)
    async with plant_of(stand, GAP) as (plant, face):
        await taken(plant, face)
        plant.plc.role.write(trigger_seq=77, part_id=7)
        block = await plant.see(lambda b: b.trigger_seq_ack == 77, 5, "the trigger is seen")
        assert (block.trigger_refused, block.missed) == (Code.DRIVEN_BY_OTHER, 1)
        assert await stand.stop() == 0
    assert not [row for row in stand.history() if row.trigger.part_id == 7]


async def test_a_gateway_whose_carrier_can_never_start_serves_its_plc(new_stand: NewStand, bench: Bench) -> None:
    stand = carried(new_stand)
    with socket.socket() as taken_port:
        taken_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken_port.bind(("127.0.0.1", face_port(stand)))
        taken_port.listen()
        await stand.start()
        async with line(stand) as plant:
            plant.evidence.untouched = True
            await plant.ready()
            end = time.monotonic() + 20
            for part in itertools.count(1):
                assert (await plant.plc.inspect(part % 100 + 1)).judgement is bench.verdict(part % 100 + 1)
                if len(stand.told("carrier_ended")) >= 3:
                    break
                assert time.monotonic() < end
            assert "cannot listen" in stand.told("carrier_ended")[0]["reason"]
            assert await stand.stop() == 0


async def test_a_stop_while_a_face_drives_ends_its_inspection_and_tells_the_plc(
    new_stand: NewStand, bench: Bench
) -> None:
    stand = carried(new_stand, {"camera": {"inject": {"late_at": [94], "late_ms": 150}}})
    await stand.start()
    async with face_client(face_port(stand)) as face, watched(stand, Master(stand.port)) as observer:
        face.send(face=VARIABLES, link="up", write={"control": 0})
        face.write(VARIABLES, control=1)
        await face.until(lambda: face.ready(VARIABLES), "Ready without any PLC")
        observer.evidence.foreign.add(94)
        face.write(VARIABLES, trigger_seq=1, part_id=94)
        await face.until(lambda: face.status(VARIABLES)["bits"] & wire.BUSY, "the part is looked at")
        stand.signal(signal.SIGTERM)
        assert await stand.ended() == 0
        await face.until(lambda: not face.status(VARIABLES)["bits"] & 1, "the face saw the end: not Online")
        assert face.of(VARIABLES, "outcome")[-1]["part"] == 94
    last = observer.evidence.views[-1].block
    assert last.not_ready_reason == Code.STOPPING
    assert not last.valid
    assert stand.history()[-1].judgement is bench.verdict(94)


async def test_killed_as_a_whole_nothing_of_it_is_left(new_stand: NewStand) -> None:
    stand = carried(new_stand)
    async with plant_of(stand) as (plant, _):
        process = carrier(stand)
        assert process is not None
        async with task(_stopped(process), "stopped"):
            await stand.kill()
        await until(lambda: not process.is_running(), 5, "the carrier is gone")
        plant.evidence.excused.append((0.0, time.time() + 60))


async def _stopped(process: psutil.Process) -> None:
    process.suspend()


async def test_a_part_that_a_face_had_asked_for_when_the_gateway_died_is_no_answer_to_the_plc(
    new_stand: NewStand, bench: Bench
) -> None:
    stand = carried(new_stand)
    good = bench.good(1)[0]
    async with plant_of(stand, GAP) as (plant, face):
        await taken(plant, face)
        await asked(plant, face, 50, good)
        await stand.kill()
        await stand.start()
        plant.evidence.foreign.discard(good)
        plant.reconnect()
        # the very number and part that the face had used: the PLC must get a frame of its own
        plant.plc.role.write(trigger_seq=49)
        enable(plant, True)
        await plant.ready()
        answer = await plant.plc.inspect(good)
        assert answer.judgement is Judgement.OK
        assert await stand.stop() == 0
    rows = [row for row in stand.history() if row.trigger.trigger_seq == 50]
    assert len(rows) == 2


LINK = "cell1/LINK"


async def one_part(stand: Stand, plc: FaceClient, seq: int, part: int) -> dict[str, Any]:
    """A PLC at the variables of the server has a part inspected."""
    plc.send(face=LINK, link="up", write={"control": 0})
    plc.write(LINK, control=1)
    await plc.until(lambda: plc.ready(LINK), "Ready")
    plc.write(LINK, trigger_seq=seq, part_id=part)
    await plc.until(lambda: plc.of(LINK, "result")[-1]["part_id"] == part, "the result")
    result = dict(plc.of(LINK, "result")[-1])
    plc.write(LINK, result_ack_seq=result["result_seq"])
    await plc.until(lambda: not plc.status(LINK)["bits"] & wire.RESULT_VALID, "taken")
    return result


async def test_a_plc_at_the_server_s_variables_is_the_station_s_link(new_stand: NewStand, bench: Bench) -> None:
    stand = carried(new_stand, {"link": {"kind": "opcua_server"}})
    await stand.start()
    async with face_client(face_port(stand)) as plc:
        assert (await one_part(stand, plc, 1, 10))["judgement"] == bench.verdict(10)
        assert {message.get("face") for message in plc.heard} == {None, LINK, VISION}, "its variables are the link"
        victim = carrier(stand)
        assert victim is not None
        victim.kill()
        await until(lambda: stand.told("link", state="down"), 5, "the link is down")
        await until(lambda: len(stand.told("carrier", state="ready")) == 2, 10, "a new carrier")
    async with face_client(face_port(stand)) as plc:
        assert (await one_part(stand, plc, 2, 11))["judgement"] == bench.verdict(11)
    assert await stand.stop() == 0
    assert [row.trigger.by_bit for row in stand.history()] == [False, False]


async def test_a_face_takes_a_station_whose_carried_link_is_disabled_and_the_link_is_shown_why(
    new_stand: NewStand, bench: Bench
) -> None:
    stand = carried(new_stand, {"link": {"kind": "opcua_server"}})
    await stand.start()
    async with face_client(face_port(stand)) as face:
        face.send(face=LINK, link="up", write={"control": 0})
        await until(lambda: stand.told("link", state="up"), 5, "the link is up")
        face.write(VISION, control=1)
        await face.until(lambda: face.ready(VISION), "Ready for the face")
        face.write(VISION, trigger_seq=1, part_id=90)
        await face.until(lambda: face.of(VISION, "result")[-1]["part_id"] == 90, "the result")
        assert face.of(VISION, "result")[-1]["judgement"] == bench.verdict(90)
        assert face.status(LINK)["not_ready_reason"] == Code.DRIVEN_BY_OTHER
        assert not any(result["part_id"] for result in face.of(LINK, "result"))
        face.write(VISION, control=0)
        face.write(LINK, control=1)
        await face.until(lambda: face.ready(LINK), "Ready for the link")
    assert await stand.stop() == 0
