"""The OPC UA part of `gateway map`: every variable of a station with its node id, for PLC and SCADA programmers."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.opcua.plain_map import NAMESPACE_URI, PlainNode, node_id, nodes_of
from protocols.station_view import StationFacts

Cells = tuple[str, ...]
HEAD: Cells = ("node id", "type", "access", "meaning")


def rows(facts: StationFacts) -> Iterator[Cells]:
    """Node id, data type, access and meaning of each variable, in a fixed order."""
    for node in nodes_of(facts):
        yield node_id(facts.name, node.path), node.type_text, access(node), node.text


def access(node: PlainNode) -> str:
    """What an operator may do with it; everybody else reads."""
    return "read, write" if node.writable else "read"


def csv_rows(facts: StationFacts) -> Iterator[Cells]:
    """The same under the headings of the register table: no unit, no registers, the node id as address."""
    for node in nodes_of(facts):
        block = node.path.partition(".")[0].lower()
        name, where = node.path.partition(".")[2] or node.path, node_id(facts.name, node.path)
        kind = "write" if node.writable else "read"
        yield facts.name, "", block, name, node.type_text, "", "opc ua", "", where, "", "", "", kind, node.text


def introduction() -> Iterator[str]:
    """What stands before the table of the first station."""
    yield "## OPC UA"
    yield ""
    yield f"The nodes of all stations stand in the namespace `{NAMESPACE_URI}`, which has index 2 in this server."
    yield "Command is written by users of the role operator; `docs/opcua-server.md` tells of the trigger cycle."
