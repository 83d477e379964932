"""One subscription of a device's tags: made once on a connection, told moment by moment, never repaired.

Every publish response, a keep-alive too, proves that what was not told has not changed; a missing one is a gap that
nobody can fill, so the connection is given up then. A value that the server does not know spoils its own tag only.
Source: OPC 10000-4 §5.13.1 (keep-alive, sequence numbers), §5.12.1.6 (overflow).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from asyncua import ua

from protocols.link import PeerError
from protocols.opcua.connection import standard

CLOCK = standard(ua.ObjectIds.Server_ServerStatus_CurrentTime)
QUEUE = 10
"""Values of one tag that the server keeps between two tellings: a late answer must hide no edge."""
LIFE = 30.0
"""Seconds after which the server may drop a subscription that nobody asks for."""
SILENCE = 3
"""So many publishing intervals (or keep-alives) without a word, and it counts as dead."""
PATIENCE = 1.0
"""Seconds of silence that are always allowed."""


@dataclass(frozen=True, slots=True)
class News:
    """A value as the server told it; `age` seconds after it was taken at its source."""

    index: int
    data: ua.DataValue
    age: float
    first: bool
    """It is the first of this tag on this connection: how old it is means nothing, as it may have rested for days."""


OnMoment = Callable[[Sequence[News]], None]
"""What one publish response brought, in order; empty: nothing has changed."""


class TagSubscription:
    """Tags that are sampled and told together."""

    def __init__(self, nodes: Sequence[ua.NodeId], interval: float, on_moment: OnMoment) -> None:
        self.interval = interval
        """Seconds; after `create` as the server has revised it."""
        self.refused: dict[int, str] = {}
        """Items that the server does not watch, by index, and why."""
        self.ended = ""
        """Why it is no use any more."""
        self.heard = time.monotonic()
        self._nodes, self._on_moment = nodes, on_moment
        self._keep_alive = 1
        self._sequence: int | None = None
        self._known: set[int] = set()
        self._offsets: deque[float] = deque(maxlen=64)
        """Server's clock minus ours, as it seemed when the server's clock was told."""

    @property
    def patience(self) -> float:
        """Seconds of silence after which it counts as dead."""
        return max(PATIENCE, SILENCE * self.interval * self._keep_alive)

    @property
    def asked(self) -> float:
        """Seconds of silence so far."""
        return time.monotonic() - self.heard

    async def create(self, session: object, most: int | None = None) -> None:
        """Ask for it over asyncua's session; raises what asyncua raises."""
        wanted = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=self.interval * 1000,
            RequestedLifetimeCount=max(3, round(LIFE / self.interval)),
            RequestedMaxKeepAliveCount=1,
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
            Priority=0,
        )
        made = await session.create_subscription(wanted, self._take)  # type: ignore[attr-defined]
        asked, self.interval = self.interval, made.RevisedPublishingInterval / 1000 or self.interval
        self._keep_alive = max(1, made.RevisedMaxKeepAliveCount)
        items = [self._item(handle, node, asked) for handle, node in enumerate([*self._nodes, CLOCK])]
        answers: list[ua.MonitoredItemCreateResult] = []
        for at in range(0, len(items), step := most or len(items)):
            part = ua.CreateMonitoredItemsParameters(
                SubscriptionId=made.SubscriptionId,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                ItemsToCreate=items[at : at + step],
            )
            answers += await session.create_monitored_items(part)  # type: ignore[attr-defined]
        if len(answers) != len(items):
            raise PeerError(f"the server confirms {len(answers)} of {len(items)} items watched")
        self.refused = {n: row.StatusCode.name for n, row in enumerate(answers[:-1]) if not row.StatusCode.is_good()}
        self.heard = time.monotonic()

    def _item(self, handle: int, node: ua.NodeId, sampling: float) -> ua.MonitoredItemCreateRequest:
        clock = handle == len(self._nodes)
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=ua.MonitoringParameters(
                ClientHandle=handle,
                SamplingInterval=sampling * 1000,
                QueueSize=1 if clock else QUEUE,
                DiscardOldest=True,
            ),
        )

    def _take(self, result: ua.PublishResult) -> None:
        """What asyncua hands over, keep-alives included."""
        self.heard = time.monotonic()
        message = result.NotificationMessage
        told = message.NotificationData or ()
        if told and not self._in_sequence(int(message.SequenceNumber)):
            self.ended = f"notification {self._sequence} follows another one than the last: some are lost"
            return
        changes: list[ua.MonitoredItemNotification] = []
        for part in told:
            if isinstance(part, ua.DataChangeNotification):
                changes += part.MonitoredItems or ()
            elif isinstance(part, ua.StatusChangeNotification) and not part.Status.is_good():
                self.ended = f"the server has ended the subscription ({part.Status.name})"
        self._on_moment(self._news(changes))

    def _in_sequence(self, number: int) -> bool:
        before, self._sequence = self._sequence, number
        return before is None or number == (before % 0xFFFF_FFFF) + 1

    def _news(self, changes: Sequence[ua.MonitoredItemNotification]) -> list[News]:
        now = datetime.now(UTC).timestamp()
        news = []
        for change in changes:
            index, data = int(change.ClientHandle or 0), change.Value
            if index == len(self._nodes):
                self._clock(data, now)
            elif index < len(self._nodes) and data is not None:
                first = index not in self._known
                self._known.add(index)
                news.append(News(index, data, self._age(data, now), first))
        return news

    def _clock(self, data: ua.DataValue | None, now: float) -> None:
        value = data.Value.Value if data is not None and data.Value is not None else None
        if isinstance(value, datetime):
            self._offsets.append(_utc(value) - now)

    def _age(self, data: ua.DataValue, now: float) -> float:
        """Seconds from the source to us by the server's clock; 0 where either has none."""
        if data.SourceTimestamp is None or not self._offsets:
            return 0.0
        # The clock was told late by a sample or more, never early: the largest difference is the truest.
        return max(0.0, now + max(self._offsets) - _utc(data.SourceTimestamp))


def _utc(time_: datetime) -> float:
    return (time_ if time_.tzinfo is not None else time_.replace(tzinfo=UTC)).timestamp()
