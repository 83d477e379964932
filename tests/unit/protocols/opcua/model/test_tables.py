"""The tables of the type model agree with themselves; a row that cannot be is refused with its place."""

import re
from collections import Counter

import pytest

from protocols.opcua.model.core_types import CORE_TABLE
from protocols.opcua.model.data_types import DATA_TYPES
from protocols.opcua.model.layout import Layouts
from protocols.opcua.model.model_tables import OWN_TABLES, ModelTables, ends, tables
from protocols.opcua.model.rows import Field, Kind, Node, TableError
from protocols.opcua.model.table_language import StepRow, types

STEPS = [
    (machine, step) for machine, steps in tables().layouts.steps.items() for step in steps
]  # of all three machines
STATES = {step.number: step for _, step in STEPS if step.number < 100}
TRANSITIONS = [step for _, step in STEPS if step.number >= 100]


def test_every_node_has_a_number_of_its_own() -> None:
    ids = [placed.node.id for placed in tables().nodes]
    assert len(ids) == len(set(ids)) == 790
    assert min(ids) > 0


def test_node_classes_come_in_the_numbers_of_the_specification() -> None:
    assert Counter(placed.node.kind for placed in tables().nodes) == {
        Kind.VARIABLE: 478,
        Kind.OBJECT: 133,
        Kind.METHOD: 119,
        Kind.OBJECT_TYPE: 35,
        Kind.DATA_TYPE: 22,
        Kind.REFERENCE_TYPE: 2,
        Kind.VARIABLE_TYPE: 1,
    }


def test_everything_a_row_names_exists() -> None:
    found = tables()
    for placed in found.nodes:
        node = placed.node
        for name in (node.type, node.data_type, node.link):
            assert not name or found.ref(name).id > 0
        for field in node.value if isinstance(node.value, tuple) else ():
            if isinstance(field, Field):
                assert found.ref(field.type).id > 0


def test_parents_come_before_their_children() -> None:
    seen = set()
    for placed in tables().nodes:
        node, parent = placed.node, placed.parent
        if parent is not None and parent.own and node.kind in {Kind.OBJECT, Kind.VARIABLE, Kind.METHOD}:
            assert parent.id in seen
        seen.add(node.id)


def test_links_join_nodes_that_exist_and_none_twice() -> None:
    ids = {placed.node.id for placed in tables().nodes}
    links = tables().links
    assert len(links) == len(set(links))
    assert all(link.source.own and link.source.id in ids and link.target.id in ids for link in links)


@pytest.mark.parametrize("step", TRANSITIONS, ids=lambda step: step.name)
def test_a_transition_is_named_and_numbered_after_its_ends(step: StepRow) -> None:
    start, end = (STATES[number] for number in ends(step.number))
    assert step.name.startswith(f"{start.name}To{end.name}")
    assert step.name.endswith("Auto") == (step.number % 10 == 0)


@pytest.mark.parametrize("step", TRANSITIONS, ids=lambda step: step.name)
def test_a_transition_has_a_cause_exactly_when_it_is_not_automatic(step: StepRow) -> None:
    assert bool(step.cause) == (step.number % 10 != 0)


def test_every_state_but_the_last_can_be_left_and_every_state_but_the_first_reached() -> None:
    left, reached = ({ends(step.number)[end] for step in TRANSITIONS} for end in (0, 1))
    assert STATES.keys() - left == {12}  # Exit of the step model
    assert STATES.keys() - reached == {11}  # Entry of the step model


def test_numbers_of_states_and_transitions_are_unique() -> None:
    assert len(STEPS) == len({step.number for _, step in STEPS}) == 12 + 41


@pytest.mark.parametrize(("number", "expected"), [(120, (1, 2)), (862, (8, 6)), (13141, (13, 14)), (11120, (11, 12))])
def test_the_ends_of_a_transition_stand_in_its_number(number: int, expected: tuple[int, int]) -> None:
    assert ends(number) == expected


def member(type_name: str, *path: str) -> Node:
    node = tables().layouts.types[type_name]
    for name in path:
        node = next(child for child in node.below if child.name == name)
    return node


def test_a_copy_has_the_layout_of_what_it_copies_and_a_number_of_its_own() -> None:
    path = ("VisionStateMachine", "AutomaticModeStateMachine", "StartSingleJob", "InputArguments")
    copy = member("VisionSystemType", *path)
    original = member("VisionAutomaticModeStateMachineType", "StartSingleJob", "InputArguments")
    assert (copy.id, original.id) == (6411, 6281)
    assert (copy.value, copy.rule, copy.dimensions) == (original.value, original.rule, original.dimensions)


def test_a_member_that_the_core_declares_keeps_its_name_there() -> None:
    assert member("VisionSystemType", "VisionStateMachine", "CurrentState").core_name
    assert member("RecipeTransferType", "GenerateFileForRead").core_name
    assert not member("RecipeManagementType", "PrepareRecipe").core_name


def test_a_derived_structure_begins_with_the_fields_of_its_base() -> None:
    found = {data_type.name: data_type for data_type in tables().data_types}
    base = found["BinaryIdBaseDataType"]
    for name in ("RecipeIdExternalDataType", "RecipeIdInternalDataType", "ConfigurationIdDataType"):
        assert found[name].fields == base.fields
        assert not set(found[name].encodings) & set(base.encodings)


REFUSED = {
    "a row that cannot be read": ("6322 M . Int32", "6322 X . Int32", "cannot be read: 'Steps 6322 X . Int32'"),
    "a copy of nothing": ("        Abort 7092", "        Abart 7092", "Abart: no type declares it"),
    "a number too many": ("Abort 7092 6405 6406", "Abort 7092 6405 6406 6407", "Abort: more numbers than mandatory"),
    "a number too few": ("Abort 7092 6405 6406", "Abort 7092 6405", "Abort: no number for OutputArguments"),
    "two types of one name": ("ErrorEventType 1019", "StateChangedEventType 1019", "two types of this name"),
    "a cause that is no method": (
        "5032 6230 by Halt",
        "5032 6230 by Hold",
        "VisionStateMachineType has no member Hold",
    ),
    "an end that is no state": ("\n    430 Op", "\n    490 Op", "no state has the number 9"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_table_that_contradicts_itself_is_refused(mistake: str) -> None:
    right, wrong, message = REFUSED[mistake]
    assert right in OWN_TABLES
    with pytest.raises(TableError, match=re.escape(message)):
        _ = ModelTables(OWN_TABLES.replace(right, wrong), DATA_TYPES).links


def test_types_that_copy_from_each_other_are_refused() -> None:
    knot = "AType 1 < BType\n    One 2 O : BType\nBType 3 < AType\n    Two 4 O : AType\n"
    with pytest.raises(TableError, match="copy from each other"):
        Layouts(types(CORE_TABLE), types(knot))
