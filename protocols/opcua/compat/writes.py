"""Which nodes take a client's write, and who decides about it; asyncua knows only one right for all its users.

Source: OPC UA Part 4 §5.11.4 (Write), table of operation level results.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from asyncua import Node, Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AddressSpace, AttributeService

from protocols.opcua.compat.callers import Caller, Role, caller
from protocols.opcua.compat.calls import finite
from protocols.opcua.compat.names import now, status
from protocols.opcua.compat.rules import Ruled, Rules, WriteHandler, Writing, rules_of

T = TypeVar("T")
_log = logging.getLogger(__name__)
_READ, _READ_WRITE = 0x01, 0x03
_SCALAR = -1
_LAST_BUILTIN = 25


def bind_write(server: Server, node: Node | ua.NodeId, handler: WriteHandler, *, role: Role) -> None:
    """Let clients write this variable: `handler(Caller, DataValue)`, synchronous, decides; Good stores the value.

    Its type, rank and range are right when the handler is called: of the variable's type, finite, of bounded length.
    All other nodes are not writable by clients.
    """
    name = node if isinstance(node, ua.NodeId) else node.nodeid
    kind, array = _shape(server.iserver.aspace, name)
    rules_of(server).writes[name] = Writing(handler, role, kind, array)
    _access(server.iserver.aspace, name, role)


class Slot:
    """The value of one variable, found once, for what is written many times a second; KeyError for an unknown node."""

    __slots__ = ("_aspace", "_held", "_node")

    def __init__(self, server: Server, node: ua.NodeId) -> None:
        self._aspace, self._node = server.iserver.aspace, node
        data = self._aspace.get(node)
        if data is None or ua.AttributeIds.Value not in data.attributes:
            raise KeyError(f"there is no variable {node.to_string()}")
        self._held: Any = data.attributes[ua.AttributeIds.Value]

    def put(self, value: ua.DataValue) -> None:
        """Store a value and queue it to its subscribers, now and without a coroutine.

        asyncua looks at its type, unless it is that of the value that stands there.
        """
        held, variant = self._held, value.Value
        before = held.value.Value if held.value is not None else None
        same = variant is not None and before is not None and variant.VariantType is before.VariantType
        bad = value.StatusCode is not None and value.StatusCode.is_bad()  # then there is no value
        if not same or bad or held.value_setter is not None or held.datachange_callbacks:
            run_now(self._aspace.write_attribute_value(self._node, ua.AttributeIds.Value, value)).check()
        else:
            held.value, held.value_callback = value, None


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits; RuntimeError for one that does."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("asyncua waits where it did not: see protocols.opcua.compat")


def _shape(aspace: AddressSpace, node: ua.NodeId) -> tuple[ua.VariantType, bool]:
    """Type and rank that a write must have."""
    current = aspace.read_attribute_value(node, ua.AttributeIds.Value)
    if current.Value is None:
        raise KeyError(f"there is no variable {node.to_string()}")
    rank = aspace.read_attribute_value(node, ua.AttributeIds.ValueRank).Value
    array = rank is not None and rank.Value is not None and int(rank.Value) >= 0
    if current.Value.VariantType != ua.VariantType.Null:
        return current.Value.VariantType, array or current.Value.is_array is True
    kind = aspace.read_attribute_value(node, ua.AttributeIds.DataType).Value
    number = kind.Value.Identifier if kind is not None and kind.Value.NamespaceIndex == 0 else None
    if not isinstance(number, int) or not 1 <= number <= _LAST_BUILTIN:
        raise ValueError(f"{node.to_string()} needs a first value or a built-in data type before it can be written")
    return ua.VariantType(number), array


def _access(aspace: AddressSpace, node: ua.NodeId, role: Role) -> None:
    """AccessLevel as it is, UserAccessLevel as it is for the user who asks."""
    attributes = aspace[node].attributes
    for attribute in (ua.AttributeIds.AccessLevel, ua.AttributeIds.UserAccessLevel):
        if attribute not in attributes:
            raise KeyError(f"{node.to_string()} has no access level")
    attributes[ua.AttributeIds.AccessLevel].value = _byte(_READ_WRITE)

    def level(_: ua.NodeId, __: ua.AttributeIds) -> ua.DataValue:
        who = caller()
        return _byte(_READ_WRITE if who is None or who.role >= role else _READ)

    aspace.set_attribute_value_callback(node, ua.AttributeIds.UserAccessLevel, level)


def _byte(value: int) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value, ua.VariantType.Byte))


class Attributes(Ruled, AttributeService):
    """Takes writes for what is bound; on a bare server what asyncua would."""

    async def write(
        self,
        params: ua.WriteParameters,
        user: User = User(role=UserRole.Admin),  # noqa: B008 - asyncua's own signature
    ) -> list[ua.StatusCode]:
        who, rules = caller(), self.rules
        if who is None or rules is None or not rules.closed:
            return await super().write(params, user)
        results = []
        for item in params.NodesToWrite:
            decided = self._bound(item, who, rules)
            rules.told(who, f"write to {item.NodeId.to_string()}", decided)
            results.append(decided)
        return results

    def _bound(self, item: ua.WriteValue, who: Caller, rules: Rules) -> ua.StatusCode:
        data = self._aspace.get(item.NodeId)
        if data is None:
            return status("BadNodeIdUnknown")
        if item.AttributeId not in data.attributes:
            return status("BadAttributeIdInvalid")
        bound = rules.writes.get(item.NodeId)
        if bound is None or item.AttributeId != ua.AttributeIds.Value or who.role < bound.role:
            return status("BadUserAccessDenied")
        given = item.Value
        if item.IndexRange or (given.StatusCode is not None and given.StatusCode.value != ua.StatusCodes.Good):
            return status("BadWriteNotSupported")
        if (refused := _value(given, bound, rules.limits.text)) is not None:
            return refused
        return self._take(item.NodeId, given, bound, who)

    def _take(self, node: ua.NodeId, given: ua.DataValue, bound: Writing, who: Caller) -> ua.StatusCode:
        moment = now()
        value = ua.DataValue(given.Value, ua.StatusCode(), SourceTimestamp=moment, ServerTimestamp=moment)
        try:
            decided = bound.handler(who, value)
        except Exception:  # noqa: BLE001 - the boundary: one handler's mistake is one write's status
            _log.exception("a write failed")
            return status("BadInternalError")
        if decided.is_good():
            run_now(self._aspace.write_attribute_value(node, ua.AttributeIds.Value, value))
        return decided


def _value(given: ua.DataValue, bound: Writing, text: int) -> ua.StatusCode | None:
    """Why a value cannot be that of this variable, None if it can."""
    variant = given.Value
    if variant is None or variant.Value is None or variant.VariantType != bound.kind:
        return status("BadTypeMismatch")
    value = variant.Value
    if isinstance(value, list) != bound.array:
        return status("BadTypeMismatch")
    values = value if isinstance(value, list) else [value]
    if len(values) > text or any(isinstance(each, str | bytes) and len(each) > text for each in values):
        return status("BadOutOfRange")
    return None if finite(value) else status("BadOutOfRange")
