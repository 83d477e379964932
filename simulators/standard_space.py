"""Namespace 0 as asyncua builds it, once for each process: a server that starts must not take a second and a half."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from asyncua import ua
from asyncua.server.address_space import AttributeValue, NodeData
from asyncua.server.internal_server import InternalServer

_standard: dict[ua.NodeId, NodeData] = {}


async def load(server: InternalServer, build: Callable[[], Awaitable[None]]) -> None:
    """Fill the server's empty address space with a copy of what `build` once made of it."""
    if not _standard:
        await build()
        _standard.update(server.aspace._nodes)
    server.aspace._nodes = _copied(_standard)


def _copied(nodes: Mapping[ua.NodeId, NodeData]) -> dict[ua.NodeId, NodeData]:
    """The same nodes with references and values of their own."""
    found = {}
    for nodeid, node in nodes.items():
        copy = found[nodeid] = NodeData(nodeid)
        copy.references, copy.call = list(node.references), node.call
        copy.attributes = {
            key: AttributeValue(held.value) for key, held in node.attributes.items() if held.value is not None
        }
    return found
