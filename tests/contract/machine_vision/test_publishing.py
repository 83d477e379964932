"""What is published at once: when it leaves, in which order, and what that costs of a subscription's life."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua
from asyncua.common.events import Event
from asyncua.server.internal_subscription import InternalSubscription

from protocols.opcua import compat, machine_vision
from protocols.opcua.compat.names import numeric
from protocols.signals import Command, Judgement
from tests.contract.machine_vision_rig import (
    AUTOMATIC,
    MACHINE,
    Bench,
    Events,
    Vision,
    accepted,
    automatic,
    kind,
    met,
    no_arguments,
    one_job,
    subscribed,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

Left = list[list[str]]


@pytest.fixture
def left(bench: Bench, vision: Vision, events: Events, monkeypatch: pytest.MonkeyPatch) -> Left:
    """The names of the events in each message that leaves from now on, for the one subscription that there is."""
    found: Left = []
    pop = InternalSubscription._pop_publish_result

    def popped(self: InternalSubscription) -> ua.PublishResult:
        result = pop(self)
        for each in result.NotificationMessage.NotificationData:
            if isinstance(each, ua.EventNotificationList):
                found.append([_name(vision, event) for event in each.Events])
        return result

    monkeypatch.setattr(InternalSubscription, "_pop_publish_result", popped)
    return found


def _name(vision: Vision, event: ua.EventFieldList) -> str:
    kinds = [field.Value for field in event.EventFields if isinstance(field.Value, ua.NodeId)]
    names = [kind(vision, _Typed(each)) for each in kinds]
    return next((name for name in names if name.endswith("EventType")), "")


class _Typed:
    def __init__(self, kind: ua.NodeId) -> None:
        self.EventType = kind


def _said(text: str) -> Any:
    event = Event(emitting_node=numeric(ua.ObjectIds.Server))
    event.add_property("EventType", numeric(ua.ObjectIds.BaseEventType), ua.VariantType.NodeId)
    event.add_property("Message", ua.LocalizedText(text), ua.VariantType.LocalizedText)
    return event


def one_subscription(bench: Bench) -> InternalSubscription:
    (subscription,) = bench.server.iserver.subscription_service.subscriptions.values()
    return subscription


async def _asked(bench: Bench) -> None:
    """All that was told has left, and the client has asked for more."""
    subscription = one_subscription(bench)
    asked: Any = subscription.pub_request_callback
    await met(lambda: bool(asked.__self__._publish_requests) and not subscription._triggered_events)


async def test_a_result_has_left_before_anything_else_is_shown(
    bench: Bench, vision: Vision, left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    await automatic(vision)
    await vision.call(f"{AUTOMATIC}/StartSingleJob", *no_arguments(vision))
    await accepted(bench)
    bench.station.expose()
    bench.joint.show()
    await _asked(bench)
    bench.station.finish(Judgement.OK, bench.joint.now)
    told, bench.station.told = bench.station.told, []
    left.clear()
    seen: list[bool] = []
    show = bench.face._show

    def shown() -> None:
        seen.append(any("ResultReadyEventType" in message for message in left))
        show()

    monkeypatch.setattr(bench.face, "_show", shown)
    for outcome in told:
        bench.face.outcome(outcome)  # type: ignore[arg-type]  # nothing else is told here
    assert left[0][0] == "ResultReadyEventType"
    assert seen == [True]


async def test_the_station_hears_of_a_job_before_its_events_are_made(
    bench: Bench, vision: Vision, left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    await automatic(vision)
    order: list[str] = []
    command, emit = bench.joint.command, compat.emit

    def commanded(block: Command) -> None:
        order.append("command")
        command(block)

    def emitted(*arguments: Any, **more: Any) -> bytes:
        order.append("event")
        return emit(*arguments, **more)

    monkeypatch.setattr(bench.joint, "command", commanded)
    monkeypatch.setattr(compat, "emit", emitted)
    before = bench.joint.station.role.outputs(bench.joint.now).status.trigger_seq_ack
    await vision.call(f"{AUTOMATIC}/StartSingleJob", *no_arguments(vision))
    await accepted(bench)
    assert bench.joint.station.role.outputs(bench.joint.now).status.trigger_seq_ack != before
    assert order[0] == "command"
    assert "event" in order
    bench.station.finish(Judgement.OK, bench.joint.now)
    bench.joint.show()


BEGINS = ["StateChangedEventType", "JobStartedEventType"]


async def test_that_a_job_begins_goes_with_what_comes_next(
    bench: Bench, vision: Vision, left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_vision, "LINGER", 3600.0)
    await automatic(vision)
    await _asked(bench)
    left.clear()
    subscription = one_subscription(bench)
    subscription._task.cancel()  # type: ignore[union-attr]  # nothing leaves because an interval ends
    await vision.call(f"{AUTOMATIC}/StartSingleJob", *no_arguments(vision))
    await accepted(bench)
    assert left == []
    bench.station.expose()
    bench.joint.show()
    assert left == [[*BEGINS, "AcquisitionDoneEventType"]]
    bench.station.finish(Judgement.OK, bench.joint.now)
    bench.joint.show()


async def test_that_a_job_begins_is_told_though_nothing_comes(bench: Bench, vision: Vision, left: Left) -> None:
    await automatic(vision)
    await _asked(bench)
    left.clear()
    one_subscription(bench)._task.cancel()  # type: ignore[union-attr]  # as above
    await vision.call(f"{AUTOMATIC}/StartSingleJob", *no_arguments(vision))
    await met(lambda: left == [BEGINS])
    await accepted(bench)
    bench.station.finish(Judgement.OK, bench.joint.now)
    bench.joint.show()


async def test_the_events_of_a_job_keep_their_order(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    began = len(events.seen)
    await one_job(bench, vision, events)
    names = [kind(vision, event) for event in events.seen[began:]]
    started = names.index("JobStartedEventType")
    assert names[started - 1 : started + 5] == [
        "StateChangedEventType",
        "JobStartedEventType",
        "AcquisitionDoneEventType",
        "ResultReadyEventType",
        "StateChangedEventType",
        "ReadyEventType",
    ]


async def test_what_one_turn_of_the_loop_tells_is_one_message(bench: Bench, vision: Vision, left: Left) -> None:
    subscription = one_subscription(bench)
    await _asked(bench)
    left.clear()
    number = subscription._notification_seq
    for text in ("one", "two", "three"):
        compat.emit(bench.server, [vision.node().nodeid], _said(text))
    assert not left
    compat.publish_now(bench.server)
    assert [len(message) for message in left] == [3]
    assert subscription._notification_seq == number + 1


async def test_events_that_no_client_fetches_use_up_no_life(bench: Bench, vision: Vision, events: Events) -> None:
    subscription = one_subscription(bench)
    subscription.pub_request_callback = lambda _: None  # the client has no Publish request waiting
    subscription._publish_cycles_count, subscription.data.RevisedLifetimeCount = 0, 50
    for number in range(2 * subscription.data.RevisedLifetimeCount):
        compat.emit(bench.server, [vision.node(MACHINE).nodeid, vision.node().nodeid], _said(str(number)))
        compat.publish_now(bench.server)
    assert subscription.data.SubscriptionId in bench.server.iserver.subscription_service.subscriptions
    assert subscription._publish_cycles_count < subscription.data.RevisedLifetimeCount


async def test_one_who_cannot_be_sent_to_keeps_an_event_from_nobody(
    bench: Bench, vision: Vision, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = one_subscription(bench)

    async def fails(*_: Any) -> None:
        raise ValueError("no such encoding")

    await _asked(bench)
    monkeypatch.setattr(first, "pub_result_callback", fails)
    other = Events()
    async with bench.client("viewer") as viewer, subscribed(viewer, other, viewer.node()):
        compat.emit(bench.server, [vision.node().nodeid], _said("all the same"))
        compat.publish_now(bench.server)
        await other.until(lambda: any(event.Message.Text == "all the same" for event in other.seen))
    assert not any(event.Message.Text == "all the same" for event in events.seen)
