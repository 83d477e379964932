"""Sessions: whose request it is, what each may take, and who waits for a session's end.

asyncua 2.1 lets every session change, delete or take over every subscription by its number, and takes as many
subscriptions and items from one session as from all.
Source: OPC UA Part 4 §5.13 (MonitoredItem service set), §5.14 (Subscription service set).
"""

from __future__ import annotations

import logging
import math
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession, SessionState
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.monitored_item_service import MonitoredItemData

from protocols.opcua.compat.callers import serving, session_name
from protocols.opcua.compat.names import named, opaque, status
from protocols.opcua.compat.rules import rules_in, rules_of
from protocols.opcua.compat.subscriptions import Subscription
from protocols.opcua.compat.views import Views

if TYPE_CHECKING:
    from protocols.opcua.compat.processor import Processor

_log = logging.getLogger(__name__)
LONGEST_INTERVAL_MS = 60_000.0
LIFE_MS = 600_000.0
"""Milliseconds that a subscription lives at most without a Publish request."""


def on_session_closed(server: Server, callback: Callable[[str], None]) -> None:
    """Call back with `Caller.session` when a client's session has ended, for whatever reason."""
    rules_of(server).session_closed.append(callback)


class Session(InternalSession):
    """A session that tells who asks, keeps to its share, and whose end is told."""

    def __init__(self, internal_server: InternalServer, *args: Any, **kwargs: Any) -> None:
        super().__init__(internal_server, *args, **kwargs)
        self.rules = rules_in(internal_server)
        self.processor: Processor | None = None
        self.peer_certificate: bytes | None = None
        self.policy: tuple[str, ua.MessageSecurityMode] | None = None
        self.address = ""
        if self.external:
            internal_server.unregister_external_session(self)
            self.session_id, self.auth_token = named(str(uuid.uuid4()), 1), opaque()
            internal_server.register_external_session(self)

    # ── what concerns nodes ──────────────────────────────────────────────────────────────────────────────────────────

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        self._some(params)
        with serving(self):
            return await super().call(params)

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        self._some(params.NodesToWrite)
        with serving(self):
            return await super().write(params)

    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        self._some(params.NodesToRead)
        with serving(self):
            return await super().read(params)

    async def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        self._some(params.NodesToBrowse)
        views = self.iserver.view_service
        if self._guarded and isinstance(views, Views):
            return views.browse(params, self.rules.limits.references)
        return await super().browse(params)

    async def translate_browsepaths_to_nodeids(self, params: list[ua.BrowsePath]) -> list[ua.BrowsePathResult]:
        self._some(params)
        for path in params if self._guarded else ():
            if not path.RelativePath.Elements:
                raise ServiceError(ua.StatusCodes.BadNothingToDo)
        views = self.iserver.view_service
        if self._guarded and isinstance(views, Views):
            return views.translate_browsepaths_to_nodeids(params, self.rules.limits.looks)
        return await super().translate_browsepaths_to_nodeids(params)

    # ── what concerns subscriptions ──────────────────────────────────────────────────────────────────────────────────

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        if self._guarded:
            limits = self.rules.limits
            if len(self.own_subscriptions()) >= limits.subscriptions_per_session:
                self.rules.limited(
                    self.address, f"has all {limits.subscriptions_per_session} subscriptions of one session"
                )
                raise ServiceError(ua.StatusCodes.BadTooManySubscriptions)
            if len(self.subscription_service.subscriptions) >= limits.subscriptions:
                self.rules.limited(self.address, f"finds all {limits.subscriptions} subscriptions taken")
                raise ServiceError(ua.StatusCodes.BadTooManySubscriptions)
            _revise(params, limits.interval_ms)
        result = await super().create_subscription(params, callback, request_callback)
        made = self.subscription_service.subscriptions[result.SubscriptionId]
        if isinstance(made, Subscription):
            made.owner = self.user
        return result

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        self._some(params.ItemsToCreate)
        self._own(params.SubscriptionId)
        fits = self._fitting(params.ItemsToCreate) if self._guarded else [True] * len(params.ItemsToCreate)
        params.ItemsToCreate = [item for item, fit in zip(params.ItemsToCreate, fits, strict=True) if fit]
        if not all(fits):
            self.rules.limited(self.address, "has all the monitored items that one session may have")
        with serving(self):
            made = iter(await super().create_monitored_items(params))
        return [next(made) if fit else _too_many() for fit in fits]

    async def modify_monitored_items(
        self, params: ua.ModifyMonitoredItemsParameters
    ) -> list[ua.MonitoredItemModifyResult]:
        self._own(params.SubscriptionId)
        return await super().modify_monitored_items(params)

    async def delete_monitored_items(self, params: ua.DeleteMonitoredItemsParameters) -> list[ua.StatusCode]:
        self._own(params.SubscriptionId)
        return await super().delete_monitored_items(params)

    async def set_monitoring_mode(self, params: ua.SetMonitoringModeParameters) -> list[ua.StatusCode]:
        self._own(params.SubscriptionId)
        with serving(self):
            return await super().set_monitoring_mode(params)

    async def set_publishing_mode(self, params: ua.SetPublishingModeParameters) -> list[ua.StatusCode]:
        own, results = self._split(params.SubscriptionIds)
        params.SubscriptionIds = own
        return _merged(results, await super().set_publishing_mode(params))

    async def delete_subscriptions(self, ids: list[int]) -> list[ua.StatusCode]:
        own, results = self._split(ids)
        return _merged(results, await super().delete_subscriptions(own))

    def modify_subscription(self, params: ua.ModifySubscriptionParameters) -> ua.ModifySubscriptionResult:
        self._own(params.SubscriptionId)
        return super().modify_subscription(params)

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        self._own(params.SubscriptionId)
        return super().republish(params)

    def publish(self, acks: Iterable[ua.SubscriptionAcknowledgement] | None = None) -> tuple[int, list[ua.StatusCode]]:
        if not self._guarded:
            return super().publish(acks)
        own = {subscription.data.SubscriptionId: subscription for subscription in self.own_subscriptions()}
        if not own:
            raise ServiceError(ua.StatusCodes.BadNoSubscription)
        results = []
        for ack in acks or ():
            found = own.get(ack.SubscriptionId)
            if found is None:
                results.append(status("BadSubscriptionIdInvalid"))
            elif ack.SequenceNumber not in found._not_acknowledged_results:
                results.append(status("BadSequenceNumberUnknown"))
            else:
                found.publish([ack.SequenceNumber])
                results.append(ua.StatusCode())
        return len(own), results

    async def transfer_subscriptions(  # type: ignore[override]  # as asyncua's own
        self, params: ua.TransferSubscriptionsParameters, callback: Callable[..., Any]
    ) -> list[ua.TransferResult]:
        """To the same user alone; asyncua forgets that the requests come by the new connection as well."""
        if not self._guarded or self.processor is None:
            return await super().transfer_subscriptions(params, callback)
        self._some(params.SubscriptionIds)
        return [self._transferred(int(number)) for number in params.SubscriptionIds]

    def _transferred(self, number: int) -> ua.TransferResult:
        found = self.subscription_service.subscriptions.get(number)
        if found is None:
            return ua.TransferResult(StatusCode=status("BadSubscriptionIdInvalid"))
        if not isinstance(found, Subscription) or found.owner != self.user:
            return ua.TransferResult(StatusCode=status("BadUserAccessDenied"))
        if len(self.own_subscriptions()) >= self.rules.limits.subscriptions_per_session:
            return ua.TransferResult(StatusCode=status("BadTooManySubscriptions"))
        found.session_id = self.session_id
        self.answers_by(self.processor, found)
        numbers = [ua.Counter(n) for n in sorted(found._not_acknowledged_results)]
        return ua.TransferResult(StatusCode=ua.StatusCode(), AvailableSequenceNumbers=numbers)

    # ── its share ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _guarded(self) -> bool:
        return self.external and self.rules.closed

    def own_subscriptions(self) -> list[InternalSubscription]:
        """Those of this session."""
        return [each for each in self.subscription_service.subscriptions.values() if each.session_id == self.session_id]

    def answers_by(self, connection: Processor | None, *subscriptions: InternalSubscription) -> None:
        """From now on notifications go out by this connection."""
        for subscription in subscriptions if connection is not None else ():
            asked: Any = connection
            subscription.pub_result_callback = asked.forward_publish_response
            subscription.pub_request_callback = asked.get_publish_request

    def _own(self, number: int) -> None:
        found = self.subscription_service.subscriptions.get(number)
        if self._guarded and (found is None or found.session_id != self.session_id):
            raise ServiceError(ua.StatusCodes.BadSubscriptionIdInvalid)

    def _split(self, numbers: Sequence[int]) -> tuple[list[Any], list[ua.StatusCode | None]]:
        """Those that are this session's, and for each asked for its status where it is not."""
        if not self._guarded or self.state == SessionState.Closed:
            return list(numbers), [None] * len(numbers)
        self._some(numbers)
        own = {each.data.SubscriptionId for each in self.own_subscriptions()}
        refused = status("BadSubscriptionIdInvalid")
        return [n for n in numbers if n in own], [None if n in own else refused for n in numbers]

    def _some(self, asked: Sequence[Any] | None) -> None:
        if not self._guarded:
            return
        if not asked:
            raise ServiceError(ua.StatusCodes.BadNothingToDo)
        if len(asked) > self.rules.limits.operations:
            raise ServiceError(ua.StatusCodes.BadTooManyOperations)

    def _fitting(self, asked: Sequence[ua.MonitoredItemCreateRequest]) -> list[bool]:
        """For which of these items there is room; each event goes through all items for events."""
        limits, own = self.rules.limits, _each(self.own_subscriptions())
        every = _each(self.subscription_service.subscriptions.values())
        room = min(limits.items_per_session - len(own), limits.items - len(every))
        fields = min(limits.event_fields_per_session - _fields(own), limits.event_fields - _fields(every))
        same = Counter(_what(item.read_value_id) for item in own if item.read_value_id is not None)
        events = limits.event_items_per_session - sum(_selected(item.filter) > 0 for item in own)
        fits = []
        for item in asked:
            what, selected = _what(item.ItemToMonitor), _selected(item.RequestedParameters.Filter)
            free = events > 0 and fields >= selected if selected else same[what] < limits.same_items
            fits.append(room > 0 and free)
            if fits[-1]:
                room, events, fields = room - 1, events - (selected > 0), fields - selected
                same[what] += 1
        return fits

    # ── its end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def close_session(self, delete_subs: bool = True) -> None:
        closed = self.state == SessionState.Closed
        try:
            await super().close_session(delete_subs)
        finally:
            if self.external and not closed:
                self._tell_closed()

    def _tell_closed(self) -> None:
        for callback in self.rules.session_closed:
            try:
                callback(session_name(self))
            except Exception:  # noqa: BLE001 - the boundary: one listener's mistake must not keep it from the others
                _log.exception("after the end of a session")


def _each(subscriptions: Iterable[InternalSubscription]) -> list[MonitoredItemData]:
    """Their items."""
    return [item for each in subscriptions for item in each.monitored_item_srv._monitored_items.values()]


def _selected(wanted: Any) -> int:
    """How many fields of each event an item with this filter is sent; 0: it is not for events."""
    return len(wanted.SelectClauses or ()) if isinstance(wanted, ua.EventFilter) else 0


def _fields(items: Iterable[MonitoredItemData]) -> int:
    return sum(_selected(item.filter) for item in items)


def _what(target: ua.ReadValueId) -> tuple[ua.NodeId, int]:
    return target.NodeId, int(target.AttributeId)


def _too_many() -> ua.MonitoredItemCreateResult:
    return ua.MonitoredItemCreateResult(StatusCode=status("BadTooManyMonitoredItems"))


def _revise(params: ua.CreateSubscriptionParameters, shortest: float) -> None:
    """Within bounds: asyncua takes any interval, and 0 for as fast as it can."""
    asked = params.RequestedPublishingInterval
    interval = min(max(asked, shortest), LONGEST_INTERVAL_MS) if math.isfinite(asked) else shortest
    most = max(3, int(LIFE_MS / interval))
    alive = min(max(1, params.RequestedMaxKeepAliveCount or most // 3), most // 3)
    params.RequestedPublishingInterval = ua.Duration(interval)
    params.RequestedMaxKeepAliveCount = ua.Counter(alive)
    params.RequestedLifetimeCount = ua.Counter(min(max(params.RequestedLifetimeCount, 3 * alive), most))


def _merged(results: list[ua.StatusCode | None], own: list[ua.StatusCode]) -> list[ua.StatusCode]:
    each = iter(own)
    return [next(each) if result is None else result for result in results]
