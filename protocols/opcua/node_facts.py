"""What a foreign server says of the nodes that are mapped: type, length, whether we may use them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua

from protocols.link import MapError
from protocols.opcua.connection import Connection
from protocols.opcua.node_values import Builtin, Kind, elements

_KNOWN = frozenset(Builtin)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says of a node."""

    value: ua.DataValue
    data_type: object
    rank: int
    dimensions: Sequence[int] | None
    access: int | None
    missing: str

    def kind(self, what: str) -> Kind:
        """Its type and length; raises MapError."""
        if self.missing:
            raise MapError(
                f"{what} cannot be read ({self.missing}); does the PLC have it, and is it enabled for OPC UA?"
            )
        found = self.value.Value
        number = found.VariantType.value if found is not None and found.Value is not None else 0
        if isinstance(self.data_type, ua.NodeId) and self.data_type.NamespaceIndex == 0:
            declared = self.data_type.Identifier
            number = int(declared) if isinstance(declared, int) and int(declared) in _KNOWN else number
        if number not in _KNOWN:
            raise MapError(f"{what} is of a type that holds no field of the contract ({_type_name(self.data_type)})")
        return Kind(Builtin(number), elements(plain(self.value), self.dimensions, self.rank))

    def check_access(self, writing: bool, what: str) -> None:
        """Whether we may do with it what we have to; raises MapError."""
        needed, word = (2, "written") if writing else (1, "read")
        if self.access is not None and not self.access & needed:
            raise MapError(f"{what} may not be {word} by us; allow it in the PLC, or give another `user`")


async def learn(connection: Connection, nodes: Sequence[ua.NodeId]) -> list[Facts]:
    """Ask the server about each of these nodes, in order."""
    values = await connection.read(nodes)
    types = await connection.read(nodes, ua.AttributeIds.DataType)
    ranks = await connection.read(nodes, ua.AttributeIds.ValueRank)
    sizes = await connection.read(nodes, ua.AttributeIds.ArrayDimensions)
    access = await connection.read(nodes, ua.AttributeIds.UserAccessLevel)
    return [
        Facts(
            value,
            plain(kind),
            _whole(plain(rank), -1),
            size if isinstance(size := plain(dims), list) else None,
            _level(plain(may)),
            "" if kind.StatusCode is None or kind.StatusCode.is_good() else kind.StatusCode.name,
        )
        for value, kind, rank, dims, may in zip(values, types, ranks, sizes, access, strict=True)
    ]


def plain(value: ua.DataValue) -> object:
    """The value without its type; None where there is none."""
    return value.Value.Value if value.Value is not None else None


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _level(value: object) -> int | None:
    return int(value) if isinstance(value, int) else None


def _type_name(data_type: object) -> str:
    return data_type.to_string() if isinstance(data_type, ua.NodeId) else "unknown"
