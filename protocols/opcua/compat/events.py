"""S3, S4: asyncua delivers an event to subscribers of one node alone, and takes OfType for equality.

Source: OPC UA Part 3 §7.14 and §7.15 (HasEventSource, HasNotifier); Part 4 §7.7.3 (FilterOperator OfType).
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import math
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from asyncua import Node, Server, ua
from asyncua.common.event_objects import RefreshEndEvent, RefreshStartEvent
from asyncua.common.events import Event
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.monitored_item_service import WhereClauseEvaluator
from asyncua.server.subscription_service import SubscriptionService

from protocols.opcua.compat.callers import Role, caller
from protocols.opcua.compat.calls import bind_method
from protocols.opcua.compat.names import numeric, status
from protocols.opcua.compat.rules import Rules, rules_of
from protocols.opcua.compat.writes import run_now

_log = logging.getLogger(__name__)
_SERVER = numeric(ua.ObjectIds.Server)
_SUBTYPE = numeric(ua.ObjectIds.HasSubtype)
_REFRESH_2 = ua.ObjectIds.ConditionType_ConditionRefresh2
_DEEPEST = 32


class WhereClause(WhereClauseEvaluator):
    """Understands OfType as the standard does, the type and all below it, and looks at each element once.

    Elements that refer to the same later ones would else be looked at 2^n times for each event.
    """

    def eval(self, event: Any) -> bool:
        self._known: dict[int, Any] = {}
        return super().eval(event)

    def _eval_el(self, index: int, event: Any) -> Any:
        if index not in self._known:
            self._known[index] = self._evaluated(index, event)
        return self._known[index]

    def _evaluated(self, index: int, event: Any) -> Any:
        element = self.elements[index]
        if element.FilterOperator != ua.FilterOperator.OfType:
            return super()._eval_el(index, event)
        wanted = self._eval_op(element.FilterOperands[0], event)
        return self._is_a(event.EventType, wanted)

    def _is_a(self, kind: Any, wanted: Any) -> bool:
        for _ in range(_DEEPEST):
            if kind == wanted:
                return True
            data = self._aspace.get(kind)
            above = [] if data is None else [r.NodeId for r in data.references if _above(r)]
            if not above:
                return False
            kind = above[0]
        return False


def _above(reference: ua.ReferenceDescription) -> bool:
    return reference.ReferenceTypeId == _SUBTYPE and not reference.IsForward


def emit(server: Server, notifiers: Sequence[Node | ua.NodeId], event: Any, *, wait: float = 0.0) -> bytes:
    """Deliver an event to the subscribers of each notifier, and of Server, once each; returns its EventId.

    Synchronous and cheap. EventId, Time, ReceiveTime and LocalTime are filled in where they are missing. A condition
    (an event with Retain and NodeId) is kept for ConditionRefresh for as long as it says Retain. Where events are
    published at once, this one may wait so many seconds for one that may not.
    """
    rules = rules_of(server)
    service = server.iserver.subscription_service
    _complete(event)
    _keep(service, event)
    nodes = [node if isinstance(node, ua.NodeId) else node.nodeid for node in notifiers]
    with _as_it_is(event):
        for node in dict.fromkeys([*nodes, _SERVER]):
            for subscription in list(service.subscriptions.values()):
                _deliver(subscription, node, event)
    if rules.publish_at_once:
        _publish_within(wait, server, rules)
    return bytes(event.EventId)


def bind_condition_refresh(server: Server) -> None:
    """Let clients ask for the conditions that `emit` keeps: ConditionRefresh and ConditionRefresh2.

    Its start and its end come to each item whatever its where clause says (OPC UA Part 9 §5.5.7).
    """
    service = server.iserver.subscription_service

    def refresh(number: int, item: int | None = None) -> ua.StatusCode:
        found, who = service.subscriptions.get(number), caller()
        if found is None or who is None or str(found.session_id.Identifier) != who.session:
            return status("BadSubscriptionIdInvalid")
        if item is not None and item not in found.monitored_item_srv._monitored_items:
            return status("BadMonitoredItemIdInvalid")
        _refresh(service, found, item)
        return ua.StatusCode()

    one, both = (ua.VariantType.UInt32,), (ua.VariantType.UInt32, ua.VariantType.UInt32)
    for method, inputs in ((ua.ObjectIds.ConditionType_ConditionRefresh, one), (_REFRESH_2, both)):
        bind_method(server, numeric(method), refresh, role=Role.VIEWER, inputs=inputs)


def _refresh(service: SubscriptionService, subscription: InternalSubscription, item: int | None) -> None:
    items = subscription.monitored_item_srv
    wanted = {
        node: [each for each in numbers if item in (None, each)] for node, numbers in items._monitored_events.items()
    }
    for kind in (RefreshStartEvent, None, RefreshEndEvent):
        for node, numbers in wanted.items():
            for number in numbers:
                if kind is None:
                    for event in list(service._conditions.values()):
                        with _as_it_is(event):
                            _deliver(subscription, node, event, number)
                else:
                    _enqueue(subscription, number, kind())


def _enqueue(subscription: InternalSubscription, number: int, event: Any) -> None:
    """Past the where clause."""
    _complete(event)
    item = subscription.monitored_item_srv._monitored_items[number]
    fields = ua.EventFieldList()
    fields.ClientHandle = item.client_handle
    fields.EventFields = event.to_event_fields(item.filter.SelectClauses)
    run_now(subscription.enqueue_event(number, fields, item.queue_size))


def publish_now(server: Server) -> None:
    """Publish what waits for subscribers, not at the end of their publishing interval.

    `emit` has it done at a later turn of the loop, once for all that is emitted until then. Nothing happens unless
    the server's rules say publish_at_once.
    """
    if not rules_of(server).publish_at_once:
        return
    for subscription in list(server.iserver.subscription_service.subscriptions.values()):
        waits = subscription._triggered_events or subscription._triggered_datachanges
        if waits and subscription._publishing_enabled and not subscription._closing:
            _publish(subscription)


def _publish_within(seconds: float, server: Server, rules: Rules) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds
    if due < rules.publish_due:
        rules.publish_due = due
        loop.call_later(seconds, _publish_due, server, rules)


def _publish_due(server: Server, rules: Rules) -> None:
    rules.publish_due = math.inf
    publish_now(server)


def _publish(subscription: InternalSubscription) -> None:
    cycles = subscription._publish_cycles_count
    try:
        if not run_now(subscription.publish_results()):
            subscription._publish_cycles_count = cycles  # its life is counted in intervals, not in events
    except Exception:  # noqa: BLE001 - the boundary: what cannot be sent to one client must not keep it from the others
        _log.warning("subscription %s could not be published", subscription.data.SubscriptionId)


def _deliver(subscription: InternalSubscription, node: ua.NodeId, event: Any, item: int | None = None) -> None:
    service = subscription.monitored_item_srv
    wanted = service._monitored_events.get(node)
    if not wanted:
        return
    before, event.emitting_node = event.emitting_node, node
    try:
        run_now(service.trigger_event(event, item))
    except Exception:  # noqa: BLE001 - the boundary: one client's odd filter must not keep the event from the others
        _log.warning("an event could not be delivered to subscription %s", subscription.data.SubscriptionId)
    finally:
        event.emitting_node = before


@contextlib.contextmanager
def _as_it_is(event: Any) -> Iterator[None]:
    """Each field is copied once, and not for each item that has it; what is no field of the event is null.

    An event that makes its fields in a way of its own is left to it.
    """
    if type(event).to_event_fields is not Event.to_event_fields:
        yield
        return
    known: dict[str, ua.Variant] = {}

    def field(name: str) -> ua.Variant:
        value = getattr(event, name, None) if name in event.data_types else None
        return ua.Variant(None) if value is None else ua.Variant(copy.deepcopy(value), event.data_types[name])

    def fields(clauses: Sequence[ua.SimpleAttributeOperand]) -> list[ua.Variant]:
        found = []
        for clause in clauses:
            path = clause.BrowsePath
            name = event.browse_path_to_attribute_name(path) if path else ua.AttributeIds(clause.AttributeId).name
            if name not in known:
                known[name] = field(name)
            found.append(known[name])
        return found

    event.to_event_fields = fields
    try:
        yield
    finally:
        del event.to_event_fields


def _complete(event: Any) -> None:
    now = datetime.now(UTC)
    event.EventId = _plain(getattr(event, "EventId", None)) or uuid.uuid4().bytes
    event.Time = _plain(getattr(event, "Time", None)) or now
    event.ReceiveTime = now
    if getattr(event, "LocalTime", None) is None:
        local = time.localtime(event.Time.timestamp())
        event.LocalTime = ua.TimeZoneDataType(Offset=local.tm_gmtoff // 60, DaylightSavingInOffset=bool(local.tm_isdst))


def _plain(value: Any) -> Any:
    return value.Value if isinstance(value, ua.Variant) else value


def _keep(service: SubscriptionService, event: Any) -> None:
    condition = getattr(event, "NodeId", None)
    if condition is None or not hasattr(event, "Retain"):
        return
    if event.Retain:
        service._conditions[condition] = event
    else:
        service._conditions.pop(condition, None)
