"""Our own nodes as a NodeSet2 file (OPC 10000-6 Annex F), for SCADA systems that import an address space."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from asyncua import Server, ua
from asyncua.common.xmlexporter import XmlExporter

from protocols.opcua.plain_map import NAMESPACE, NAMESPACE_URI
from protocols.signals import MAP_VERSION

CORE = "http://opcfoundation.org/UA/"
_LONG_AGO = "2019-05-01T00:00:00Z"
_REQUIRED = {
    CORE: ("1.04", _LONG_AGO),
    "http://opcfoundation.org/UA/MachineVision": ("1.0.0", "2019-07-11T10:18:27Z"),
}
"""The oldest models with all that our nodes refer to: a client need not have the newest."""
PUBLISHED = "2026-11-01T00:00:00Z"
"""When the layout of these nodes was last changed: a file's content must depend on its configuration alone."""
_INDENT = "  "


async def nodeset(server: Server) -> str:
    """The XML text of namespace 2 of this server, without values; the same text for the same nodes."""
    space = server.iserver.aspace
    own = [name for name in space.keys() if name.NamespaceIndex == NAMESPACE]  # noqa: SIM118 - it is no dict
    exporter = XmlExporter(server)
    await exporter.build_etree([server.get_node(name) for name in own])
    root: ET.Element = next(exporter.etree.iter())
    uris = await server.get_namespace_array()
    root.insert(1, _models(uris, _needed(server, own)))
    ET.indent(root, _INDENT)
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _needed(server: Server, own: list[ua.NodeId]) -> set[int]:
    """Indexes of the namespaces that our nodes refer to."""
    space = server.iserver.aspace
    named = {reference.NodeId.NamespaceIndex for name in own for reference in space[name].references}
    named |= {reference.ReferenceTypeId.NamespaceIndex for name in own for reference in space[name].references}
    return {int(index) for index in named} - {0, NAMESPACE}


def _models(uris: list[str], needed: set[int]) -> ET.Element:
    models = ET.Element("Models")
    version = {"Version": f"{MAP_VERSION}.0.0", "PublicationDate": PUBLISHED}
    own = ET.SubElement(models, "Model", {"ModelUri": NAMESPACE_URI, **version})
    for uri in (CORE, *(uris[index] for index in sorted(needed))):
        needs, published = _REQUIRED.get(uri, ("1.0.0", _LONG_AGO))
        ET.SubElement(own, "RequiredModel", {"ModelUri": uri, "Version": needs, "PublicationDate": published})
    return models
