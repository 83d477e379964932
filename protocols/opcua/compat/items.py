"""Monitored items: filters that cannot work are refused before they fail at each value; queues keep their bound.

Source: OPC UA Part 4 §5.13.2, §5.13.3 (CreateMonitoredItems, ModifyMonitoredItems), §7.22 (MonitoringFilter).
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from asyncua import ua
from asyncua.server.monitored_item_service import MonitoredItemService, MonitoredItemValues

from protocols.opcua.compat.names import status

CLAUSES, OPERANDS = 64, 128
"""Elements of a where clause, and operands of all of them."""
FIELDS = 100
"""Select clauses of an event filter."""
_NEVER_CHANGED = (int, float, str, bytes, datetime, type(None))


class Values(MonitoredItemValues):
    """What an item saw last. A single value is never changed in place, so it need not be copied for each item."""

    def set_current_datavalue(self, cur_val: ua.DataValue) -> None:
        variant = cur_val.Value
        if variant is None or isinstance(variant.Value, _NEVER_CHANGED):
            self.old_dvalue, self.current_dvalue = self.current_dvalue, cur_val
        else:
            super().set_current_datavalue(cur_val)


class Items(MonitoredItemService):
    """The items of one subscription."""

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        results: list[ua.MonitoredItemCreateResult] = []
        for item in params.ItemsToCreate:
            if _null(item.RequestedParameters.Filter):
                item.RequestedParameters.Filter = None
            wrong = self._wrong(item.ItemToMonitor, item.RequestedParameters.Filter)
            if wrong:
                results.append(ua.MonitoredItemCreateResult(StatusCode=status(wrong)))
            else:
                one = ua.CreateMonitoredItemsParameters(params.SubscriptionId, params.TimestampsToReturn, [item])
                results += await super().create_monitored_items(one)
        return results

    def _wrong(self, target: ua.ReadValueId, wanted: Any) -> str:
        """The status of an item that cannot be, "" for one that can."""
        if target.AttributeId == ua.AttributeIds.EventNotifier:
            return _wrong_event_filter(wanted)
        if target.IndexRange:
            return "BadIndexRangeInvalid"
        if wanted is None:
            return ""
        if not isinstance(wanted, ua.DataChangeFilter) or target.AttributeId != ua.AttributeIds.Value:
            return "BadMonitoredItemFilterUnsupported"
        return self._wrong_deadband(target.NodeId, wanted)

    def _wrong_deadband(self, node: ua.NodeId, wanted: ua.DataChangeFilter) -> str:
        if wanted.DeadbandType == ua.DeadbandType.None_:
            return ""
        if wanted.DeadbandType != ua.DeadbandType.Absolute:
            return "BadMonitoredItemFilterUnsupported"
        if not math.isfinite(wanted.DeadbandValue) or wanted.DeadbandValue < 0:
            return "BadDeadbandFilterInvalid"
        current = self.aspace.read_attribute_value(node, ua.AttributeIds.Value).Value
        return "" if current is None or _number(current.Value) else "BadFilterNotAllowed"

    def _is_deadband_exceeded(self, values: MonitoredItemValues, flt: ua.DataChangeFilter) -> bool:
        for value in (values.get_current_datavalue(), values.get_old_datavalue()):
            if value is None or value.Value is None or not _number(value.Value.Value):
                return True
        return super()._is_deadband_exceeded(values, flt)

    def _modify_monitored_item(self, params: ua.MonitoredItemModifyRequest) -> ua.MonitoredItemModifyResult:
        found = self._monitored_items.get(params.MonitoredItemId)
        if found is None or found.read_value_id is None:
            return ua.MonitoredItemModifyResult(StatusCode=status("BadMonitoredItemIdInvalid"))
        wanted = params.RequestedParameters
        if _null(wanted.Filter):
            wanted.Filter = None
        if wanted.Filter is not None and (wrong := self._wrong(found.read_value_id, wanted.Filter)):
            return ua.MonitoredItemModifyResult(StatusCode=status(wrong))
        if isinstance(wanted.Filter, ua.EventFilter) and len(wanted.Filter.SelectClauses) > len(
            found.filter.SelectClauses
        ):  # its share of the fields was counted when it was made
            return ua.MonitoredItemModifyResult(StatusCode=status("BadEventFilterInvalid"))
        if isinstance(wanted.Filter, ua.EventFilter) and found.where_clause_evaluator is not None:
            found.where_clause_evaluator.elements = wanted.Filter.WhereClause.Elements
        if wanted.Filter is not None:
            found.filter = wanted.Filter
        found.queue_size = self._revise_queue_size(wanted.QueueSize)
        found.client_handle = wanted.ClientHandle
        return ua.MonitoredItemModifyResult(
            StatusCode=ua.StatusCode(),
            RevisedSamplingInterval=ua.Duration(self.isub.data.RevisedPublishingInterval),
            RevisedQueueSize=ua.Counter(found.queue_size),
        )


def _wrong_event_filter(wanted: Any) -> str:
    if not isinstance(wanted, ua.EventFilter):
        return "BadEventFilterInvalid"
    elements = wanted.WhereClause.Elements or []
    operands = sum(len(element.FilterOperands or []) for element in elements)
    if len(wanted.SelectClauses or []) > FIELDS or len(elements) > CLAUSES or operands > OPERANDS:
        return "BadEventFilterInvalid"
    forward = all(_looks_forward(number, element) for number, element in enumerate(elements))
    return "" if wanted.SelectClauses and forward else "BadEventFilterInvalid"


def _looks_forward(number: int, element: ua.ContentFilterElement) -> bool:
    """An element may only refer to later ones: no loop (Part 4 §7.7.4.2)."""
    operands = [operand for operand in element.FilterOperands or [] if isinstance(operand, ua.ElementOperand)]
    return all(operand.Index > number for operand in operands)


def _null(wanted: Any) -> bool:
    """Whether a filter that came over the wire is none."""
    return isinstance(wanted, ua.ExtensionObject) and wanted.TypeId.Identifier == 0


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
