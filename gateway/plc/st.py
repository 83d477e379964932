"""Structured Text of IEC 61131-3: types, functions, FB_VisionStation, and a global variable list."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.plc import block, functions
from gateway.plc.dialect import Iec
from gateway.plc.names import RESULT_TYPE, STATUS_TYPE, Member, members
from gateway.plc.variables import Section, Times, Variable, variables
from protocols.codec import WordOrder
from protocols.faults import CATALOGUE
from protocols.modbus.registers import COMMAND_WORDS, CONTROL_BITS, OUTPUT_WORDS, RESULT_BITS, STATUS_BITS, Block, Type

TYPES = {Type.BITS: "WORD", Type.UINT: "UINT", Type.UDINT: "UDINT", Type.REAL: "REAL"}


def source(order: WordOrder, times: Times) -> Iterator[str]:
    """Types, functions and the function block, in the order in which they need each other."""
    yield from structure(STATUS_TYPE, members(Block.STATUS))
    yield ""
    yield from structure(RESULT_TYPE, members(Block.RESULT))
    for function in functions.iec(order):
        yield ""
        yield from function_text(function)
    yield ""
    yield from function_block(times)


def structure(name: str, rows: tuple[Member, ...]) -> Iterator[str]:
    """A structure as a TYPE declaration."""
    yield f"TYPE {name} :"
    yield "STRUCT"
    for row in rows:
        yield f"  {row.name} : {member_type(row)}; (* {row.meaning} *)"
    yield "END_STRUCT;"
    yield "END_TYPE"


def member_type(row: Member) -> str:
    """The IEC type of a member."""
    return f"ARRAY[0..{row.count - 1}] OF {TYPES[row.type]}" if row.count > 1 else TYPES[row.type]


def function_text(function: functions.Function) -> Iterator[str]:
    """A function with its declarations."""
    yield f"FUNCTION {function.name} : {function.returns}"
    yield "(* " + function.meaning + " *)"
    for head, rows in (("VAR_INPUT", function.inputs), ("VAR", function.locals)):
        if rows:
            yield head
            yield from (f"  {name} : {kind};" for name, kind in rows.items())
            yield "END_VAR"
    yield from function.body
    yield "END_FUNCTION"


def function_block(times: Times) -> Iterator[str]:
    """FB_VisionStation with its declarations."""
    yield f"FUNCTION_BLOCK {block.NAME}"
    yield from declarations(times)
    yield from block.body(Iec())
    yield "END_FUNCTION_BLOCK"


def declarations(times: Times) -> Iterator[str]:
    """The variables of the block, section by section."""
    everything = variables(times)
    for section in Section:
        yield section.value
        yield from (f"  {declared(one)}" for one in everything if one.section is section)
        yield "END_VAR"


def declared(one: Variable) -> str:
    """`name : type := default; (* meaning *)`."""
    kind = f"ARRAY[0..{one.length - 1}] OF {one.type}" if one.length else one.type
    meaning = f" (* {one.meaning} *)" if one.meaning else ""
    return f"{one.name} : {kind}{initial(one)};{meaning}"


def initial(one: Variable) -> str:
    """The default as an initialisation, or ""."""
    if one.default is None:
        return ""
    return f" := T#{one.default}ms" if one.type == "TIME" else f" := {'TRUE' if one.default else 'FALSE'}"


def global_list() -> Iterator[str]:
    """Two arrays to map the requests to, and the bits and codes by name."""
    yield "VAR_GLOBAL"
    yield f"  visionCommand : ARRAY[0..{COMMAND_WORDS - 1}] OF WORD; (* written to the gateway *)"
    yield f"  visionStatus : ARRAY[0..{OUTPUT_WORDS - 1}] OF WORD; (* read from the gateway *)"
    yield "END_VAR"
    yield "VAR_GLOBAL CONSTANT"
    yield from (f"  {name} : {kind} := {value}; (* {meaning} *)" for name, kind, value, meaning in constants())
    yield "END_VAR"


def constants() -> Iterator[tuple[str, str, str, str]]:
    """Name, type, value and meaning of every bit and every fault code."""
    for prefix, bits in (("CONTROL", CONTROL_BITS), ("STATUS", STATUS_BITS), ("RESULT", RESULT_BITS)):
        for bit in bits:
            yield f"VISION_{prefix}_{bit.name}", "WORD", f"16#{1 << bit.number:04X}", bit.meaning
    for code, info in CATALOGUE.items():
        yield f"VISION_CODE_{info.code.name}", "UINT", str(code), info.text
