"""What the server says of itself in its address space: limits that hold, and no right that it does not grant."""

from __future__ import annotations

import logging

from asyncua import Server, ua
from asyncua.server.address_space import NodeData

from protocols.opcua import compat
from protocols.opcua.compat.names import numeric, status
from protocols.opcua.server_settings import OpcUaLimits

_WRITES = 0x02 | 0x08 | 0x20 | 0x40
"""CurrentWrite, HistoryWrite, StatusWrite and TimestampWrite of AccessLevel (OPC UA Part 3 §8.57)."""
_LEVELS = (ua.AttributeIds.AccessLevel, ua.AttributeIds.UserAccessLevel)
_EXECUTES = (ua.AttributeIds.Executable, ua.AttributeIds.UserExecutable)
_OPERATIONS = (
    "MaxNodesPerRead",
    "MaxNodesPerWrite",
    "MaxNodesPerMethodCall",
    "MaxNodesPerBrowse",
    "MaxNodesPerTranslateBrowsePathsToNodeIds",
    "MaxMonitoredItemsPerCall",
)
_NONE = (
    "MaxNodesPerHistoryReadData",
    "MaxNodesPerHistoryReadEvents",
    "MaxNodesPerHistoryUpdateData",
    "MaxNodesPerHistoryUpdateEvents",
    "MaxNodesPerNodeManagement",
)
_LOUD = ("address_space", "internal_subscription", "subscription_service")


def close_writes(server: Server) -> None:
    """No node says that it can be written or executed, unless it was bound."""
    rules = compat.rules_of(server)
    nodes: dict[ua.NodeId, NodeData] = server.iserver.aspace._nodes
    for node, data in nodes.items():
        if node not in rules.writes:
            for level in _LEVELS:
                _clear(data, level)
        if node.NamespaceIndex == 0 and node not in rules.calls:
            for attribute in _EXECUTES:
                if attribute in data.attributes:
                    data.attributes[attribute].value = ua.DataValue(ua.Variant(False, ua.VariantType.Boolean))


def _clear(data: NodeData, level: ua.AttributeIds) -> None:
    found = data.attributes.get(level)
    if found is None or found.value is None or found.value.Value is None or not found.value.Value.Value:
        return
    kept = found.value.Value.Value & ~_WRITES
    found.value = ua.DataValue(ua.Variant(kept, ua.VariantType.Byte))


def tell_limits(server: Server, limits: OpcUaLimits) -> None:
    """ServerCapabilities as they are, and diagnostics off."""
    root = "Server_ServerCapabilities_"
    counts = {f"{root}OperationLimits_{name}": limits.operations for name in _OPERATIONS}
    counts |= {f"{root}OperationLimits_{name}": 0 for name in _NONE}
    counts |= {
        f"{root}MaxArrayLength": compat.Limits().text,
        f"{root}MaxStringLength": compat.Limits().text,
        f"{root}MaxByteStringLength": compat.Limits().text,
        f"{root}MaxSessions": limits.sessions,
        f"{root}MaxSubscriptions": limits.subscriptions,
        f"{root}MaxSubscriptionsPerSession": limits.subscriptions_per_session,
        f"{root}MaxMonitoredItems": limits.items,
        f"{root}MaxMonitoredItemsPerSubscription": limits.items_per_session,
        f"{root}MaxMonitoredItemsQueueSize": limits.queue,
    }
    for name, count in counts.items():
        _set(server, name, ua.Variant(count, ua.VariantType.UInt32))
    _set(server, f"{root}MinSupportedSampleRate", ua.Variant(limits.shortest_interval_ms, ua.VariantType.Double))
    _set(server, f"{root}MaxBrowseContinuationPoints", ua.Variant(0, ua.VariantType.UInt16))
    _set(server, f"{root}LocaleIdArray", ua.Variant(["en"], ua.VariantType.String))
    _set(server, "Server_ServerDiagnostics_EnabledFlag", ua.Variant(False, ua.VariantType.Boolean))


def _set(server: Server, name: str, value: ua.Variant) -> None:
    """Where asyncua's address space has this node."""
    number = getattr(ua.ObjectIds, name, None)
    data = server.iserver.aspace.get(numeric(number)) if number is not None else None
    if data is not None and ua.AttributeIds.Value in data.attributes:
        data.attributes[ua.AttributeIds.Value].value = ua.DataValue(value, status("Good"))


def only_anonymous_without_security(server: Server) -> None:
    """An endpoint without security offers no way to send a password or a certificate."""
    for endpoint in server.iserver.endpoints:
        if endpoint.SecurityMode == ua.MessageSecurityMode.None_:
            tokens = endpoint.UserIdentityTokens
            endpoint.UserIdentityTokens = [each for each in tokens if each.TokenType == ua.UserTokenType.Anonymous]


def quiet() -> None:
    """asyncua logs what clients do wrong, at length; we tell it ourselves. Its own mistakes stay audible."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    for name in _LOUD:
        logging.getLogger(f"asyncua.server.{name}").setLevel(logging.ERROR)
