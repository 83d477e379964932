"""The whole type model of OPC 40100-1 as nodes and references, put together from the tables once. Pure.

Compared node by node with the official nodeset in the tests. Three things differ from it on purpose: descriptions are
left out (they are the specification's text), the two type dictionaries are written from the tables, and the variables
of the types have no default structures as values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

from protocols.opcua.model import table_language as language
from protocols.opcua.model.core_types import CORE, CORE_TABLE
from protocols.opcua.model.data_types import DATA_TYPES
from protocols.opcua.model.event_types import EVENT_TYPES
from protocols.opcua.model.layout import Layouts
from protocols.opcua.model.management_types import MANAGEMENT_TYPES
from protocols.opcua.model.rows import DataType, Kind, Link, Node, Ref, TableError
from protocols.opcua.model.standing import dictionaries, namespace_metadata, values_property
from protocols.opcua.model.state_machines import STATE_MACHINES
from protocols.opcua.model.vision_system import VISION_SYSTEM

OWN_TABLES = EVENT_TYPES + STATE_MACHINES + MANAGEMENT_TYPES + VISION_SYSTEM


@dataclass(frozen=True, slots=True)
class Placed:
    """A node and what it hangs on: its parent, or of a type its supertype; an encoding hangs on nothing."""

    node: Node
    parent: Ref | None


class ModelTables:
    """Nodes in an order in which parents come first, and all references but those that `Placed` and type tell."""

    def __init__(self, own: str = OWN_TABLES, data_types: str = DATA_TYPES) -> None:
        """Raises TableError where a table contradicts itself."""
        self.data_types = tuple(language.data_types(data_types))
        self.layouts = Layouts(language.types(CORE_TABLE), language.types(own))
        self.ids = {found.name: found.id for found in self.data_types}
        self.ids |= {found.name: found.id for found in self.layouts.own()}
        self.core = CORE | self.layouts.core

    def ref(self, name: str) -> Ref:
        """A type, reference type, data type or folder of the core by its name; of the model first."""
        if name in self.ids:
            return Ref(True, self.ids[name])
        return Ref(False, self.core[name])

    @cached_property
    def nodes(self) -> tuple[Placed, ...]:
        """Every node of the namespace."""
        return tuple(self._nodes())

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """References other than to parent, supertype, type definition and modelling rule."""
        found = list(self._encoding_links())
        for name, steps in self.layouts.steps.items():
            for step in steps:
                found += self._transition_links(name, step)
        for name, state, machine in self.layouts.sub_machines:
            found.append(Link(self._member(name, state), "HasSubStateMachine", Ref(True, machine.id)))
        return tuple(found)

    def _nodes(self) -> Iterator[Placed]:
        for data_type in self.data_types:
            yield from self._data_type(data_type)
        for found in self.layouts.own():
            yield from self._tree(found, self.ref(found.type))
        for tree, parent in (*dictionaries(self.data_types), namespace_metadata()):
            yield from self._tree(tree, self.ref(parent))

    def _tree(self, root: Node, parent: Ref) -> Iterator[Placed]:
        for above, node in root.walk():
            yield Placed(node, parent if above is None else Ref(True, above.id))

    def _data_type(self, found: DataType) -> Iterator[Placed]:
        node = Node(found.name, Kind.DATA_TYPE, found.id, type=found.supertype, abstract=found.abstract)
        if found.values_id:
            node.below.append(values_property(found))
        yield from self._tree(node, self.ref(found.supertype))
        for name, number in zip(("Default Binary", "Default XML"), found.encodings, strict=False):
            yield Placed(Node(name, Kind.OBJECT, number, core_name=True, type="DataTypeEncodingType"), None)

    def _encoding_links(self) -> Iterator[Link]:
        for found in self.data_types:
            for encoding, description in zip(found.encodings, found.descriptions, strict=True):
                yield Link(Ref(True, found.id), "HasEncoding", Ref(True, encoding))
                yield Link(Ref(True, encoding), "HasDescription", Ref(True, description))

    def _transition_links(self, machine: str, step: language.StepRow) -> Iterator[Link]:
        if step.number < 100:
            return
        transition = Ref(True, step.id)
        (_, start), (owner, end) = (self._state(number) for number in ends(step.number))
        yield Link(transition, "FromState", start)
        yield Link(transition, "ToState", end)
        yield Link(start, "ToTransition", transition)
        if owner == machine:
            yield Link(end, "FromTransition", transition)
        if step.cause:
            name, _, method = step.cause.rpartition(".")
            yield Link(transition, "HasCause", self._member(name or machine, method))
        for effect in ("StateChanged", *step.effects):
            yield Link(transition, "HasEffect", self.ref(f"{effect}EventType"))

    def _state(self, number: int) -> tuple[str, Ref]:
        """The machine that has the state, and the state; state numbers are unique over all machines."""
        for name, steps in self.layouts.steps.items():
            for step in steps:
                if step.number == number:
                    return name, Ref(True, step.id)
        raise TableError(f"no state has the number {number}")

    def _member(self, owner: str, name: str) -> Ref:
        for node in self.layouts.types[owner].below:
            if node.name == name:
                return Ref(True, node.id)
        raise TableError(f"{owner} has no member {name}")


def ends(transition: int) -> tuple[int, int]:
    """The numbers of the states that a transition leads from and to, read from its own number."""
    size = 100 if transition >= 10_000 else 10
    return transition // size // 10, transition // 10 % size


@cache
def tables() -> ModelTables:
    """The model, read once."""
    return ModelTables()
