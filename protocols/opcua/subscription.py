"""News of a foreign OPC UA server's values: one subscription, made from the configuration, never repaired.

Each has the server's clock (ServerStatus.CurrentTime) among its items, so that a server which lives has always
something to say. When nothing is heard for too long the connection is given up, and the next one subscribes anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asyncua import Client, ua
from asyncua.client.ua_client import UaClientState
from asyncua.observer import Observer
from typing_extensions import override

from protocols.link import PeerError
from protocols.opcua.failures import ConnectionFailedError

CLOCK = ua.NodeId(ua.Int32(ua.ObjectIds.Server_ServerStatus_CurrentTime))
_LIFE = 60.0
"""Seconds after which a server may drop a subscription that nobody asks for."""

OnNews = Callable[[int, ua.DataValue], None]
"""Number of the item and what is new of it; called at once, so it must be quick."""


@dataclass(frozen=True, slots=True)
class Item:
    """A value to be told of, sampled each `sampling` seconds (0: as fast as the server can); `queue` kept meanwhile."""

    node: ua.NodeId
    sampling: float = 0.0
    queue: int = 1


class Watcher(Observer):
    """Told by asyncua when the socket is lost, so that nobody waits for what cannot come."""

    def __init__(self) -> None:
        self.lost = False
        self.waiting: list[asyncio.Event] = []
        """Set when the socket is lost."""

    @override
    def on_state_change(self, state: UaClientState) -> None:
        if state is UaClientState.DISCONNECTED:
            self.lost = True
            for event in self.waiting:
                event.set()


class Subscription:
    """What comes of one subscription; lives and ends with its connection."""

    def __init__(self, name: str, client: Client, watcher: Watcher, queue: int, on_news: OnNews | None) -> None:
        self.name = name
        self.interval = 0.0
        """Seconds between two tellings, as the server has revised them."""
        self.samplings: tuple[float, ...] = ()
        """Seconds between two samples of each item, as the server has revised them."""
        self.patience = 0.0
        """Seconds of silence after which it is given up."""
        self.heard = time.monotonic()
        """When anything was told last, by the monotonic clock."""
        self.dropped = 0
        """News that nobody took in time; the oldest go first."""
        self._client, self._watcher, self._on_news = client, watcher, on_news
        self._queue: asyncio.Queue[tuple[int, ua.DataValue]] = asyncio.Queue(queue)
        self._fresh = asyncio.Event()
        watcher.waiting.append(self._fresh)
        self._ended = ""
        self._count = 0

    async def create(self, items: Sequence[Item], period: float, age: float, most: int | None = None) -> None:
        """Ask the server for it; raises PeerError for an item that it does not watch."""
        session = self._client.uaclient.session
        # A server that has nothing to tell must say so in time: that tells a quiet line from a dead one.
        wanted = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=period * 1000,
            RequestedLifetimeCount=max(3, round(_LIFE / period)),
            RequestedMaxKeepAliveCount=max(1, int(age / 3 / period)),
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
            Priority=0,
        )
        made = await session.create_subscription(wanted, self._take)
        self.interval = made.RevisedPublishingInterval / 1000
        self.patience = max(age, 2.5 * self.interval * max(1, made.RevisedMaxKeepAliveCount))
        self._count = len(items)
        asked = [_request(item, handle) for handle, item in enumerate([*items, Item(CLOCK)])]
        step = most or len(asked)
        answers: list[ua.MonitoredItemCreateResult] = []
        for at in range(0, len(asked), step):
            part = ua.CreateMonitoredItemsParameters(
                SubscriptionId=made.SubscriptionId,
                TimestampsToReturn=ua.TimestampsToReturn.Source,
                ItemsToCreate=asked[at : at + step],
            )
            answers += await session.create_monitored_items(part)
        self._check(items, answers)
        self.samplings = tuple(answer.RevisedSamplingInterval / 1000 for answer in answers[: self._count])
        self.heard = time.monotonic()

    def _check(self, items: Sequence[Item], answers: Sequence[ua.MonitoredItemCreateResult]) -> None:
        if len(answers) != len(items) + 1:
            raise PeerError(f"{self.name} confirms {len(answers)} of {len(items) + 1} items watched")
        for item, answer in zip(items, answers, strict=False):  # without the clock it is silent, and given up for that
            if not answer.StatusCode.is_good():
                raise PeerError(f"{self.name} does not watch {item.node.to_string()} ({answer.StatusCode.name})")

    async def news(self) -> tuple[int, ua.DataValue]:
        """The next number of an item and its value; raises ConnectionFailedError when the server falls silent."""
        while self._queue.empty():
            await self._wait()
        return self._queue.get_nowait()

    async def watch(self) -> None:
        """Return never; raises ConnectionFailedError when the server falls silent. For `on_news`."""
        while True:
            await self._wait()

    async def _wait(self) -> None:
        """Until there is news, or for a while; raises when there can be none, or when it stays out."""
        if self._ended:
            raise ConnectionFailedError(self._ended)
        if self._watcher.lost:
            raise ConnectionFailedError(f"{self.name}: the connection was lost")
        if (left := self.heard + self.patience - time.monotonic()) <= 0:
            raise ConnectionFailedError(f"{self.name} has told nothing for {self.patience:g} s; it may be frozen")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._fresh.wait()
        self._fresh.clear()

    def _take(self, result: ua.PublishResult) -> None:
        """What asyncua hands over, keep-alives included."""
        self.heard = time.monotonic()
        for told in result.NotificationMessage.NotificationData or ():
            if isinstance(told, ua.DataChangeNotification):
                for item in told.MonitoredItems:
                    self._tell(int(item.ClientHandle), item.Value)
            elif isinstance(told, ua.StatusChangeNotification) and not told.Status.is_good():
                self._ended = f"{self.name} has ended the subscription ({told.Status.name})"
        self._fresh.set()

    def _tell(self, number: int, value: ua.DataValue) -> None:
        if number >= self._count:
            return  # the clock has done its work by coming
        if self._on_news is not None:
            self._on_news(number, value)
            return
        if self._queue.full():
            self._queue.get_nowait()
            self.dropped += 1
        self._queue.put_nowait((number, value))


def _request(item: Item, handle: int) -> ua.MonitoredItemCreateRequest:
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=item.node, AttributeId=ua.AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=handle, SamplingInterval=item.sampling * 1000, QueueSize=item.queue, DiscardOldest=True
        ),
    )
