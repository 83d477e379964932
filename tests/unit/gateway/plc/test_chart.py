"""The block's chart is the tables' chart: nothing is missing, nothing is added, the order is theirs."""

from __future__ import annotations

import re

import pytest

from gateway.plc import block, chart
from gateway.plc.dialect import Iec, Logix
from gateway.plc.names import members
from gateway.plc.variables import Times, variables
from protocols.codec import WordOrder
from protocols.handshake import PLC_BITS, PLC_SEQUENCE, PlcState, Style
from protocols.modbus.registers import FIELDS, Block, Type

MOVES = (*PLC_SEQUENCE, *PLC_BITS)


def test_every_guard_and_action_of_the_tables_has_its_text_and_no_other() -> None:
    assert set(chart.GUARDS) == {move.guard for move in MOVES}
    assert set(chart.ACTIONS) == {move.action for move in MOVES}


@pytest.mark.parametrize("style", Style)
def test_the_case_statement_is_the_table_row_by_row(style: Style) -> None:
    numbers = {str(number): state for state, number in chart.NUMBER.items()}
    found, state = [], None
    for line in chart.case(style):
        if label := re.match(r"  (\d+): ", line):
            state = numbers[label[1]]
        elif row := re.match(r"    (?:ELS)?IF (.*) THEN \(\* (\w+): (\w+) \*\)", line):
            assert row[1] == chart.GUARDS[row[2]]
            found.append([state, row[2], row[3]])
        elif to := re.match(r"      state := (\d+);", line):
            found[-1].append(numbers[to[1]])
    assert found == [[move.state, move.guard, move.action, move.to] for move in chart.TABLES[style]]


def test_states_are_numbered_so_that_the_ends_are_the_last() -> None:
    assert chart.NUMBER[PlcState.IDLE] == 0
    assert sorted(chart.NUMBER, key=chart.NUMBER.__getitem__)[-2:] == [PlcState.DONE, PlcState.FAILED]


def test_every_variable_is_declared_once_and_used() -> None:
    names = [one.name for one in variables(Times())]
    assert len(names) == len({name.lower() for name in names}), "PLC languages do not tell case"
    text = "\n".join(block.body(Iec()))
    assert [name for name in names if not re.search(rf"(?<![\w.]){name}\b", text)] == []


@pytest.mark.parametrize("dialect", [Iec(), *map(Logix, WordOrder)])
def test_every_word_the_gateway_shows_is_read_from_its_place(dialect: Iec | Logix) -> None:
    text = "\n".join(block.body(dialect))
    read = {int(word) for word in re.findall(r"status\[(\d+)\]", text)}
    shown = [field for field in FIELDS if field.block in (Block.STATUS, Block.RESULT)]
    assert read == {field.word + n for field in shown for n in range(field.words)}


@pytest.mark.parametrize("block_of", [Block.STATUS, Block.RESULT])
def test_members_stand_where_the_map_has_them(block_of: Block) -> None:
    fields = {field.word: field for field in FIELDS if field.block is block_of and field.name != "RESULT_SEQ_COPY"}
    covered = set()
    for member in members(block_of):
        width = 2 if member.type in (Type.REAL, Type.UDINT) else 1
        for index in range(member.count):
            field = fields[member.word + index * width]
            assert field.type is member.type
            covered.add(field.word)
    assert covered == set(fields)


def test_the_command_block_is_written_at_its_places() -> None:
    text = "\n".join(block.body(Iec()))
    written = {int(word) for word in re.findall(r"command\[(\d+)\] :=", text)}
    program = {"USER_0", "USER_1", "USER_2", "USER_3", "USER_4", "USER_5", "SERIAL"}
    own = [field for field in FIELDS if field.block is Block.COMMAND and field.name not in program]
    assert written == {field.word + n for field in own for n in range(field.words)}
