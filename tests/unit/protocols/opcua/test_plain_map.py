import re
from dataclasses import fields

import pytest

from protocols.modbus.registers import CONTROL_BITS, FIELDS, RESULT_BITS, STATUS_BITS, Block
from protocols.opcua.plain_command import command_values
from protocols.opcua.plain_map import (
    CONTRACT_NODES,
    FOLDERS,
    RESULT_STRUCTURE,
    STRUCTURE_FIELDS,
    DataType,
    Part,
    node_id,
    nodes_of,
)
from protocols.opcua.plain_values import fitted, result_values, status_values, structure_values
from protocols.signals import Command, Result, Status
from protocols.station_view import RecipeFacts, StationFacts

FACTS = StationFacts(
    "press-1",
    (
        RecipeFacts(1, "caps", values=("width", "x.pos"), checks=("scratch", "burr"), codes=((7, "burred"),)),
        RecipeFacts(2, "lids", values=("x.pos", "height"), checks=("dent",)),
    ),
)
NODES = {node.path: node for node in nodes_of(FACTS)}
FOLDER = {Block.COMMAND: "Command", Block.STATUS: "Status", Block.RESULT: "Result"}


def test_every_field_of_the_contract_is_a_variable_of_its_type() -> None:
    types = {"BITS": "UInt16", "UINT": "UInt16", "UDINT": "UInt32", "REAL": "Float", "STRING": "String"}
    for field in FIELDS:
        if field.block is not Block.SIGNATURE:
            assert NODES[f"{FOLDER[field.block]}.{field.name}"].type_text == types[field.type]


@pytest.mark.parametrize(
    ("word", "bits"),
    [("Command.CONTROL", CONTROL_BITS), ("Status.STATUS", STATUS_BITS), ("Result.RESULT_BITS", RESULT_BITS)],
)
def test_every_bit_of_the_contract_is_a_boolean_below_its_word(word: str, bits: tuple[object, ...]) -> None:
    below = [node for node in NODES.values() if node.parent == word]
    assert len(below) == len(bits)
    assert all(node.type is DataType.BOOLEAN for node in below)


def test_only_command_is_written_by_clients() -> None:
    assert {node.path.split(".")[0] for node in NODES.values() if node.writable} == {"Command"}
    assert {node.path for node in NODES.values() if node.path.startswith("Command")} == {
        node.path for node in NODES.values() if node.writable
    }


def test_every_node_stands_below_another_one() -> None:
    above = {path for path, _ in FOLDERS} | set(NODES) | {""}
    assert all(node.parent in above for node in NODES.values())
    assert NODES["Result.Values.x.pos"].parent == "Result.Values"
    assert NODES["Result.Values.x.pos"].name == "x.pos"


def test_a_name_of_two_recipes_is_one_variable() -> None:
    assert [path for path in NODES if path.startswith("Result.Values.")] == [
        "Result.Values.width",
        "Result.Values.x.pos",
        "Result.Values.height",
    ]
    assert len(NODES) == len(nodes_of(FACTS))


def test_node_ids_are_readable_and_the_same_each_time() -> None:
    assert node_id("press-1", "Command.TRIGGER_SEQ") == "ns=2;s=press-1.Command.TRIGGER_SEQ"
    assert node_id("press-1") == "ns=2;s=press-1"
    assert nodes_of(FACTS) == nodes_of(FACTS)


def test_every_variable_has_a_value_and_every_value_a_variable() -> None:
    shown = {path for path, _ in status_values(Status())}
    shown |= {path for path, _ in result_values(fitted(Result()), FACTS)}
    shown |= {path for path, _ in command_values(Command())}
    assert shown | {"Driver", "Writer", RESULT_STRUCTURE} == set(NODES)


def test_the_structure_holds_the_whole_result_and_its_number_first_and_last() -> None:
    names = [field.name for field in STRUCTURE_FIELDS]
    assert names[0] == "RESULT_SEQ"
    assert names[-1] == "RESULT_SEQ_COPY"
    assert list(structure_values(Result())) == names
    assert len(names) == len(fields(Result)) + 1  # the copy
    assert "VALUE" in names


def test_a_result_speaks_the_names_of_the_recipe_that_judged() -> None:
    result = fitted(Result(5, recipe=2, reason=7, bits=1 << 8, values=(1.5, 2.5)))
    shown = dict(result_values(result, FACTS))
    assert shown["Result.Values.x.pos"] == 1.5
    assert shown["Result.Values.height"] == 2.5
    assert shown["Result.Values.width"] is None  # of the other recipe
    assert shown["Result.Checks.dent"] is True
    assert shown["Result.Checks.scratch"] is None
    assert dict(result_values(fitted(Result(5, recipe=1, reason=7)), FACTS))["Result.REASON_TEXT"] == "burred"
    assert shown["Result.REASON_TEXT"] == "code 7"


def test_a_named_value_that_was_not_found_has_no_value() -> None:
    shown = dict(result_values(fitted(Result(5, recipe=1)), FACTS))
    assert shown["Result.Values.width"] is None


def test_numbers_too_large_for_their_words_never_become_an_ok() -> None:
    shown = fitted(Result(5, judgement=65537, score=1e300))
    assert shown.judgement == 65535
    assert shown.score == float("inf")
    assert dict(result_values(shown, FACTS))["Result.JUDGEMENT_TEXT"] == "65535"


def test_what_makes_a_result_valid_comes_last() -> None:
    assert [path for path, _ in result_values(Result(), FACTS)][-1] == "Result.RESULT_SEQ"
    paths = [path for path, _ in status_values(Status())]
    assert paths.index("Status.STATUS") > paths.index("Status.PENDING")
    assert all(path.startswith("Status.STATUS") for path in paths[paths.index("Status.STATUS") :])


def test_every_text_says_something_and_none_speaks_of_registers() -> None:
    assert all(node.text for node in CONTRACT_NODES)
    assert not [node.path for node in CONTRACT_NODES if re.search("coil|register|discrete|NUL", node.text)]


def test_parts_say_what_a_fault_takes_away() -> None:
    measured = {node.path for node in CONTRACT_NODES if node.part is Part.MEASURED}
    assert {"Result.SCORE", "Result.FINDINGS", "Result.VALUE", "Result.VALUE_12"} <= measured
    assert not {"Result.JUDGEMENT", "Result.REASON", "Result.RESULT_SEQ", "Result.PART_ID"} & measured
