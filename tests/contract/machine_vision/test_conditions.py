"""The three conditions of OPC 40100-1 over the wire: acknowledge, confirm, comment, refresh."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua

from protocols.faults import Code
from protocols.opcua.compat.names import numeric
from tests.contract.machine_vision_rig import (
    MACHINE,
    NO_CAUSE,
    Bench,
    Events,
    Vision,
    automatic,
    of,
    refused,
    until,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

TYPES = {
    "Warning": "VisionWarningConditionType",
    "Error": "VisionErrorConditionType",
    "PersistentError": "VisionPersistentErrorConditionType",
}
CODES = {"Warning": Code.DISK_LOW, "Error": Code.CAMERA_LINK, "PersistentError": Code.CRASH_LOOP}
SEVERITIES = {"Warning": range(401, 601), "Error": range(601, 801), "PersistentError": range(801, 1001)}
CONDITION_TYPE = numeric(ua.ObjectIds.ConditionType)


def comment(event_id: bytes, text: str = "") -> tuple[ua.Variant, ua.Variant]:
    said = ua.Variant(ua.LocalizedText(text or None, "en"), ua.VariantType.LocalizedText)
    return ua.Variant(event_id, ua.VariantType.ByteString), said


async def raised(bench: Bench, vision: Vision, events: Events, name: str) -> Any:
    """Let a condition begin; returns its event."""
    bench.station.fault(CODES[name], True)
    await events.until(lambda: bool(held(vision, events, name)))
    return held(vision, events, name)[0]


def held(vision: Vision, events: Events, name: str) -> list[Any]:
    return [e for e in of(vision, events, TYPES[name]) if e.ErrorCode == int(CODES[name])]


def over(bench: Bench, name: str) -> None:
    bench.station.fault(CODES[name], False)
    bench.station.role.conditions.clear()
    bench.joint.show()


async def settled(vision: Vision, name: str) -> None:
    """Leave it acknowledged and confirmed, as the next test wants to find it."""
    event_id = await vision.value(f"{name}/EventId")
    for what in ("Acknowledge", "Confirm"):
        try:
            await vision.call(f"{name}/{what}", *comment(event_id))
        except ua.UaStatusCodeError:
            continue


@pytest.mark.parametrize("name", TYPES)
async def test_a_condition_from_beginning_to_end(bench: Bench, vision: Vision, events: Events, name: str) -> None:
    first = await raised(bench, vision, events, name)
    assert (first.Retain, getattr(first, "AckedState/Id"), first.ConditionName) == (True, False, name)
    assert (first.StopReaction, first.BlockReaction) == (name != "Warning", name == "PersistentError")
    assert str(int(CODES[name])) in first.ErrorString
    assert first.Severity in SEVERITIES[name]
    assert first.NodeId == vision.node(name).nodeid
    assert first.SourceNode == vision.node().nodeid
    over(bench, name)
    await events.until(lambda: held(vision, events, name)[-1].Message.Text.startswith("over:"))
    assert await vision.value(f"{name}/Retain") is True  # nobody has seen it yet

    await vision.call(f"{name}/Acknowledge", *comment(first.EventId, "seen"))
    await events.until(lambda: getattr(held(vision, events, name)[-1], "AckedState/Id") is True)
    last = held(vision, events, name)[-1]
    assert (getattr(last, "ConfirmedState/Id"), last.Comment.Text, last.ClientUserId) == (False, "seen", "operator")
    await refused(vision, f"{name}/Acknowledge", "BadConditionBranchAlreadyAcked", *comment(last.EventId))

    await vision.call(f"{name}/AddComment", *comment(last.EventId, "cable changed"))
    await vision.call(f"{name}/Confirm", *comment(last.EventId))
    await events.until(lambda: held(vision, events, name)[-1].Retain is False)
    last = held(vision, events, name)[-1]
    assert (getattr(last, "ConfirmedState/Id"), last.Comment.Text) == (True, "cable changed")
    await refused(vision, f"{name}/Confirm", "BadConditionBranchAlreadyConfirmed", *comment(last.EventId))
    assert await vision.value(f"{name}/Retain") is False


async def test_an_event_id_of_nobody_is_refused(bench: Bench, vision: Vision, events: Events) -> None:
    first = await raised(bench, vision, events, "Error")
    await refused(vision, "Error/Acknowledge", "BadEventIdUnknown", *comment(b"nobody"))
    await refused(vision, "Warning/Acknowledge", "BadEventIdUnknown", *comment(first.EventId))
    over(bench, "Error")
    bench.station.fault(Code.FRAME_TIMEOUT, True)  # another occurrence: the old EventId means nothing any more
    await events.until(lambda: any(e.ErrorCode == 1002 for e in of(vision, events, TYPES["Error"])))
    await refused(vision, "Error/Acknowledge", "BadEventIdUnknown", *comment(first.EventId))
    bench.station.fault(Code.FRAME_TIMEOUT, False)
    over(bench, "Error")
    await settled(vision, "Error")


async def test_acknowledge_by_the_method_of_the_type(bench: Bench, vision: Vision, events: Events) -> None:
    first = await raised(bench, vision, events, "Error")
    method = numeric(ua.ObjectIds.AcknowledgeableConditionType_Acknowledge)
    request = ua.CallMethodRequest(first.NodeId, method, list(comment(first.EventId)))
    (result,) = await vision.client.uaclient.call([request])
    assert result.StatusCode.is_good()
    over(bench, "Error")
    await settled(vision, "Error")


async def test_confirm_all(bench: Bench, vision: Vision, events: Events) -> None:
    for name in ("Warning", "Error"):
        first = await raised(bench, vision, events, name)
        await vision.call(f"{name}/Acknowledge", *comment(first.EventId))
    said = ua.Variant(ua.LocalizedText("all well"), ua.VariantType.LocalizedText)
    await vision.call(f"{MACHINE}/ConfirmAll", said)
    for name in ("Warning", "Error"):
        assert await vision.value(f"{name}/ConfirmedState/Id") is True
        assert (await vision.value(f"{name}/Comment")).Text == "all well"
        over(bench, name)


async def test_reset_waits_for_people_where_a_hand_is_needed(bench: Bench, vision: Vision, events: Events) -> None:
    first = await raised(bench, vision, events, "PersistentError")
    await until(vision, "Error")
    assert await vision.call(f"{MACHINE}/Reset", *NO_CAUSE) == -9
    await vision.call("PersistentError/Acknowledge", *comment(first.EventId))
    assert await vision.call(f"{MACHINE}/Reset", *NO_CAUSE) == -9
    await vision.call("PersistentError/Confirm", *comment(first.EventId))
    over(bench, "PersistentError")
    await until(vision, "Preoperational")


@pytest.mark.parametrize("second", [False, True])
async def test_a_refresh_tells_what_still_holds(bench: Bench, vision: Vision, events: Events, second: bool) -> None:
    await automatic(vision)
    first = await raised(bench, vision, events, "Warning")
    seen = Events()
    late = await vision.client.create_subscription(20, seen)
    kinds = [vision.client.get_node(vision.model.id(name)) for name in TYPES.values()]
    item = await late.subscribe_events(vision.node(), kinds, where_clause_generation=False)
    arguments = [ua.Variant(late.subscription_id, ua.VariantType.UInt32)]
    method = ua.ObjectIds.ConditionType_ConditionRefresh
    if second:
        arguments.append(ua.Variant(item, ua.VariantType.UInt32))
        method = ua.ObjectIds.ConditionType_ConditionRefresh2
    request = ua.CallMethodRequest(CONDITION_TYPE, numeric(method), arguments)
    (result,) = await vision.client.uaclient.call([request])
    assert result.StatusCode.is_good()
    await seen.until(lambda: len(seen.seen) >= 3)
    start, *between, end = seen.seen
    assert start.EventType == numeric(ua.ObjectIds.RefreshStartEventType)
    assert end.EventType == numeric(ua.ObjectIds.RefreshEndEventType)
    assert [e.EventId for e in between] == [first.EventId]
    await late.delete()
    over(bench, "Warning")
    await settled(vision, "Warning")
