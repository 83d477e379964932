"""The same block as an external source file of TIA Portal: PLC data types, functions and FB_VisionStation in SCL."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.plc import block, functions, st
from gateway.plc.dialect import Iec, scl
from gateway.plc.names import RESULT_TYPE, STATUS_TYPE, Member, members
from gateway.plc.variables import Section, Times, Variable, variables
from protocols.codec import WordOrder
from protocols.modbus.registers import Block

_BLOCKS = ("VisionUdint", "VisionWord", "VisionReal")
_ATTRIBUTES = ("{ S7_Optimized_Access := 'TRUE' }", "VERSION : 0.1")


def source(order: WordOrder, times: Times) -> Iterator[str]:
    """Types, functions and the function block, in the order in which TIA Portal must generate them."""
    yield from _type(STATUS_TYPE, members(Block.STATUS))
    yield ""
    yield from _type(RESULT_TYPE, members(Block.RESULT))
    for function in functions.step7(order):
        yield ""
        yield from _function(function)
    yield ""
    yield from _function_block(times)


def _type(name: str, rows: tuple[Member, ...]) -> Iterator[str]:
    yield f'TYPE "{name}"'
    yield "VERSION : 0.1"
    yield "STRUCT"
    for row in rows:
        yield f"  {row.name} : {st.member_type(row)}; (* {row.meaning} *)"
    yield "END_STRUCT;"
    yield "END_TYPE"


def _function(function: functions.Function) -> Iterator[str]:
    yield f'FUNCTION "{function.name}" : {function.returns}'
    yield from _ATTRIBUTES
    yield "(* " + function.meaning + " *)"
    for head, rows in (("VAR_INPUT", function.inputs), ("VAR_TEMP", function.locals)):
        yield head
        yield from (f"  {name} : {kind};" for name, kind in rows.items())
        yield "END_VAR"
    yield "BEGIN"
    others = [name for name in _BLOCKS if name != function.name]
    yield from scl(function.body, (function.name, *function.inputs, *function.locals), others)
    yield "END_FUNCTION"


def _function_block(times: Times) -> Iterator[str]:
    everything = variables(times)
    yield f'FUNCTION_BLOCK "{block.NAME}"'
    yield from _ATTRIBUTES
    for section in Section:
        yield section.value
        yield from (f"  {_declared(one)}" for one in everything if one.section is section)
        yield "END_VAR"
    yield "BEGIN"
    yield from scl(block.body(Iec()), [one.name for one in everything], _BLOCKS)
    yield "END_FUNCTION_BLOCK"


def _declared(one: Variable) -> str:
    text = st.declared(one)
    if one.type == "TON":
        return f"{one.name} : TON_TIME;"
    return text.replace(f": {one.type}", f': "{one.type}"') if one.type in (STATUS_TYPE, RESULT_TYPE) else text
