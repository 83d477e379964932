"""Turns the rows of the tables into whole nodes: what a copy does not say, it takes from the type it copies. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from protocols.opcua.model.rows import READ, WRITE, Field, Kind, Node, TableError
from protocols.opcua.model.table_language import MemberRow, StepRow, TypeRow, arguments, member

_KINDS = {
    "BaseDataVariableType": Kind.VARIABLE_TYPE,
    "NonHierarchicalReferences": Kind.REFERENCE_TYPE,
}


class Layouts:
    """All types by name, those of the core included: what each declares, what it inherits."""

    def __init__(self, core: Iterator[TypeRow], own: Iterator[TypeRow]) -> None:
        """Raises TableError for a copy of what no type declares, a type named twice, too many or too few numbers."""
        self.types: dict[str, Node] = {}
        self.core: dict[str, int] = {}
        self.steps: dict[str, tuple[StepRow, ...]] = {}
        self.sub_machines: list[tuple[str, str, Node]] = []
        """Type, state and the machine below it."""
        for row in core:
            self.core[row.name] = row.id
            self._add(row, own=False)
        rows = list(own)
        for row in rows:
            self._begin(row)
        for row in _bases_first(rows):
            self._fill(row, own=True)

    def own(self) -> Iterator[Node]:
        """The types of the model, without those of the core."""
        return (node for name, node in self.types.items() if name not in self.core)

    def declared(self, parent: Node, name: str) -> Node | None:
        """What an instance below `parent` is a copy of: written there, or declared by the type or a supertype."""
        for child in parent.below:
            if child.name == name:
                return child
        above = self.types.get(parent.type)
        return None if above is None else self.declared(above, name)

    def mandatory(self, parent: Node) -> list[Node]:
        """The declarations that every instance of `parent` has, supertypes first, an override in its old place."""
        found = self.mandatory(self.types[parent.type]) if parent.type in self.types else []
        names = [node.name for node in found]
        for child in parent.below:
            if child.name in names:
                found[names.index(child.name)] = child
            elif child.rule == "M":
                found.append(child)
        return found

    def _add(self, row: TypeRow, *, own: bool) -> None:
        self._begin(row)
        self._fill(row, own=own)

    def _begin(self, row: TypeRow) -> None:
        if row.name in self.types:
            raise TableError(f"{row.name}: there are two types of this name")
        kind = _KINDS.get(row.supertype, Kind.OBJECT_TYPE)
        node = Node(row.name, kind, row.id, type=row.supertype, abstract=row.abstract)
        if row.name == "ResultType":
            node.data_type = "ResultDataType"
        self.types[row.name] = node
        self.steps[row.name] = row.steps

    def _fill(self, row: TypeRow, *, own: bool) -> None:
        node = self.types[row.name]
        node.below += [self._state_or_transition(step) for step in row.steps]
        for written in row.members:
            node.below.append(self._member(row.name, node, written, own=own))

    def _state_or_transition(self, step: StepRow) -> Node:
        state = step.number < 100
        kind = ("InitialStateType" if step.initial else "StateType") if state else "TransitionType"
        node = Node(step.name, Kind.OBJECT, step.id, type=kind)
        number = self.mandatory(node)[0]
        node.below.append(replace(number, id=step.number_id, value=step.number, below=[]))
        return node

    def _member(self, where: str, parent: Node, row: MemberRow, *, own: bool) -> Node:
        declaration = self.declared(parent, row.name)
        if row.method:
            node = self._method(row, core_name=not own or declaration is not None)
        elif row.sign:
            node = _instance(row, own=own)
        elif declaration is None:
            raise TableError(f"{where}.{row.name}: no type declares it, so it is not known what it is a copy of")
        else:
            node = replace(declaration, id=row.ids[0], rule=row.rule or declaration.rule, below=[])
        if row.state:
            self.sub_machines.append((where, row.state, node))
        if not row.method:
            self._below(f"{where}.{row.name}", node, declaration, row)
        return node

    def _below(self, where: str, node: Node, declaration: Node | None, row: MemberRow) -> None:
        """What stands below a member: rows, or the numbers of the mandatory members in order."""
        source = node if declaration is None else replace(node, below=declaration.below)
        for line in row.below:
            # The declaration's own members take precedence over those of its type, so they stand in for the parent's.
            written = member(line)
            node.below.append(self._member(where, source, written, own=True))
        ids = iter(row.ids[1:])
        if len(row.ids) > 1:
            node.below += self._numbered(where, source, ids)
        if next(ids, None) is not None:
            raise TableError(f"{where}: more numbers than mandatory members")

    def _numbered(self, where: str, source: Node, ids: Iterator[int]) -> list[Node]:
        found = []
        for declaration in self.mandatory(source):
            number = next(ids, None)
            if number is None:
                raise TableError(f"{where}: no number for {declaration.name}")
            node = replace(declaration, id=number, below=[])
            node.below = self._numbered(f"{where}.{node.name}", declaration, ids)
            found.append(node)
        return found

    def _method(self, row: MemberRow, *, core_name: bool) -> Node:
        node = Node(row.name, Kind.METHOD, row.ids[0] if row.ids else 0, core_name=core_name, rule=row.rule)
        for written in (arguments(line) for line in row.below):
            node.below.append(_argument_list(written.name, written.id, written.fields))
        return node


def _instance(row: MemberRow, *, own: bool) -> Node:
    node = Node(row.name, Kind.OBJECT, row.ids[0] if row.ids else 0, core_name=not own, rule=row.rule, type=row.type)
    if row.sign == ":":
        return node
    prop = row.sign == "."
    return replace(
        node,
        kind=Kind.VARIABLE,
        type="PropertyType" if prop else row.variable_type or "BaseDataVariableType",
        link="HasProperty" if prop else "HasComponent",
        data_type=row.type,
        rank=1 if row.array else -1,
        dimensions=row.dimensions,
        access=READ | WRITE if own else READ,
    )


def _argument_list(name: str, number: int, fields: tuple[Field, ...]) -> Node:
    return Node(
        name,
        Kind.VARIABLE,
        number,
        core_name=True,
        type="PropertyType",
        link="HasProperty",
        rule="M",
        data_type="Argument",
        rank=1,
        dimensions=(len(fields),),
        value=fields,
    )


def _bases_first(rows: list[TypeRow]) -> list[TypeRow]:
    """In an order in which every type stands after those that its rows copy from."""
    left = {row.name: row for row in rows}
    done: list[TypeRow] = []
    while left:
        ready = [row for row in left.values() if not (_needs(row) - {row.name}) & left.keys()]
        if not ready:
            raise TableError(f"{', '.join(left)}: these types copy from each other")
        done += ready
        for row in ready:
            del left[row.name]
    return done


def _needs(row: TypeRow) -> set[str]:
    return {row.supertype} | {found.type for found in row.members} | {found.variable_type for found in row.members}
