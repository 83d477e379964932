"""What one subscription of tags makes of publish responses: every one is proof of life, a missing one is the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua

from protocols.opcua.device_settings import OpcUaDeviceConfig
from protocols.opcua.tag_source import OVERFLOW, OpcUaTagSource
from protocols.opcua.tag_subscription import News, TagSubscription
from protocols.tags import Quality

NOW = datetime.now(UTC)


class Rig:
    def __init__(self) -> None:
        self.moments: list[list[News]] = []
        nodes: Any = [ua.NodeId(ua.Int32(n), ua.Int16(2)) for n in (1, 2)]
        self.made = TagSubscription(nodes, 0.1, lambda news: self.moments.append(list(news)))

    def publish(self, number: int, *rows: tuple[int, Any, datetime | None]) -> None:
        message: Any = ua.NotificationMessage()
        message.SequenceNumber = number
        if rows:
            told: Any = ua.DataChangeNotification()
            told.MonitoredItems = [self.row(*row) for row in rows]
            message.NotificationData = [told]
        self.made._take(ua.PublishResult(NotificationMessage=message))

    def row(self, handle: int, value: Any, source: Any) -> Any:
        return ua.MonitoredItemNotification(handle, ua.DataValue(ua.Variant(value), SourceTimestamp=source))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_keep_alive_brings_nothing_and_is_a_moment(rig: Rig) -> None:
    rig.publish(1, (0, 5, None))
    rig.publish(2)
    rig.publish(2, (0, 6, None))
    assert [[news.data.Value.Value for news in moment if news.data.Value] for moment in rig.moments] == [[5], [], [6]]
    assert rig.made.ended == ""


def test_a_lost_notification_ends_it_and_tells_nothing_more(rig: Rig) -> None:
    rig.publish(1, (0, 5, None))
    rig.publish(3, (0, 7, None))
    assert "some are lost" in rig.made.ended
    assert len(rig.moments) == 1


def test_the_number_begins_again_after_its_largest(rig: Rig) -> None:
    rig.publish(0xFFFF_FFFF, (0, 5, None))
    rig.publish(1, (0, 6, None))
    assert rig.made.ended == ""


def test_the_server_ends_it(rig: Rig) -> None:
    message: Any = ua.NotificationMessage()
    message.SequenceNumber = 1
    status: Any = ua.StatusCode(ua.UInt32(ua.StatusCodes.BadTimeout))
    message.NotificationData = [ua.StatusChangeNotification(Status=status)]
    rig.made._take(ua.PublishResult(NotificationMessage=message))
    assert "BadTimeout" in rig.made.ended


def test_the_first_value_of_a_tag_is_marked_and_the_age_is_by_the_server_s_clock(rig: Rig) -> None:
    ahead = timedelta(hours=2)  # the server's clock is wrong: only its differences count
    clock = (2, datetime.now(UTC) + ahead, None)
    rig.publish(1, clock, (0, 5, NOW + ahead - timedelta(days=3)))
    rig.publish(2, (0, 6, datetime.now(UTC) + ahead - timedelta(seconds=30)), (1, 1, None))
    first, second, third = (news for moment in rig.moments for news in moment)
    assert (first.first, second.first, third.first) == (True, False, True)
    assert 29 < second.age < 32
    assert third.age == 0


class Nobody:
    def values(self, readings: Any) -> None: ...

    def link(self, up: bool, reason: str) -> None: ...

    def written(self, name: str, value: Any, error: str) -> None: ...


@pytest.mark.parametrize(
    ("status", "quality", "reason"),
    [
        (0, Quality.GOOD, ""),
        (OVERFLOW, Quality.UNCERTAIN, "overflow"),
        (ua.StatusCodes.UncertainLastUsableValue, Quality.UNCERTAIN, "UncertainLastUsableValue"),
        (ua.StatusCodes.BadNotConnected, Quality.BAD, "BadNotConnected"),
    ],
)
def test_a_status_that_is_not_good_makes_no_good_value(status: int, quality: Quality, reason: str) -> None:
    device = OpcUaDeviceConfig.model_validate({
        "name": "cnc",
        "link": {"kind": "opcua", "url": "opc.tcp://127.0.0.1:4840", "security": "none"},
        "tags": [{"name": "tool", "node": "ns=2;i=1", "type": "uint32"}],
    })  # fmt: skip
    source = OpcUaTagSource(device, Nobody(), {})
    data = ua.DataValue(ua.Variant(5, ua.VariantType.UInt32), ua.StatusCode(ua.UInt32(status)))
    reading = source._reading("tool", News(0, data, 0.0, False), 100.0, 0.0)
    assert reading.quality is quality
    assert reason in reading.reason
    assert (reading.value is None) is (quality is Quality.BAD)
