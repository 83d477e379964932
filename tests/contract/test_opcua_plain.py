"""The plain face over a real OPC UA connection: who may write what, what is never taken in part, how honest it is."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from protocols.faults import Code
from protocols.link import LinkState
from protocols.signals import VALUES, Command, Control, Judgement, Outputs, Result, Status, StatusBit
from protocols.station_view import Seat
from tests.contract.opcua_plain import NODES, OpcuaPlc, Served, node, served, variant
from tests.contract.test_links import Recorder

pytestmark = pytest.mark.asyncio(loop_scope="module")
VALID = Status(bits=StatusBit.ONLINE | StatusBit.READY | StatusBit.RESULT_VALID)
SEEN = Result(
    result_seq=5, trigger_seq=17, part_id=9, judgement=1, bits=1, score=0.25, recipe=1, values=(1.5,) * VALUES
)
SHOWN = Outputs(VALID, SEEN)


class Rig:
    """One face for all tests of this module, and what it told."""

    def __init__(self, served: Served, events: list[tuple[int, str]]) -> None:
        self.face, self.plc, self.events = served.face, served.plc, events
        self.station = Recorder()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Rig]:
    events: list[tuple[int, str]] = []
    async with served(on_event=lambda code, text: events.append((code, text))) as found:
        yield Rig(found, events)


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    shared.station = Recorder()
    shared.face.attach(shared.station)
    shared.events.clear()
    yield shared
    shared.face.stale(False)
    shared.face.driven(Seat.LINK)
    shared.face.publish(SHOWN)


def names(codes: list[ua.StatusCode]) -> list[str]:
    return [code.name for code in codes]


def commands(rig: Rig) -> list[Command]:
    return [told for told in rig.station.told if isinstance(told, Command)]


# ------------------------------------------------------------ one request is one command


async def test_one_request_is_one_command_whatever_its_order(rig: Rig) -> None:
    async with rig.plc() as plc:
        writes = [("TRIGGER_SEQ", 4), ("CONTROL", 1), ("PART_ID", 77), ("USER_3", 5), ("SERIAL", "DMX ")]
        assert names(await plc.put([(f"Command.{name}", value) for name, value in writes])) == ["Good"] * 5
    assert rig.station.told[0] is LinkState.UP
    (command,) = commands(rig)
    assert command == Command(control=1, trigger_seq=4, part_id=77, user=(0, 0, 0, 5, 0, 0), serial="DMX")


async def test_parameters_and_trigger_in_two_requests_are_never_torn(rig: Rig) -> None:
    async with rig.plc() as plc:
        await plc.put([("Command.PART_ID", 77), ("Command.SERIAL", "A")])
        await plc.put([("Command.TRIGGER_SEQ", 4)])
    assert commands(rig) == [Command(part_id=77, serial="A"), Command(trigger_seq=4, part_id=77, serial="A")]


async def test_the_word_and_its_single_bits_stay_the_same(rig: Rig) -> None:
    async with rig.plc() as plc:
        await plc.put([("Command.CONTROL", Control.ENABLE | Control.RESULT_ACK)])
        bits = await plc.get("Command.CONTROL.ENABLE", "Command.CONTROL.TRIGGER", "Command.CONTROL.RESULT_ACK")
        assert [bit.Value.Value for bit in bits if bit.Value] == [True, False, True]
        await plc.put([("Command.CONTROL.TRIGGER", True), ("Command.CONTROL.RESULT_ACK", False)])
        (word,) = await plc.get("Command.CONTROL")
        assert word.Value is not None
        assert word.Value.Value == Control.ENABLE | Control.TRIGGER
    assert [command.control for command in commands(rig)] == [5, 3]


# ------------------------------------------------------------ what is refused: rows E-7 and E-15

RIGHT = ("Command.PART_ID", variant(NODES["Command.PART_ID"], 8))


def raw(value: Any, kind: ua.VariantType, **more: Any) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value, kind), **more)


BAD = ua.StatusCode(ua.UInt32(ua.StatusCodes.Bad))
WRONG: list[tuple[str, ua.DataValue, str]] = [
    ("TRIGGER_SEQ", raw(4, ua.VariantType.Int32), "BadTypeMismatch"),
    ("TRIGGER_SEQ", raw(4.5, ua.VariantType.Float), "BadTypeMismatch"),
    ("TRIGGER_SEQ", raw(float("nan"), ua.VariantType.Double), "BadTypeMismatch"),
    ("TRIGGER_SEQ", raw([4, 5], ua.VariantType.UInt16), "BadTypeMismatch"),
    ("TRIGGER_SEQ", raw(None, ua.VariantType.Null), "BadTypeMismatch"),
    ("TRIGGER_SEQ", raw("4", ua.VariantType.String), "BadTypeMismatch"),
    ("TRIGGER_SEQ", raw(4, ua.VariantType.UInt16, StatusCode=BAD), "BadWriteNotSupported"),
    ("CONTROL.TRIGGER", raw(1, ua.VariantType.UInt16), "BadTypeMismatch"),
    ("SERIAL", raw("x" * 33, ua.VariantType.String), "BadOutOfRange"),
    ("SERIAL", raw("x" * 60_000, ua.VariantType.String), "BadOutOfRange"),
    ("SERIAL", raw("ä", ua.VariantType.String), "BadOutOfRange"),
    ("SERIAL", raw("a\0b", ua.VariantType.String), "BadOutOfRange"),
]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("name", "value", "code"), WRONG)
async def test_a_wrong_value_is_refused_and_nothing_beside_it_is_taken(
    rig: Rig,
    name: str,
    value: ua.DataValue,
    code: str,
    first: bool,
) -> None:
    async with rig.plc() as plc:
        await plc.put([("Command.PART_ID", 7), ("Command.TRIGGER_SEQ", 3)])
        wrong = (f"Command.{name}", value)
        found = names(await plc.put_values([wrong, RIGHT] if first else [RIGHT, wrong]))
        assert sorted(found) == sorted([code, "BadTransactionFailed"])
        assert found[0 if first else 1] == code
        part, seq = await plc.get("Command.PART_ID", "Command.TRIGGER_SEQ")
        assert (part.Value and part.Value.Value, seq.Value and seq.Value.Value) == (7, 3)
        assert commands(rig) == [Command(part_id=7, trigger_seq=3)]
        await plc.put([("Command.PART_ID", 9)])
        assert commands(rig)[-1] == Command(part_id=9, trigger_seq=3)


async def test_a_part_of_a_value_cannot_be_written(rig: Rig) -> None:
    async with rig.plc() as plc:
        value = ua.WriteValue(
            node("Command.SERIAL"), ua.AttributeIds.Value, "1:2", variant(NODES["Command.SERIAL"], "x")
        )
        (found,) = await plc.client.uaclient.write(ua.WriteParameters([value]))
        assert found.name == "BadWriteNotSupported"
    assert not commands(rig)


@pytest.mark.parametrize("user", ["viewer", "engineer"])
async def test_nobody_writes_what_the_gateway_shows(rig: Rig, user: str) -> None:
    rig.face.publish(SHOWN)
    async with rig.plc(user) as plc:
        shown = [(path, await _current(plc, path)) for path, plain in NODES.items() if not plain.writable]
        assert set(names(await plc.put_values(shown))) == {"BadUserAccessDenied"}
        before = await plc.read()
    assert before == SHOWN
    assert not rig.station.told


async def _current(plc: OpcuaPlc, path: str) -> ua.DataValue:
    (value,) = await plc.get(path)
    return ua.DataValue(value.Value)


async def test_a_viewer_commands_nothing(rig: Rig) -> None:
    async with rig.plc("viewer") as plc:
        assert names(await plc.put([("Command.CONTROL", 1)])) == ["BadUserAccessDenied"]
    assert not rig.station.told


# ------------------------------------------------------------ one writer (C-15)


async def test_a_second_session_is_refused_while_the_first_holds_command(rig: Rig) -> None:
    async with rig.plc() as plc, rig.plc("plc2") as other:
        await plc.put([("Command.CONTROL", 1)])
        for _ in range(3):
            assert names(await other.put([("Command.TRIGGER_SEQ", 9)])) == ["BadInvalidState"]
        (writer,) = await other.get("Writer")
        assert writer.Value is not None
        assert writer.Value.Value == "plc"
        await plc.put([("Command.TRIGGER_SEQ", 2)])
        assert commands(rig)[-1] == Command(control=1, trigger_seq=2)
    assert [code for code, _ in rig.events] == [Code.CLIENT_LIMIT]
    assert "plc2" in rig.events[0][1]


async def test_a_session_that_ends_takes_its_command_with_it(rig: Rig) -> None:
    async with rig.plc() as plc:
        await plc.put([("Command.CONTROL", 1), ("Command.TRIGGER_SEQ", 5)])
    assert rig.station.told[-1] is LinkState.DOWN
    assert rig.station.reasons[-1]
    async with rig.plc("plc2") as other:
        control, writer = await other.get("Command.CONTROL", "Writer")
        assert (control.Value and control.Value.Value, writer.Value and writer.Value.Value) == (0, "")
        await other.put([("Command.PART_ID", 3)])
    assert rig.station.told[2:] == [LinkState.DOWN, LinkState.UP, Command(part_id=3), LinkState.DOWN]


async def test_a_client_that_only_reads_holds_nothing(rig: Rig) -> None:
    async with rig.plc("plc2") as other, rig.plc() as plc:
        await other.read()
        assert names(await plc.put([("Command.CONTROL", 1)])) == ["Good"]
        await other.leave()
        await other.come_back()
        assert rig.station.states == [LinkState.UP]


async def test_who_drives_from_elsewhere_is_not_commanded_from_here(rig: Rig) -> None:
    rig.face.driven(Seat.MACHINE_VISION)
    async with rig.plc() as plc:
        (driver,) = await plc.get("Driver")
        assert driver.Value is not None
        assert driver.Value.Value == "MACHINE_VISION"
        assert names(await plc.put([("Command.CONTROL", 1), ("Command.PLC_HEARTBEAT", 1)])) == ["Good", "Good"]
        assert names(await plc.put([("Command.TRIGGER_SEQ", 1)])) == ["BadInvalidState"]
        assert names(await plc.put([("Command.CONTROL.TRIGGER", True)])) == ["BadInvalidState"]
        rig.face.driven(Seat.LINK)
        assert names(await plc.put([("Command.TRIGGER_SEQ", 1)])) == ["Good"]
    assert [command.trigger_seq for command in commands(rig)] == [0, 1]


# ------------------------------------------------------------ honest values (E-16)


async def statuses(plc: OpcuaPlc, *paths: str) -> list[str]:
    return [value.StatusCode.name for value in await plc.get(*paths) if value.StatusCode is not None]


WATCHED = ("Status.STATUS", "Result.JUDGEMENT", "Result.SCORE", "ResultStructure", "Result.Values.width")


async def test_before_the_first_outputs_nothing_is_good(rig: Rig) -> None:
    async with served() as fresh, fresh.plc() as plc:
        shown = [path for path, plain in NODES.items() if not plain.writable and path != "Writer"]
        assert set(await statuses(plc, *shown)) == {"BadWaitingForInitialData"}


async def test_a_fault_takes_the_good_away_and_bears_its_own_time(rig: Rig) -> None:
    rig.face.publish(SHOWN)
    async with rig.plc() as plc:
        assert await statuses(plc, *WATCHED) == ["Good"] * 5
        before = await times(plc, *WATCHED)
        camera = replace(VALID, bits=StatusBit.ONLINE | StatusBit.FAULT, not_ready_reason=1001, fault_code=1001)
        rig.face.publish(Outputs(camera, SEEN))
        assert await statuses(plc, *WATCHED) == ["Good", *["BadSensorFailure"] * 4]
        after = await times(plc, *WATCHED)
        assert all(old < new for old, new in zip(before, after, strict=True))
        assert len(set(after)) == 1
        fault = Result(result_seq=6, judgement=Judgement.FAULT, reason=1001, recipe=1)
        rig.face.publish(Outputs(VALID, fault))
        assert await statuses(plc, *WATCHED) == ["Good", "Good", "BadSensorFailure", "Good", "BadSensorFailure"]


async def times(plc: OpcuaPlc, *paths: str) -> list[datetime]:
    return [value.SourceTimestamp for value in await plc.get(*paths) if value.SourceTimestamp is not None]


async def test_an_acknowledged_result_is_not_good_any_more(rig: Rig) -> None:
    rig.face.publish(SHOWN)
    async with rig.plc() as plc:
        rig.face.publish(Outputs(replace(VALID, bits=StatusBit.ONLINE | StatusBit.READY), SEEN))
        assert set(await statuses(plc, *WATCHED[1:])) == {"UncertainLastUsableValue"}
        assert (await plc.read()).result == SEEN


async def test_a_simulated_result_is_not_good(rig: Rig) -> None:
    rig.face.publish(Outputs(replace(VALID, bits=VALID.bits | StatusBit.SIMULATED), SEEN))
    async with rig.plc() as plc:
        assert set(await statuses(plc, *WATCHED[1:])) == {"UncertainSimulatedValue"}


async def test_a_station_out_of_sight_is_bad_at_once_and_cannot_be_commanded(rig: Rig) -> None:
    rig.face.publish(SHOWN)
    rig.face.driven(Seat.LINK)
    async with rig.plc() as plc:
        await plc.put([("Command.CONTROL", 1)])
        before = await times(plc, *WATCHED)
        rig.face.stale(True)
        shown = [path for path, plain in NODES.items() if not plain.writable]
        assert set(await statuses(plc, *shown)) == {"BadNoCommunication"}
        assert all(old < new for old, new in zip(before, await times(plc, *WATCHED), strict=True))
        assert names(await plc.put([("Command.TRIGGER_SEQ", 5)])) == ["BadNoCommunication"]
        rig.face.publish(SHOWN)
        assert set(await statuses(plc, *shown)) == {"BadNoCommunication"}
        rig.face.stale(False)
        assert set(await statuses(plc, *WATCHED)) == {"Good"}
        assert await plc.read() == SHOWN
    assert [command.trigger_seq for command in commands(rig)] == [0]


async def test_a_heartbeat_makes_all_of_the_status_new(rig: Rig) -> None:
    rig.face.publish(SHOWN)
    async with rig.plc() as plc:
        before = await times(plc, "Status.MISSED", "Result.JUDGEMENT")
        rig.face.publish(Outputs(replace(VALID, heartbeat=1), SEEN))
        after = await times(plc, "Status.MISSED", "Result.JUDGEMENT")
        assert after[0] > before[0]
        assert after[1] == before[1]
        rig.face.publish(Outputs(replace(VALID, heartbeat=1), SEEN))
        assert await times(plc, "Status.MISSED") == after[:1]


# ------------------------------------------------------------ one moment (E-17)


async def test_every_reading_is_of_one_moment(rig: Rig) -> None:
    async with rig.plc() as plc:
        done = asyncio.Event()

        async def publish() -> None:
            for seq in range(1, 400):
                rig.face.publish(Outputs(VALID, Result(seq, trigger_seq=seq, part_id=seq, score=seq, recipe=1)))
                await asyncio.sleep(0)
            done.set()

        writer = asyncio.create_task(publish())
        changing = ("Result.RESULT_SEQ", "Result.PART_ID", "ResultStructure", "Result.SCORE", "Result.RESULT_SEQ_COPY")
        same = ("Result.JUDGEMENT", "Result.RECIPE", "Result.VALUE_3")
        readings = 0
        while not done.is_set():
            found = await plc.get(*changing, *same)
            seq, part, whole, score, copy = (value.Value.Value for value in found[:5] if value.Value)
            assert seq == part == score == copy == whole.RESULT_SEQ == whole.PART_ID == whole.RESULT_SEQ_COPY
            assert len({value.SourceTimestamp for value in found}) == 1
            readings += 1
        await writer
    assert readings > 3


WATCHES = ("Status.STATUS.RESULT_VALID", "Result.PART_ID", "Result.RESULT_SEQ")


@asynccontextmanager
async def watching(plc: OpcuaPlc, period: float = 10) -> AsyncIterator[asyncio.Queue[list[tuple[str, Any]]]]:
    """What each publish response tells of WATCHES, in its order."""
    told: asyncio.Queue[list[tuple[str, Any]]] = asyncio.Queue()

    def published(result: ua.PublishResult) -> None:
        for part in result.NotificationMessage.NotificationData or ():
            told.put_nowait([(WATCHES[item.ClientHandle], item.Value.Value.Value) for item in part.MonitoredItems])

    client = plc.client.uaclient
    asked = ua.CreateSubscriptionParameters(period, 10000, 3000, 10000, True, 0)
    made = await client.create_subscription(asked, published)
    items = [
        ua.MonitoredItemCreateRequest(
            ua.ReadValueId(node(path), ua.AttributeIds.Value),
            ua.MonitoringMode.Reporting,
            ua.MonitoringParameters(ClientHandle=handle, QueueSize=1),
        )
        for handle, path in enumerate(WATCHES)
    ]
    await client.create_monitored_items(
        ua.CreateMonitoredItemsParameters(made.SubscriptionId, ua.TimestampsToReturn.Both, items)
    )
    yield told
    await client.delete_subscriptions([made.SubscriptionId])


def result_shown(number: int, *, valid: bool) -> Outputs:
    bits = VALID.bits if valid else StatusBit.ONLINE
    return Outputs(replace(VALID, bits=bits), replace(SEEN, result_seq=number, part_id=number))


async def test_a_subscriber_never_sees_done_with_the_result_before(rig: Rig) -> None:
    rig.face.publish(result_shown(1, valid=False))
    seen = dict.fromkeys(WATCHES, 0)
    async with rig.plc() as plc, watching(plc) as told, asyncio.timeout(30):
        for number in range(2, 60):
            rig.face.publish(result_shown(number - 1, valid=False))
            await asyncio.sleep(0)
            rig.face.publish(result_shown(number, valid=True))
            await asyncio.sleep(0.003)
            while not told.empty() or (number == 59 and seen["Result.RESULT_SEQ"] != number):
                seen |= dict(await told.get())
                assert seen["Result.PART_ID"] == seen["Result.RESULT_SEQ"]


async def test_done_is_told_after_the_result_and_taken_back_before_it(rig: Rig) -> None:
    rig.face.publish(result_shown(1, valid=False))
    async with rig.plc() as plc, watching(plc) as told, asyncio.timeout(30):
        await told.get()
        for number in range(2, 8):
            rig.face.publish(result_shown(number, valid=True))
            assert [path for path, _ in await told.get()] == ["Result.PART_ID", "Result.RESULT_SEQ", WATCHES[0]]
            rig.face.publish(result_shown(number, valid=False))
            assert next(path for path, _ in await told.get()) == WATCHES[0]


async def test_the_structure_can_be_read_by_a_client_that_asks_for_its_definition(rig: Rig) -> None:
    rig.face.publish(SHOWN)
    async with rig.plc() as plc:
        kind = plc.client.get_node("ns=2;i=3001")
        definition = await kind.read_data_type_definition()
        assert isinstance(definition, ua.StructureDefinition)
        assert [field.Name for field in definition.Fields][:3] == ["RESULT_SEQ", "TRIGGER_SEQ", "PART_ID"]
        assert not any(field.IsOptional for field in definition.Fields)
        (value,) = await plc.get("ResultStructure")
        assert value.Value is not None
        assert value.Value.Value.PART_ID == 9
        assert value.Value.Value.VALUE == [1.5] * VALUES


async def test_names_of_the_recipe_are_found_below_the_result(rig: Rig) -> None:
    rig.face.publish(Outputs(VALID, replace(SEEN, bits=1 | 1 << 9, values=(1.5, 2.5), time_s=1_700_000_000)))
    async with rig.plc() as plc:
        width, point, burr, text, when = await plc.get(
            "Result.Values.width",
            "Result.Values.x.pos",
            "Result.Checks.burr",
            "Result.JUDGEMENT_TEXT",
            "Result.TIME",
        )
        found = [value.Value.Value for value in (width, point, burr, text) if value.Value]
        assert found == [1.5, 2.5, True, "OK"]
        assert when.Value is not None
        assert when.Value.Value.timestamp() == 1_700_000_000
        assert await statuses(plc, "Result.Values.height", "Result.Checks.dent") == ["BadNoData"] * 2
