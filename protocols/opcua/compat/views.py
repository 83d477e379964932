"""Browsing within bounds: asyncua looks for the subtypes of a reference type anew at each reference, and never stops.

A thousand nodes browsed at once, or one long path, kept its loop busy for many seconds.
Source: OPC UA Part 4 §5.9.2 (Browse), §5.9.4 (TranslateBrowsePathsToNodeIds), §7.6 (ContinuationPoint).
"""

from __future__ import annotations

import sys
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.address_space import AddressSpace, ViewService

from protocols.opcua.compat.names import status


class Views(ViewService):
    """Knows the subtypes of reference types, and when it is enough."""

    def __init__(self, aspace: AddressSpace) -> None:
        super().__init__(aspace)
        self._below: dict[ua.NodeId, frozenset[ua.NodeId]] = {}
        self._nodes = 0
        self._left = sys.maxsize

    def browse(self, params: ua.BrowseParameters, most: int = sys.maxsize) -> list[ua.BrowseResult]:
        """`most`: references in all; what goes beyond is refused, as there are no continuation points."""
        results: list[ua.BrowseResult] = []
        for wanted in params.NodesToBrowse:
            found = self._browse(wanted) if most > 0 else ua.BrowseResult()
            most -= len(found.References) + 1
            if most < 0:
                found = ua.BrowseResult(StatusCode=status("BadNoContinuationPoints"))
            results.append(found)
        return results

    def translate_browsepaths_to_nodeids(
        self, browsepaths: list[ua.BrowsePath], most: int = sys.maxsize
    ) -> list[ua.BrowsePathResult]:
        """`most`: references that are looked at in all; ServiceError for who asks for more."""
        self._left = most
        try:
            return super().translate_browsepaths_to_nodeids(browsepaths)
        finally:
            self._left = sys.maxsize

    def _navigate(self, start_nodeid: ua.NodeId, elements: list[ua.RelativePathElement]) -> list[ua.NodeId]:
        """Each node once, however many ways lead there."""
        nodes = [start_nodeid]
        for element in elements:
            nodes = list(dict.fromkeys(found for node in nodes for found in self._find_elements_in_node(element, node)))
        return nodes

    def _find_elements_in_node(self, el: ua.RelativePathElement, nodeid: ua.NodeId) -> list[ua.NodeId]:
        data = self._aspace.get(nodeid)
        if data is None:
            return []
        self._left -= len(data.references) + 1
        if self._left < 0:
            raise ServiceError(ua.StatusCodes.BadTooManyOperations)
        return super()._find_elements_in_node(el, nodeid)

    def _suitable_reftype(self, ref1: ua.NodeId, ref2: ua.NodeId, subtypes: bool) -> bool:
        if ref1.Identifier == 0 and ref1.NamespaceIndex == 0:
            return True
        return ref1 == ref2 or (subtypes and ref2 in self._all_below(ref1))

    def _all_below(self, kind: ua.NodeId) -> frozenset[ua.NodeId]:
        """The subtypes of a reference type, and theirs."""
        nodes: dict[Any, Any] = self._aspace._nodes
        if len(nodes) != self._nodes:  # the address space has grown
            self._nodes = len(nodes)
            self._below.clear()
        if kind not in nodes:
            return frozenset()
        found = self._below.get(kind)
        if found is None:
            found = self._below[kind] = frozenset(self._get_sub_ref(kind))
        return found
