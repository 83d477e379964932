"""What the tables of the type model are made of: nodes, structures, enumerations, references. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

NAMESPACE = "http://opcfoundation.org/UA/MachineVision"
SCHEMA = "http://opcfoundation.org/UA/MachineVision/Types.xsd"
VERSION = "1.0.0"
PUBLISHED = "2019-07-11T10:18:27Z"

READ = 1
WRITE = 2


class TableError(ValueError):
    """A row of a table that cannot be: the message names the row."""


class Kind(IntEnum):
    """Node classes with the numbers of OPC 10000-3 §5.2.3 (attribute NodeClass)."""

    OBJECT = 1
    VARIABLE = 2
    METHOD = 4
    OBJECT_TYPE = 8
    VARIABLE_TYPE = 16
    REFERENCE_TYPE = 32
    DATA_TYPE = 64


@dataclass(frozen=True, slots=True)
class Ref:
    """A node by its number: of this model (`own`) or of the OPC UA core (namespace 0)."""

    own: bool
    id: int


@dataclass(frozen=True, slots=True)
class Field:
    """An argument of a method or a field of a structure; `type` names a data type."""

    name: str
    type: str
    array: bool = False
    dimensions: tuple[int, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class EnumMember:
    """A named value of an enumeration."""

    name: str
    value: int


Value = bool | int | str | bytes | tuple[Field, ...] | tuple[EnumMember, ...] | tuple[int, ...] | None


@dataclass(slots=True)
class Node:
    """One node. Types go by name: `type` is the type definition of an instance, the supertype of a type."""

    name: str
    kind: Kind
    id: int = 0
    """In the namespace of the model; 0 for what the OPC UA core declares."""
    core_name: bool = False
    """The browse name is of namespace 0."""
    type: str = ""
    link: str = "HasComponent"
    """The reference from the parent."""
    rule: str = ""
    """Modelling rule: M mandatory, O optional, OP optional placeholder, empty for none."""
    data_type: str = ""
    rank: int = -1
    dimensions: tuple[int, ...] = ()
    access: int = READ
    abstract: bool = False
    value: Value = None
    below: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[tuple[Node | None, Node]]:
        """Every node of the tree after its parent, as (parent, node); the root has none."""
        yield None, self
        yield from self._descend()

    def _descend(self) -> Iterator[tuple[Node, Node]]:
        for child in self.below:
            yield self, child
            yield from child._descend()


@dataclass(frozen=True, slots=True)
class Link:
    """A reference that is no tree and no type definition."""

    source: Ref
    type: str
    target: Ref


@dataclass(frozen=True, slots=True)
class DataType:
    """A data type: a structure has `fields`, those it inherits first, an enumeration `members`, others neither."""

    name: str
    id: int
    supertype: str
    abstract: bool = False
    encodings: tuple[int, ...] = ()
    """Default Binary and Default XML."""
    descriptions: tuple[int, ...] = ()
    """Its entries in the binary and the XML type dictionary."""
    values_id: int = 0
    """The property EnumValues."""
    fields: tuple[Field, ...] = ()
    members: tuple[EnumMember, ...] = ()

    @property
    def structure(self) -> bool:
        return bool(self.encodings)
