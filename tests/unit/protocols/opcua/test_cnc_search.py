"""Values of a CNC are found by the types of its objects; the address space is played."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import pytest

from protocols.opcua import cnc_search
from protocols.opcua.cnc import CNC, PLACES, STANDARDS, TOOL, TYPES, UA, WORDS, Kind, Name, Profile, TypeId, id_of
from protocols.opcua.cnc_search import Choice, Seen, catalogue, locate

FOLDER: TypeId = (UA, 61)
VENDOR = "urn:vendor"
Children = list[tuple[Name, TypeId | None, bool]]


class Space:
    """An address space: nodes are paths. Counts what is asked."""

    objects: Hashable = ""

    def __init__(self, tree: dict[str, Children], types: dict[TypeId, list[TypeId]] | None = None) -> None:
        self.tree, self.types, self.asked = tree, types or {}, 0

    async def children(self, nodes: Sequence[Hashable]) -> list[list[Seen]]:
        self.asked += len(nodes)
        return [
            [Seen(f"{node}/{name[1]}", name, kind, object_) for name, kind, object_ in self.tree.get(str(node), [])]
            for node in nodes
        ]

    async def subtypes(self, type_: TypeId) -> list[TypeId]:
        return self.types.get(type_, [])


def channels(*names: str, kind: TypeId = (CNC, 1002)) -> Space:
    tree: dict[str, Children] = {
        "": [((VENDOR, "Deep"), FOLDER, True), ((UA, "Server"), (UA, 2004), True)],
        "/Deep": [((VENDOR, "List"), (CNC, 1010), True)],
        "/Deep/List": [((VENDOR, name), kind, True) for name in names],
        "/Server": [((VENDOR, "never"), (CNC, 1002), True)],
    }
    for name in names:
        tree[f"/Deep/List/{name}"] = [((CNC, "ToolId"), (UA, 63), False), ((VENDOR, "ActStatus"), (UA, 63), False)]
    return Space(tree)


async def found(space: Space, name: str, choice: Choice | None = None) -> cnc_search.Located:
    row = PLACES[Profile.CNC][name]
    book = await catalogue(space, Profile.CNC, cnc_search.kinds([row]))
    return await locate(space, book, row, choice or Choice())


async def test_a_channel_is_found_by_its_type_wherever_it_is() -> None:
    assert await found(channels("C1"), "tool_id") == ("/Deep/List/C1/ToolId", "")


async def test_of_two_the_first_is_taken_and_that_is_said() -> None:
    node, note = await found(channels("C1", "C2"), "tool_id")
    assert node == "/Deep/List/C1/ToolId"
    assert "C1, C2" in note
    assert "C1 is taken" in note


@pytest.mark.parametrize("wanted", ["C2", "2"])
async def test_another_one_by_name_or_number(wanted: str) -> None:
    node, note = await found(channels("C1", "C2"), "tool_id", Choice({Kind.CHANNEL: wanted}))
    assert (node, note) == ("/Deep/List/C2/ToolId", "")


@pytest.mark.parametrize("wanted", ["C3", "3", "0"])
async def test_one_that_is_not_there_is_not_replaced_by_another(wanted: str) -> None:
    node, note = await found(channels("C1", "C2"), "tool_id", Choice({Kind.CHANNEL: wanted}))
    assert node is None
    assert "C1, C2" in note


async def test_types_that_a_manufacturer_derived_count_too() -> None:
    space = channels("C1", kind=(VENDOR, 7))
    space.types = {(CNC, 1002): [(VENDOR, 6)], (VENDOR, 6): [(VENDOR, 7), (CNC, 1002)]}
    assert (await found(space, "tool_id")).node == "/Deep/List/C1/ToolId"


async def test_a_name_of_another_namespace_is_another_name() -> None:
    node, note = await found(channels("C1"), "channel_state")
    assert node is None
    assert "ActStatus" in note


async def test_the_second_place_is_looked_at_where_the_first_is_missing() -> None:
    tree: dict[str, Children] = {
        "": [((VENDOR, "M"), (TOOL, 13), True)],
        "/M": [((TOOL, "Production"), (TOOL, 21), True)],
        "/M/Production": [((TOOL, "Statistics"), (TOOL, 20), True)],
        "/M/Production/Statistics": [((TOOL, "PartsProducedInLifetime"), (UA, 63), False)],
    }
    space, row = Space(tree), PLACES[Profile.MACHINETOOL]["part_counter"]
    book = await catalogue(space, Profile.MACHINETOOL, cnc_search.kinds([row]))
    located = await locate(space, book, row, Choice())
    assert located.node == "/M/Production/Statistics/PartsProducedInLifetime"


async def test_the_search_is_bounded_in_number_and_depth_and_a_loop_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cnc_search, "MAX_OBJECTS", 20)
    wide = Space({"": [((VENDOR, str(n)), FOLDER, True) for n in range(500)]})
    node, note = await found(wide, "tool_id")
    assert node is None
    assert "ended after 20 objects" in note
    assert wide.asked <= 20

    class Endless(Space):
        async def children(self, nodes: Sequence[Hashable]) -> list[list[Seen]]:
            self.asked += len(nodes)
            return [[Seen(f"{node}/x", (VENDOR, "x"), FOLDER, True)] for node in nodes]

    deep = Endless({})
    assert (await found(deep, "tool_id")).node is None
    assert deep.asked <= cnc_search.MAX_DEPTH

    class Loop(Space):
        async def children(self, nodes: Sequence[Hashable]) -> list[list[Seen]]:
            self.asked += len(nodes)
            return [[Seen("", (VENDOR, "self"), FOLDER, True)] for _ in nodes]

    loop = Loop({})
    assert (await found(loop, "tool_id")).node is None
    assert loop.asked == 1


def test_the_tables_fit_each_other() -> None:
    for profile, rows in PLACES.items():
        for name, row in rows.items():
            assert name in STANDARDS, name
            assert bool(row.places) != bool(row.id), name
            for place in row.places:
                assert (profile, place.kind) in TYPES, name
                assert place.path
            assert not row.words or STANDARDS[name].type.startswith("string") or name == "part_quality"
    assert all(word == word.lower() and word.isidentifier() for word in WORDS)
    assert {"running", "waiting", "ended", "interrupted", "stopped", "aborted"} <= WORDS


def test_operands_of_a_sinumerik() -> None:
    template = PLACES[Profile.SINUMERIK]["axis_position"].id
    for axis, number in (("Z", "3"), ("x", "1"), ("4", "4")):
        text = id_of(template, channel="2", spindle="1", axis=axis, index=None)
        assert text == f"/Channel/GeometricAxis/actToolBasePos[u2,{number}]"
    template = PLACES[Profile.SINUMERIK]["r_parameter"].id
    assert id_of(template, channel="1", spindle="1", axis="", index=21) == "/Channel/Parameter/R[u1,21]"
