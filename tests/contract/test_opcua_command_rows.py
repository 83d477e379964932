"""Rows C over the Command variables of the OPC UA server: one server, a station of a few lines for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, get_args

import pytest
import pytest_asyncio

from protocols import handshake as hs
from protocols.faults import Code
from protocols.handshake import CycleSettings, Style
from protocols.opcua.plain_command import Holder
from protocols.signals import SERIAL_BYTES, UINT_MAX, CommandCode, Control, Judgement, StatusBit, next_seq
from protocols.station_view import Seat
from tests.contract.opcua_panel import STEPS, CutPanel, How, Panel, has, proxied
from tests.contract.opcua_plain import Served, node, served
from tests.contract.test_links import running, until
from tests.contract.vision import Vision

pytestmark = pytest.mark.asyncio(loop_scope="module")
both_styles = pytest.mark.parametrize("style", Style)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Served]:
    async with served(drives=Seat.LINK) as found:
        yield found


@asynccontextmanager
async def at_work(
    server: Served, style: Style = Style.SEQUENCE, *, result_seq: int = 0, **settings: Any
) -> AsyncIterator[tuple[Vision, Panel]]:
    """The station and a PLC that has enabled it."""
    vision = Vision(server.face, CycleSettings(**settings))
    vision.role.restore(result_seq, None)
    async with running(vision.run()), server.plc() as plc:
        panel = Panel(plc, style)
        await panel.write()
        await panel.ready()
        yield vision, panel


def right(part: int) -> Judgement:
    return Judgement.OK if part % 3 else Judgement.NG


def ignored(vision: Vision) -> list[int]:
    return [action.result_seq for action in vision.actions if isinstance(action, hs.AckIgnored)]


@pytest.mark.parametrize("how", get_args(How))
@pytest.mark.parametrize("step", STEPS)
@both_styles
async def test_c01_c02_a_cut_at_any_step_costs_no_part_and_doubles_none(
    shared: Served, style: Style, step: str, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who is gone and has told nobody gives way sooner than on a line; whose end can be seen does not have to.
    monkeypatch.setattr(shared.face, "holder", Holder(silence=0.2 if how == "half-open" else 3600))
    vision = Vision(shared.face)
    async with running(vision.run()), proxied(shared).open() as proxy:
        panel = CutPanel(shared.face, proxy, style, step, how)
        await panel.begin()
        await panel.ready()
        vision.held = True
        result = await panel.run(5, lambda: setattr(vision, "held", False))
        assert (result.judgement, [action.part_id for action in vision.accepted]) == (right(5), [5])
        assert (await panel.inspect(6)).judgement == right(6)
        assert (await panel.plc.read()).status.newest_result_seq == 2, "each part has one result"
        await panel.plc.leave()
    await until(lambda: not shared.connections)


@both_styles
async def test_c03_a_result_that_is_never_acknowledged_is_told_waits_and_at_last_is_lost_aloud(
    shared: Served, style: Style
) -> None:
    async with at_work(shared, style, ack_timeout=0.1, queue=3) as (vision, panel):
        await panel.ask(1)
        first = await panel.result(1)
        late = await panel.see(lambda o: has(o, StatusBit.DEGRADED))
        assert (late.result, has(late, StatusBit.BUSY), has(late, StatusBit.READY)) == (first, False, True)
        assert hs.Changed(Code.ACK_TIMEOUT, True) in vision.actions
        for part in (2, 3, 4, 5):
            await panel.ask(part)
            await panel.see(lambda o: not has(o, StatusBit.BUSY))
        full = await panel.plc.read()
        assert (full.status.pending, full.status.lost, has(full, StatusBit.OVERRUN)) == (3, 2, True)
        for part in (3, 4, 5):
            result = await panel.result(part)
            assert (result.result_seq, result.judgement) == (part, right(part))
            await panel.take(result)
        await panel.see(lambda o: not has(o, StatusBit.RESULT_VALID) and not has(o, StatusBit.DEGRADED))


async def test_c04_an_ack_of_another_number_changes_nothing(shared: Served) -> None:
    async with at_work(shared, result_seq=5) as (vision, panel):
        await panel.ask(3)
        result = await panel.result(3)
        wrong = (result.result_seq - 1, next_seq(result.result_seq), 0, 40000)
        for number in wrong:
            await panel.write(result_ack_seq=number)
            shown = await panel.plc.read()
            assert (has(shown, StatusBit.RESULT_VALID), shown.result, shown.status.pending) == (True, result, 1)
        assert ignored(vision) == [number for number in wrong if number]
        await panel.take(result)


async def test_c04_an_ack_before_the_result_takes_nothing(shared: Served) -> None:
    async with at_work(shared, Style.BITS) as (vision, panel):
        vision.held = True
        await panel.ask(3)
        await panel.turn(Control.RESULT_ACK, True)
        vision.held = False
        waiting = await panel.see(lambda o: o.status.pending == 1)
        assert not has(waiting, StatusBit.RESULT_VALID)
        assert ignored(vision) == [0]
        await panel.turn(Control.RESULT_ACK, False)
        await panel.take(await panel.result(3))
        assert (await panel.plc.read()).status.pending == 0


STORM = 400


@both_styles
async def test_c06_of_a_storm_each_trigger_is_accepted_or_counted(shared: Served, style: Style) -> None:
    async with at_work(shared, style) as (vision, panel):
        for turn in range(STORM // 20):
            parts = range(20 * turn + 1, 20 * turn + 21)
            await asyncio.gather(*[panel.plc.put(write) for part in parts for write in asking(style, part)])
        last = await panel.see(lambda o: not has(o, StatusBit.BUSY))
        accepted = len(vision.accepted)
        assert accepted >= 2
        assert last.status.missed == STORM - accepted
        assert last.status.pending + last.status.lost == accepted
        assert last.status.pending == min(accepted, CycleSettings().queue)
        assert not any(isinstance(action, hs.Skipped | hs.Jumped) for action in vision.actions)


def asking(style: Style, part: int) -> list[list[tuple[str, Any]]]:
    """The requests that ask once for this part, one after the other."""
    if style is Style.SEQUENCE:
        return [[("Command.PART_ID", part), ("Command.TRIGGER_SEQ", part)]]
    return [[("Command.PART_ID", part), ("Command.CONTROL.TRIGGER", True)], [("Command.CONTROL.TRIGGER", False)]]


async def test_c08_a_skipped_number_is_accepted_and_the_gap_told(shared: Served) -> None:
    async with at_work(shared) as (vision, panel):
        await panel.inspect(1)
        await panel.write(part_id=2, trigger_seq=7)
        result = await panel.result(2)
        assert (result.trigger_seq, result.judgement) == (7, right(2))
        assert hs.Skipped(7, 5) in vision.actions
        assert (await panel.plc.read()).status.missed == 0


async def test_c09_a_counter_goes_on_from_65535_to_1_and_is_told_when_it_goes_to_0(shared: Served) -> None:
    async with at_work(shared) as (vision, panel):
        panel.command = replace(panel.command, trigger_seq=UINT_MAX - 1)
        for part, seq in ((1, UINT_MAX), (2, 1), (3, 2)):
            result = await panel.inspect(part)
            assert (result.trigger_seq, result.judgement) == (seq, right(part))
        panel.command = replace(panel.command, trigger_seq=UINT_MAX - 1)
        await panel.inspect(4)
        await panel.write(part_id=5, trigger_seq=0)
        told = await panel.see(lambda o: o.status.missed == 1)
        assert (told.status.trigger_seq_ack, told.status.trigger_refused) == (0, Code.OUT_OF_ORDER)
        assert [action.part_id for action in vision.accepted] == [1, 2, 3, 4]


@both_styles
async def test_c09_result_numbers_go_on_from_65535_to_1(shared: Served, style: Style) -> None:
    async with at_work(shared, style, result_seq=UINT_MAX - 1) as (_, panel):
        assert [(await panel.inspect(part)).result_seq for part in (1, 2, 3)] == [UINT_MAX, 1, 2]


@both_styles
async def test_c18_an_unknown_recipe_is_refused_and_the_old_one_stays(shared: Served, style: Style) -> None:
    async with at_work(shared, style) as (vision, panel):
        for seq, (recipe, code) in enumerate(((77, 3007), (0, 3007), (UINT_MAX, 3007), (2, 2)), 1):
            changes = {"command": int(CommandCode.ACTIVATE_RECIPE), "command_param": recipe}
            if style is Style.SEQUENCE:
                await panel.write(**changes, command_seq=seq)
                status = (await panel.see(lambda o: o.status.command_seq_ack == panel.command.command_seq)).status
            else:
                await panel.write(**changes, control=int(Control.ENABLE | Control.EXECUTE))
                status = (await panel.see(lambda o: o.status.command_result != 0)).status
                await panel.turn(Control.EXECUTE, False)
                await panel.see(lambda o: o.status.command_result == 0)
            good = code < Code.UNKNOWN_RECIPE
            assert (status.command_result, status.recipe_active) == (code, recipe if good else 1)
            assert bool(status.bits & StatusBit.COMMAND_FAILED) is not good
        assert len([action for action in vision.actions if isinstance(action, hs.Execute)]) == 4


async def test_c18_a_serial_without_end_is_refused_with_its_trigger_and_32_characters_are_kept(shared: Served) -> None:
    async with at_work(shared) as (vision, panel):
        long = "x" * (SERIAL_BYTES + 1)
        answers = await panel.plc.put([("Command.SERIAL", long), ("Command.TRIGGER_SEQ", 1)])
        assert [answer.is_good() for answer in answers] == [False, False]
        await panel.write(serial=long[1:], **panel.asked(1))
        await panel.take(await panel.result(1))
        assert [action.serial for action in vision.accepted] == [long[1:]]


class Notified:
    """The Good values that a subscription of a PLC has brought: one that was taken already is not Good."""

    def __init__(self) -> None:
        self.values: asyncio.Queue[int] = asyncio.Queue()

    def datachange_notification(self, _: Any, value: int | None, data: Any) -> None:
        if value and data.monitored_item.Value.StatusCode.is_good():
            self.values.put_nowait(value)


@both_styles
async def test_c19_a_plc_that_looks_more_slowly_than_results_come_gets_each_of_them(
    shared: Served, style: Style
) -> None:
    """It looks at nothing but a notification every 60 ms, which would skip results that did not wait for it."""
    async with at_work(shared, style) as (_, panel):
        notified = Notified()
        subscription = await panel.plc.client.create_subscription(60, notified)
        await subscription.subscribe_data_change(panel.plc.client.get_node(node("Result.RESULT_SEQ")))
        for part in range(1, 7):
            await panel.ask(part)
            await panel.see(lambda o: not has(o, StatusBit.BUSY))
        assert (await panel.plc.read()).status.pending == 6
        for part in range(1, 7):
            async with asyncio.timeout(20):
                assert await notified.values.get() == part
            result = await panel.result(part)
            assert (result.result_seq, result.judgement) == (part, right(part))
            await panel.take(result)
        status = (await panel.plc.read()).status
        assert (status.pending, status.lost, status.bits & StatusBit.OVERRUN) == (0, 0, 0)
        await subscription.delete()


@pytest.mark.parametrize("faulty", [False, True], ids=["ends", "fault"])
@both_styles
async def test_c20_an_enable_that_falls_in_mid_cycle_ends_it_as_it_was_set_and_starts_no_other(
    shared: Served, style: Style, faulty: bool
) -> None:
    async with at_work(shared, style, fault_on_disable=faulty) as (vision, panel):
        vision.held = True
        await panel.ask(4)
        await panel.turn(Control.ENABLE, False)
        if not faulty:
            assert has(await panel.plc.read(), StatusBit.BUSY)
            vision.held = False
        result = await panel.result(4)
        judged = (Judgement.FAULT, Code.OUT_OF_ORDER) if faulty else (right(4), 0)
        assert (result.judgement, result.reason) == judged
        await panel.take(result)
        refused = (await panel.ask(5)).status
        assert (refused.trigger_refused, refused.not_ready_reason) == (Code.NOT_ENABLED, Code.NOT_ENABLED)
        vision.held = False
        await panel.turn(Control.ENABLE, True)
        assert (await panel.inspect(6)).judgement == right(6)
        assert [action.part_id for action in vision.accepted] == [4, 6]
