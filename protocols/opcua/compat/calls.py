"""S5: asyncua hands a call's arguments to the callback unchecked, and does not tell who calls.

Source: OPC UA Part 4 §5.12.2 (Call), table of operation level results.
"""

from __future__ import annotations

import logging
import math
from contextvars import ContextVar
from typing import Any

from asyncua import Node, Server, ua
from asyncua.server.address_space import AddressSpace, MethodService

from protocols.opcua.compat.callers import Caller, Role, caller
from protocols.opcua.compat.names import status
from protocols.opcua.compat.rules import Array, Calling, MethodHandler, Ruled, Rules, rules_of

_log = logging.getLogger(__name__)
_called: ContextVar[ua.NodeId | None] = ContextVar("opcua_called", default=None)

_NULLABLE = frozenset(
    {
        ua.VariantType.String,
        ua.VariantType.ByteString,
        ua.VariantType.XmlElement,
        ua.VariantType.LocalizedText,
        ua.VariantType.ExtensionObject,
        ua.VariantType.NodeId,
        ua.VariantType.DateTime,
        ua.VariantType.Variant,
    }
)


def called_object() -> ua.NodeId | None:
    """The ObjectId of the call now being served: which condition, or which object of a type."""
    return _called.get()


def bind_method(
    server: Server,
    node: Node | ua.NodeId,
    handler: MethodHandler,
    *,
    role: Role,
    inputs: tuple[ua.VariantType | Array, ...] = (),
) -> None:
    """Make an existing method node callable: `handler(*plain values)`, synchronous, and it must only enqueue (S6).

    All requests of a connection are served one after the other, so a handler that waits holds up its client.
    Returns the output Variants, or the StatusCode of the call. Count and types of the arguments are right when it is
    called, numbers are finite, and the caller has the role. The call may name the method of the type as well; a method
    that is bound on a type is called for whatever object the client names (`called_object`).
    """
    method = node if isinstance(node, ua.NodeId) else node.nodeid
    data = server.iserver.aspace.get(method)
    if data is None:
        raise KeyError(f"there is no node {method.to_string()}")
    rules_of(server).calls[method] = Calling(handler, role, tuple(inputs))
    _executable(server, method, role)


def _executable(server: Server, method: ua.NodeId, role: Role) -> None:
    """UserExecutable tells each user the truth."""
    aspace = server.iserver.aspace
    attributes = aspace[method].attributes
    if ua.AttributeIds.UserExecutable not in attributes:
        return

    def allowed(_: ua.NodeId, __: ua.AttributeIds) -> ua.DataValue:
        who = caller()
        return ua.DataValue(ua.Variant(who is None or who.role >= role, ua.VariantType.Boolean))

    aspace.set_attribute_value_callback(method, ua.AttributeIds.UserExecutable, allowed)


class Methods(Ruled, MethodService):
    """Serves what is bound; on a bare server what asyncua would."""

    async def _call(self, method: ua.CallMethodRequest) -> ua.CallMethodResult:
        who, rules = caller(), self.rules
        if who is None or rules is None or not rules.closed:
            return await super()._call(method)
        result = self._bound(method, who, rules)
        rules.told(who, f"call of {method.MethodId.to_string()}", result.StatusCode)
        return result

    def _bound(self, request: ua.CallMethodRequest, who: Caller, rules: Rules) -> ua.CallMethodResult:
        found = self._find(request, rules)
        if isinstance(found, ua.StatusCode):
            return ua.CallMethodResult(StatusCode=found)
        if who.role < found.role:
            return ua.CallMethodResult(StatusCode=status("BadUserAccessDenied"))
        given = request.InputArguments or []
        if len(given) != len(found.inputs):
            name = "BadArgumentsMissing" if len(given) < len(found.inputs) else "BadTooManyArguments"
            return ua.CallMethodResult(StatusCode=status(name))
        each = [_argument(variant, kind) for variant, kind in zip(given, found.inputs, strict=True)]
        if any(not status.is_good() for status in each):
            return ua.CallMethodResult(StatusCode=status("BadInvalidArgument"), InputArgumentResults=each)
        result = self._run(found, request.ObjectId, [variant.Value for variant in given])
        result.InputArgumentResults = each
        return result

    def _run(self, found: Calling, called_on: ua.NodeId, values: list[Any]) -> ua.CallMethodResult:
        token = _called.set(called_on)
        try:
            answer = found.handler(*values)
        except Exception:  # noqa: BLE001 - the boundary: one method's mistake is one call's status
            _log.exception("a method failed")
            answer = status("BadInternalError")
        finally:
            _called.reset(token)
        if isinstance(answer, ua.StatusCode):
            return ua.CallMethodResult(StatusCode=answer)
        return ua.CallMethodResult(StatusCode=ua.StatusCode(), OutputArguments=list(answer))

    def _find(self, request: ua.CallMethodRequest, rules: Rules) -> Calling | ua.StatusCode:
        target, method = request.ObjectId, request.MethodId
        data = self._aspace.get(method)
        if data is None or _node_class(self._aspace, method) != ua.NodeClass.Method:
            return status("BadMethodInvalid")
        bound = rules.calls.get(method)
        owners = [ref.NodeId for ref in data.references if not ref.IsForward]
        if bound and (target in owners or any(_is_type(self._aspace, owner) for owner in owners)):
            return bound
        found = self._aspace.get(target)
        if found is None:
            return status("BadNodeIdUnknown")
        children = [ref.NodeId for ref in found.references if ref.IsForward and ref.NodeClass == ua.NodeClass.Method]
        if method in children:
            return bound or status("BadNotExecutable")
        name = _browse_name(self._aspace, method)
        if any(_is_type(self._aspace, owner) for owner in owners):
            for child in children:
                if _browse_name(self._aspace, child) == name:
                    return rules.calls.get(child) or status("BadNotExecutable")
        return status("BadMethodInvalid")


def _argument(variant: ua.Variant, kind: ua.VariantType | Array) -> ua.StatusCode:
    array = isinstance(kind, Array)
    wanted = kind.of if isinstance(kind, Array) else kind
    value = variant.Value
    if value is None:
        nothing = variant.VariantType in (ua.VariantType.Null, wanted) and (array or wanted in _NULLABLE)
        return ua.StatusCode() if nothing else status("BadTypeMismatch")
    if isinstance(value, list) != array or wanted not in (variant.VariantType, ua.VariantType.Variant):
        return status("BadTypeMismatch")
    return ua.StatusCode() if finite(value) else status("BadOutOfRange")


def finite(value: object) -> bool:
    """Whether no number in it is NaN or infinite."""
    if isinstance(value, list):
        return all(finite(each) for each in value)
    return not isinstance(value, float) or math.isfinite(value)


def _attribute(aspace: AddressSpace, node: ua.NodeId, attribute: ua.AttributeIds) -> Any:
    value = aspace.read_attribute_value(node, attribute).Value
    return None if value is None else value.Value


def _node_class(aspace: AddressSpace, node: ua.NodeId) -> Any:
    return _attribute(aspace, node, ua.AttributeIds.NodeClass)


def _browse_name(aspace: AddressSpace, node: ua.NodeId) -> Any:
    return _attribute(aspace, node, ua.AttributeIds.BrowseName)


def _is_type(aspace: AddressSpace, node: ua.NodeId) -> bool:
    return bool(_node_class(aspace, node) == ua.NodeClass.ObjectType)
