"""Finds the values of a CNC in an address space by the types of its objects. Pure: the server is browsed by others.

Bounded: so many objects are looked at and no more, so that a server with a hundred thousand nodes delays the start by
seconds, not minutes. What was found, and what was chosen of several, is told in a note for the log.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from protocols.opcua.cnc import TYPES, UA, Found, Kind, Name, Place, Profile, TypeId

MAX_OBJECTS: Final = 3000
"""Objects whose contents are browsed at most."""
MAX_DEPTH: Final = 12
MAX_TYPES: Final = 200
AT_ONCE: Final = 50
"""Nodes in one Browse request."""
_SERVER: Final = (UA, "Server")
"""Of no machine's concern, and large."""


class Seen(NamedTuple):
    """One reference of a browsed node."""

    node: Hashable
    """Whatever the browser calls the node."""
    name: Name
    type: TypeId | None
    """Its type definition; None for what has none."""
    object: bool
    """An object; else a variable."""


class Browser(Protocol):
    """Looks into a server's address space; raises PeerError when it cannot."""

    @property
    def objects(self) -> Hashable:
        """The Objects folder."""

    async def children(self, nodes: Sequence[Hashable]) -> list[list[Seen]]:
        """The objects and variables below each of these nodes, in the server's order."""

    async def subtypes(self, type_: TypeId) -> list[TypeId]:
        """The types derived directly from this one; none where the server does not know it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which objects to take where there are several: name or number (from 1) by kind."""

    names: Mapping[Kind, str] = field(default_factory=dict)


@dataclass(slots=True)
class Catalogue:
    """The objects of a machine by kind, in the server's order."""

    found: dict[Kind, list[Seen]] = field(default_factory=dict)
    complete: bool = True
    """False: the search ended at its bound."""

    def choose(self, kind: Kind, wanted: str | None) -> tuple[Seen | None, str]:
        """The object to take, and a note where there was a choice or there is none."""
        have = self.found.get(kind, [])
        names = ", ".join(seen.name[1] for seen in have[:10])
        if not have:
            more = "" if self.complete else f"; the search ended after {MAX_OBJECTS} objects: name the node itself"
            return None, f"the server has no {kind.value} of a known type{more}"
        if wanted is None:
            note = f"{len(have)} of kind {kind.value} ({names}): {have[0].name[1]} is taken" if len(have) > 1 else ""
            return have[0], note
        chosen = next((seen for seen in have if seen.name[1] == wanted), None)
        if chosen is None and wanted.isdigit() and 0 < int(wanted) <= len(have):
            chosen = have[int(wanted) - 1]
        return chosen, "" if chosen else f"the server has no {kind.value} {wanted!r}; it has {names}"


async def catalogue(browser: Browser, profile: Profile, kinds: Iterable[Kind]) -> Catalogue:
    """The objects of these kinds, breadth first from the Objects folder."""
    book = Catalogue()
    types = await _with_subtypes(browser, {TYPES[profile, kind]: kind for kind in kinds})
    level: list[Hashable] = [browser.objects]
    seen_before: set[Hashable] = set(level)
    looked = 0
    for _ in range(MAX_DEPTH):
        below: list[Hashable] = []
        for start in range(0, len(level), AT_ONCE):
            part = level[start : start + AT_ONCE]
            if looked + len(part) > MAX_OBJECTS:
                book.complete = False
                return book
            looked += len(part)
            for children in await browser.children(part):
                for child in children:
                    if not child.object or child.name == _SERVER or child.node in seen_before:
                        continue
                    seen_before.add(child.node)
                    if child.type is not None and (kind := types.get(child.type)) is not None:
                        book.found.setdefault(kind, []).append(child)
                    below.append(child.node)
        level = below
        if not level:
            return book
    book.complete = False
    return book


async def _with_subtypes(browser: Browser, wanted: Mapping[TypeId, Kind]) -> dict[TypeId, Kind]:
    """The kinds by type, for what manufacturers have derived from the types as well."""
    known = dict(wanted)
    rest = list(wanted)
    while rest and len(known) < MAX_TYPES:
        type_ = rest.pop(0)
        for derived in await browser.subtypes(type_):
            if derived not in known:
                known[derived] = known[type_]
                rest.append(derived)
    return known


async def follow(browser: Browser, start: Hashable, path: Sequence[Name]) -> Hashable | None:
    """The node at the end of a way of BrowseNames, or None."""
    node = start
    for name in path:
        (children,) = await browser.children([node])
        node = next((child.node for child in children if child.name == name), None)
        if node is None:
            return None
    return node


class Located(NamedTuple):
    """Where a value is, or why it is nowhere."""

    node: Hashable | None
    note: str
    """For the log; with no node, the reason."""


async def locate(browser: Browser, book: Catalogue, found: Found, choice: Choice, axis: str = "") -> Located:
    """The node of a standard name: the first of its places that the server has."""
    notes: list[str] = []
    for place in found.places:
        wanted = axis or None if place.kind is Kind.AXIS else choice.names.get(place.kind)
        anchor, note = book.choose(place.kind, wanted)
        if anchor is None:
            notes.append(note)
            continue
        node = await follow(browser, anchor.node, place.path)
        if node is not None:
            return Located(node, note)
        notes.append(f"{anchor.name[1]} has no {_way(place)}")
    return Located(None, "; ".join(dict.fromkeys(notes)))


def kinds(rows: Iterable[Found]) -> set[Kind]:
    """The kinds of objects that these values need."""
    return {place.kind for found in rows for place in found.places}


def _way(place: Place) -> str:
    return "/".join(name for _, name in place.path)
