"""The trigger cycle over the variables of the OPC UA server, in both styles, with a station behind them (rows C)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from protocols.faults import Code
from protocols.handshake import Style
from protocols.link import LinkState
from protocols.plc_role import Outcome, PlcRole
from protocols.signals import Command, Control, Judgement, Outputs, StatusBit
from protocols.station_view import Seat
from tests.contract.opcua_plain import OpcuaPlc, Served, served
from tests.contract.test_links import running, shown
from tests.contract.vision import Vision

pytestmark = pytest.mark.asyncio(loop_scope="module")
ENABLE, TRIGGER, ACK = int(Control.ENABLE), int(Control.TRIGGER), int(Control.RESULT_ACK)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Served]:
    async with served(drives=Seat.LINK) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def line(shared: Served) -> AsyncIterator[tuple[Vision, Served]]:
    vision = Vision(shared.face)
    async with running(vision.run()):
        yield vision, shared


Line = tuple[Vision, Served]


@asynccontextmanager
async def enabled(line: Served) -> AsyncIterator[OpcuaPlc]:
    async with line.plc() as plc:
        await plc.write(Command(control=ENABLE))
        await seen(plc, StatusBit.READY)
        yield plc


async def seen(plc: OpcuaPlc, bit: StatusBit, *, on: bool = True) -> None:
    await shown(plc, lambda outputs: bool(outputs.status.bits & bit) is on, 20)


def result_of(trigger: int) -> Callable[[Outputs], bool]:
    return lambda o: bool(o.status.bits & StatusBit.RESULT_VALID) and o.result.trigger_seq == trigger


async def inspect(plc: OpcuaPlc, role: PlcRole, part: int) -> Outcome:
    role.request(part, time.monotonic())
    async with asyncio.timeout(30):
        while role.busy:
            await plc.write(role.scan(await plc.read(), time.monotonic()))
    assert role.outcome is not None
    return role.outcome


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("style", Style)
async def test_every_part_gets_its_own_verdict(line: Line, style: Style, apart: bool) -> None:
    vision, server = line
    async with server.plc(apart=apart) as plc:
        role = PlcRole(style, timeout=15.0, vision_timeout=10.0)
        for part in range(1, 9):
            outcome = await inspect(plc, role, part)
            assert (outcome.part_id, outcome.failure) == (part, "")
            assert outcome.judgement is (Judgement.NG if part % 3 == 0 else Judgement.OK)
        assert [action.part_id for action in vision.accepted] == list(range(1, 9))
        assert vision.role.missed == 0


async def test_c05_a_trigger_while_busy_is_refused_and_counted(line: Line) -> None:
    vision, server = line
    async with enabled(server) as plc:
        await plc.put([("Command.TRIGGER_SEQ", 1), ("Command.PART_ID", 1)])
        await plc.put([("Command.TRIGGER_SEQ", 2), ("Command.PART_ID", 2)])
        await shown(plc, lambda o: o.status.trigger_refused == Code.TRIGGER_WHILE_BUSY and o.status.missed == 1)
        await shown(plc, result_of(1), 20)
        assert [action.part_id for action in vision.accepted] == [1]


async def test_c07_a_number_repeated_by_a_new_session_is_inspected_once(line: Line) -> None:
    vision, server = line
    async with enabled(server) as plc:
        await plc.put([("Command.TRIGGER_SEQ", 9), ("Command.PART_ID", 5)])
        await shown(plc, result_of(9), 20)
    async with enabled(server) as plc:
        await plc.put([("Command.PART_ID", 5)])
        await plc.put([("Command.TRIGGER_SEQ", 9)])
        await shown(plc, lambda o: o.status.trigger_refused == Code.REPEATED_SEQ)
        again = await plc.read()
        assert result_of(9)(again)
        assert again.result.part_id == 5
        assert len(vision.accepted) == 1


async def test_c10_a_trigger_that_stays_high_is_one_trigger(line: Line) -> None:
    vision, server = line
    async with enabled(server) as plc:
        for _ in range(5):
            await plc.put([("Command.CONTROL.TRIGGER", True), ("Command.PART_ID", 1)])
        await seen(plc, StatusBit.RESULT_VALID)
        await plc.put([("Command.CONTROL.TRIGGER", True)])
        assert len(vision.accepted) == 1
    async with server.plc() as plc:  # back in a new session with the bit still high: no edge
        await plc.write(Command(control=ENABLE | TRIGGER))
        await shown(plc, lambda o: o.status.not_ready_reason == Code.OUT_OF_ORDER)
        assert len(vision.accepted) == 1


async def test_c13_a_plc_that_starts_anew_triggers_nothing_and_counts_anew(line: Line) -> None:
    vision, server = line
    async with enabled(server) as plc:
        await plc.write(Command(control=ENABLE, trigger_seq=3, part_id=1))
        await shown(plc, result_of(3), 20)
        await plc.write(Command())
        await seen(plc, StatusBit.READY, on=False)
        await plc.write(Command(control=ENABLE))
        await seen(plc, StatusBit.READY)
        assert (len(vision.accepted), vision.role.missed) == (1, 0)
        await plc.write(Command(control=ENABLE, trigger_seq=3, part_id=1, result_ack_seq=1))
        await shown(plc, lambda o: o.result.result_seq == 2, 20)
        assert len(vision.accepted) == 2, "the numbers of a PLC that starts anew begin again"


async def test_c01_a_client_that_leaves_in_the_middle_finds_its_result_when_it_is_back(line: Line) -> None:
    vision, server = line
    async with enabled(server) as plc:
        await plc.put([("Command.TRIGGER_SEQ", 4), ("Command.PART_ID", 8)])
    async with enabled(server) as plc:
        await shown(plc, result_of(4), 20)
        result = (await plc.read()).result
        await plc.put([("Command.RESULT_ACK_SEQ", result.result_seq)])
        await seen(plc, StatusBit.RESULT_VALID, on=False)
        assert result.part_id == 8
        assert len(vision.accepted) == 1


async def test_a_trigger_in_the_first_request_of_a_session_is_no_trigger(line: Line) -> None:
    vision, server = line
    async with server.plc() as plc:
        await plc.write(Command(control=ENABLE, trigger_seq=77, part_id=1))
        await shown(plc, lambda o: o.status.trigger_seq_ack == 77 and o.status.trigger_refused != 0)
        assert not vision.accepted


async def test_c11_the_heartbeat_is_what_tells_of_a_plc_that_hangs(line: Line) -> None:
    vision, server = line
    async with enabled(server) as plc:
        await plc.put([("Command.PLC_HEARTBEAT", 1)])
        await plc.put([("Command.PLC_HEARTBEAT", 2)])
        await shown(plc, lambda o: o.status.not_ready_reason == Code.PLC_HEARTBEAT_LOST, 20)
        await plc.put([("Command.PLC_HEARTBEAT", 3)])
        await seen(plc, StatusBit.READY)
        assert not vision.accepted


async def test_a_session_that_ends_brings_the_link_down(line: Line) -> None:
    vision, server = line
    states: list[LinkState] = []
    told = vision.link_changed

    def link_changed(state: LinkState, reason: str) -> None:
        states.append(state)
        told(state, reason)

    vision.link_changed = link_changed  # type: ignore[method-assign]
    async with enabled(server):
        assert states == [LinkState.UP]
    assert states == [LinkState.UP, LinkState.DOWN]
