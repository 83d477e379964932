import math
import struct
from pathlib import Path

import pytest

from simulators import cell
from simulators.cell import CYCLE, GATE, PARTS_A_PROGRAM, PROGRAMS, REGISTERS, TOOL_LIFE, WORDS, Alarm, Cell, Phase

SECONDS = cell.seconds()


def word(machine: Cell, name: str) -> int:
    address = next(row.address for row in REGISTERS if row.name == name)
    return int(struct.unpack_from(">H", machine.block(), 2 * address)[0])


def test_a_part_is_done_at_the_end_of_the_cycle_and_not_before() -> None:
    machine = Cell()
    assert machine.advance(SECONDS - 0.01) == 0
    assert word(machine, "CYCLE_STATE") == Phase.UNLOADING
    assert machine.advance(0.02) == 1
    assert struct.unpack_from(">I", machine.block(), 12) == (1,)
    assert struct.unpack_from(">f", machine.block(), 16)[0] == pytest.approx(SECONDS)
    assert word(machine, "CYCLE_STATE") == Phase.LOADING


def test_every_phase_of_the_cycle_is_passed_with_its_tool() -> None:
    machine, seen = Cell(), []
    for _ in range(int(SECONDS / 0.1)):
        seen.append((machine.phase, machine.tool))
        machine.advance(0.1)
    assert list(dict.fromkeys(seen)) == [(step.phase, step.tool) for step in CYCLE]


def test_speed_and_override_are_a_matter_of_time() -> None:
    assert Cell(speed=10).advance(SECONDS) == 10
    assert Cell().advance(SECONDS, override=50) == 0
    machine = Cell()
    assert machine.advance(100 * SECONDS, override=0) == 0
    assert machine.phase is Phase.STOPPED
    assert machine.alarms & Alarm.DOOR_OPEN


def test_a_part_goes_to_good_only_while_the_gate_is_energised() -> None:
    machine = Cell()
    machine.advance(SECONDS, outputs=GATE)
    assert (machine.parts, machine.rejected) == (1, 0)
    machine.advance(SECONDS)
    assert (machine.parts, machine.rejected) == (2, 1)
    assert word(machine, "REJECTED") == 1


def test_programs_change_tools_wear_and_are_replaced() -> None:
    machine = Cell(speed=1)
    programs = set()
    alarms = Alarm(0)
    for _ in range(TOOL_LIFE + 5):
        machine.advance(SECONDS / 2)
        alarms |= machine.alarms
        machine.advance(SECONDS / 2)
        programs.add(machine.program)
        alarms |= machine.alarms
    assert programs == set(PROGRAMS)
    assert machine.parts > PARTS_A_PROGRAM
    assert alarms & Alarm.TOOL_WORN
    assert alarms & Alarm.COOLANT_LOW
    assert min(tool.left for tool in machine.tools.values()) > TOOL_LIFE - 20


def test_the_same_seed_is_the_same_machine() -> None:
    one, same, other = Cell(seed=3), Cell(seed=3), Cell(seed=4)
    for machine in (one, same, other):
        machine.advance(2.0)
    assert one.block() == same.block()
    assert one.block() != other.block()


def test_the_register_table_has_every_word_once_and_the_block_has_that_length() -> None:
    sizes = {"UINT": 1, "INT": 1, "UDINT": 2, "REAL": 2}
    covered = [row.address + n for row in REGISTERS for n in range(sizes[row.type])]
    assert covered == list(range(WORDS))
    assert len(Cell().block()) == 2 * WORDS


def test_the_axis_has_no_position_while_it_moves() -> None:
    machine = Cell()
    machine.advance(0.5)
    assert struct.unpack_from(">f", machine.block(), 34)[0] == 0.0
    machine.advance(1.0)
    assert math.isnan(struct.unpack_from(">f", machine.block(), 34)[0])


def test_the_documented_table_is_the_code_s() -> None:
    page = Path(__file__).parents[3] / "docs" / "simulators.md"
    assert cell.table() in page.read_text(encoding="utf-8")
