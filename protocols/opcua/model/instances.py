"""Instances of the types: every mandatory member, the optional ones asked for, never a placeholder.

asyncua's own instantiate makes either no optional member or all of them, and placeholders as if they were members.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from asyncua import Node, ua
from asyncua.server.address_space import AddressSpace

from protocols.opcua.model.install import Model
from protocols.opcua.model.space import (
    HAS_SUBTYPE,
    HAS_TYPE_DEFINITION,
    attribute,
    numbered,
    put,
    refer,
    type_definition,
    valued,
)

_MODELLING_RULE = numbered(ua.ObjectIds.HasModellingRule)
_MANDATORY = numbered(ua.ObjectIds.ModellingRule_Mandatory)
_OPTIONAL = numbered(ua.ObjectIds.ModellingRule_Optional)
_HAS_NOTIFIER = numbered(ua.ObjectIds.HasNotifier)
_SERVER = numbered(ua.ObjectIds.Server)
_AGGREGATES = tuple(
    numbered(number)
    for number in (ua.ObjectIds.HasComponent, ua.ObjectIds.HasProperty, ua.ObjectIds.HasOrderedComponent)
)
_SUBSCRIBE_TO_EVENTS = 1


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance and its members by browse path: names without namespace, joined by `/`; the instance itself is ""."""

    model: Model
    ids: Mapping[str, ua.NodeId]
    declarations: Mapping[str, tuple[ua.NodeId, ...]]
    """What each member is a copy of, the most special last; a method may also be called by those that a type has."""

    def id(self, path: str = "") -> ua.NodeId:
        """The NodeId of a member; KeyError where it was not created."""
        return self.ids[path]

    def node(self, path: str = "") -> Node:
        """The node of a member; KeyError where it was not created."""
        return self.model.server.get_node(self.ids[path])


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What an instance has beyond its mandatory members. All by browse path, as in `Instance`."""

    optional: Collection[str] = ()
    """Members to create; what they hang on is created too."""
    writable: Collection[str] = ()
    """Variables whose AccessLevel says that clients may write; all others can be read only, whatever the type says."""
    notifiers: Collection[str] = ()
    """Objects that clients may subscribe to for events; each is tied by HasNotifier to the next one above it, the
    uppermost to the Server object."""


async def instantiate(
    model: Model,
    parent: ua.NodeId,
    type_id: ua.NodeId,
    node_id: ua.NodeId,
    name: ua.QualifiedName,
    choice: Choice | None = None,
    reference: ua.NodeId = _AGGREGATES[0],
) -> Instance:
    """A new object or variable below `parent`; members have string ids: that of the instance, `.` and their names.

    Variables without a constant value (as StateNumber has) begin as BadWaitingForInitialData. References between
    members of the type (HasSubStateMachine …) are repeated between those of the instance. Raises ValueError for an
    abstract type, a path that the type does not have, an id that is taken: then nothing has been created.
    """
    maker = _Maker(model.server.iserver.aspace, node_id, choice or Choice())
    root = maker.plan(type_id, name)
    maker.create(root, parent, reference)
    return Instance(model, maker.ids, maker.declarations)


@dataclass(slots=True)
class _Planned:
    """A node to be: its declarations, the most special last, and what it will be called."""

    path: str
    id: ua.NodeId
    name: ua.QualifiedName
    declarations: list[ua.NodeId]
    type: ua.NodeId | None
    reference: ua.NodeId = field(default_factory=lambda: _AGGREGATES[0])
    below: list[_Planned] = field(default_factory=list)

    def walk(self) -> Iterator[_Planned]:
        yield self
        for child in self.below:
            yield from child.walk()


class _Maker:
    """Plans an instance from what the address space says of its type, then creates it."""

    def __init__(self, space: AddressSpace, node_id: ua.NodeId, choice: Choice) -> None:
        self._space = space
        self._node_id = node_id
        self._choice = choice
        self._wanted = {part for path in choice.optional for part in _ancestry(path)}
        self._now = datetime.now(UTC)
        self.ids: dict[str, ua.NodeId] = {}
        self.declarations: dict[str, tuple[ua.NodeId, ...]] = {}

    def plan(self, type_id: ua.NodeId, name: ua.QualifiedName) -> _Planned:
        """The whole instance, checked; nothing is created yet."""
        if attribute(self._space, type_id, ua.AttributeIds.IsAbstract) is not False:
            raise ValueError(f"{type_id.to_string()} is no type, or an abstract one: it cannot have instances")
        root = _Planned("", self._node_id, name, [type_id], type_id)
        self._fill(root)
        planned = {node.path: node for node in root.walk()}
        asked = {*self._choice.optional, *self._choice.writable, *self._choice.notifiers}
        if unknown := sorted(asked - planned.keys()):
            raise ValueError(f"{type_id.to_string()} has no member {', '.join(unknown)}")
        if taken := sorted(node.id.to_string() for node in planned.values() if node.id in self._space):
            raise ValueError(f"{', '.join(taken)}: there is a node of this id already")
        return root

    def create(self, root: _Planned, parent: ua.NodeId, reference: ua.NodeId) -> None:
        for node in root.walk():
            self._put(node)
        refer(self._space, parent, reference, root.id)
        for node in root.walk():
            for child in node.below:
                refer(self._space, node.id, child.reference, child.id)
        self._repeat_references(root)
        self._tie_notifiers()

    def _fill(self, node: _Planned) -> None:
        """The members of a node: those of its type and supertypes, and those below the declarations it copies."""
        chain = [] if node.type is None else self._supertypes(node.type)
        sources = [*chain, *(found for found in node.declarations if found not in chain)]
        for name, found in self._members(sources).items():
            path = f"{node.path}/{name}" if node.path else name
            rule = next((rule for rule in map(self._rule, reversed([one.NodeId for one in found])) if rule), None)
            if name.startswith("<") or not (rule == _MANDATORY or (rule == _OPTIONAL and path in self._wanted)):
                continue
            last = found[-1]
            child = _Planned(
                path,
                numbered(f"{node.id.Identifier!s}.{name}", node.id.NamespaceIndex),
                last.BrowseName,
                [one.NodeId for one in found],
                type_definition(self._space, last.NodeId),
                last.ReferenceTypeId,
            )
            self._fill(child)
            node.below.append(child)

    def _members(self, sources: list[ua.NodeId]) -> dict[str, list[ua.ReferenceDescription]]:
        found: dict[str, list[ua.ReferenceDescription]] = {}
        for source in sources:
            for reference in self._space[source].references:
                if reference.IsForward and reference.ReferenceTypeId in _AGGREGATES:
                    found.setdefault(reference.BrowseName.Name, []).append(reference)
        return found

    def _supertypes(self, type_id: ua.NodeId) -> list[ua.NodeId]:
        """A type after all its supertypes."""
        for reference in self._space[type_id].references:
            if not reference.IsForward and reference.ReferenceTypeId == HAS_SUBTYPE:
                return [*self._supertypes(reference.NodeId), type_id]
        return [type_id]

    def _rule(self, node_id: ua.NodeId) -> ua.NodeId | None:
        for reference in self._space[node_id].references:
            if reference.IsForward and reference.ReferenceTypeId == _MODELLING_RULE:
                rule: ua.NodeId = reference.NodeId
                return rule
        return None

    def _put(self, node: _Planned) -> None:
        declaration = node.declarations[-1]
        node_class = ua.NodeClass(attribute(self._space, declaration, ua.AttributeIds.NodeClass))
        match node_class:
            case ua.NodeClass.Method:
                attributes: dict[ua.AttributeIds, Any] = {
                    ua.AttributeIds.Executable: True,
                    ua.AttributeIds.UserExecutable: True,
                }
            case ua.NodeClass.Object | ua.NodeClass.ObjectType:
                node_class = ua.NodeClass.Object
                notifies = node.path in self._choice.notifiers
                attributes = {ua.AttributeIds.EventNotifier: _SUBSCRIBE_TO_EVENTS if notifies else 0}
            case _:
                node_class = ua.NodeClass.Variable
                attributes = self._variable(node, declaration)
        put(self._space, node.id, node_class, node.name, attributes)
        if node.type is not None:
            refer(self._space, node.id, HAS_TYPE_DEFINITION, node.type, both=False)
        self.ids[node.path] = node.id
        self.declarations[node.path] = tuple(node.declarations)

    def _variable(self, node: _Planned, declaration: ua.NodeId) -> dict[ua.AttributeIds, Any]:
        access = 3 if node.path in self._choice.writable else 1
        attributes: dict[ua.AttributeIds, Any] = {
            ua.AttributeIds.Value: self._initial(declaration),
            ua.AttributeIds.AccessLevel: access,
            ua.AttributeIds.UserAccessLevel: access,
            ua.AttributeIds.Historizing: False,
        }
        copied = (ua.AttributeIds.DataType, ua.AttributeIds.ValueRank, ua.AttributeIds.ArrayDimensions)
        for which in copied:
            value = attribute(self._space, declaration, which)
            if value is not None:
                attributes[which] = value
        return attributes

    def _initial(self, declaration: ua.NodeId) -> ua.DataValue:
        value = self._space.read_attribute_value(declaration, ua.AttributeIds.Value).Value
        if value is None or value.Value is None:
            return valued(ua.Variant(), self._now, ua.StatusCodes.BadWaitingForInitialData)
        return valued(value, self._now)

    def _repeat_references(self, root: _Planned) -> None:
        """What ties declarations to each other ties their copies to each other."""
        copies = {declared: node.id for node in root.walk() for declared in node.declarations}
        done = set()
        for declared, source in copies.items():
            for reference in list(self._space[declared].references):
                target = copies.get(reference.NodeId)
                kind = reference.ReferenceTypeId
                if not reference.IsForward or target is None or kind in (*_AGGREGATES, HAS_SUBTYPE):
                    continue
                if (source, kind, target) not in done:
                    done.add((source, kind, target))
                    refer(self._space, source, kind, target)

    def _tie_notifiers(self) -> None:
        for path in self._choice.notifiers:
            above = [part for part in ("", *_ancestry(path)) if part != path and part in self._choice.notifiers]
            refer(self._space, self.ids[above[-1]] if above else _SERVER, _HAS_NOTIFIER, self.ids[path])


def _ancestry(path: str) -> list[str]:
    """`A/B/C` as `A`, `A/B`, `A/B/C`."""
    parts = path.split("/") if path else []
    return ["/".join(parts[: size + 1]) for size in range(len(parts))]
