"""S7 and more: subscriptions of others cannot be touched, queues are bounded and say when they overflowed.

asyncua 2.1 lets every session change, delete or take over every subscription by its number, takes any queue size in
ModifyMonitoredItems, answers a Republish of nothing with Good, and drops from full queues without a word.
Source: OPC UA Part 4 §5.13 (MonitoredItem), §5.14 (Subscription), §7.39.1 (overflow bit).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.subscription_service import SubscriptionService

from protocols.opcua.compat.rules import Ruled

OVERFLOW = 0x0000_0480
"""InfoType DataValue and the overflow bit of a StatusCode."""


class Subscription(InternalSubscription):
    """A subscription that says when its queue ran over, and keeps what was not acknowledged."""

    owner: Any = None
    """The user who made it; nobody else can take it over."""
    orphaned: float | None = None
    """Since when its session is gone, on the monotonic clock."""

    async def _enqueue_event(self, mid: int, eventdata: Any, size: int, queue: dict[int, list[Any]]) -> None:
        """The oldest goes when the queue is full, and what is the oldest then says so."""
        waiting = queue.get(mid)
        if not waiting or not size or len(waiting) < size:
            await super()._enqueue_event(mid, eventdata, size, queue)
            return
        del waiting[0]
        waiting.append(eventdata)
        if size > 1:
            waiting[0] = _overflowed(waiting[0])

    def republish(self, nb: int) -> ua.NotificationMessage:
        """Until it is acknowledged, as often as it is asked for."""
        result = self._not_acknowledged_results.get(nb)
        if result is None:
            raise ServiceError(ua.StatusCodes.BadMessageNotAvailable)
        message: ua.NotificationMessage = result.NotificationMessage
        return message


def _overflowed(waiting: Any) -> Any:
    if not isinstance(waiting, ua.MonitoredItemNotification):
        return waiting
    value = waiting.Value
    status = ua.StatusCode(ua.UInt32((value.StatusCode.value if value.StatusCode else 0) | OVERFLOW))
    return ua.MonitoredItemNotification(waiting.ClientHandle, dataclasses.replace(value, StatusCode=status))


class Subscriptions(Ruled, SubscriptionService):
    """Republish tells the truth."""

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        found = self.subscriptions.get(params.SubscriptionId)
        if found is None:
            raise ServiceError(ua.StatusCodes.BadSubscriptionIdInvalid)
        return found.republish(params.RetransmitSequenceNumber)
