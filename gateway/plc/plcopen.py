"""The same block as PLCopen XML (TC6, XML Formats for IEC 61131-3): data types and POUs in structured text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal
from xml.sax.saxutils import escape

from gateway.plc import block, functions, st
from gateway.plc.dialect import Iec
from gateway.plc.names import RESULT_TYPE, STATUS_TYPE, Member, members
from gateway.plc.variables import Section, Times, Variable, variables
from protocols.codec import WordOrder
from protocols.modbus.registers import Block

Version = Literal["2.0", "2.01"]
_NAMESPACE = {"2.0": "http://www.plcopen.org/xml/tc6_0200", "2.01": "http://www.plcopen.org/xml/tc6_0201"}
_XHTML = "http://www.w3.org/1999/xhtml"
_VARS = {
    Section.INPUT: "inputVars",
    Section.OUTPUT: "outputVars",
    Section.IN_OUT: "inOutVars",
    Section.LOCAL: "localVars",
}
_DERIVED = ("TON", STATUS_TYPE, RESULT_TYPE)
# The schema wants a date, and the same map must give the same file.
_DATE = "2000-01-01T00:00:00"


def source(order: WordOrder, times: Times, version: Version, note: str) -> Iterator[str]:
    """The whole file; tools differ in the version of the schema they import."""
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield f"<!-- {note} -->"
    yield f'<project xmlns="{_NAMESPACE[version]}" xmlns:xhtml="{_XHTML}">'
    yield f'<fileHeader companyName="" productName="gateway" productVersion="1" creationDateTime="{_DATE}"/>'
    yield f'<contentHeader name="{block.NAME}">'
    scaling = '<scaling x="1" y="1"/>'
    yield f"<coordinateInfo><fbd>{scaling}</fbd><ld>{scaling}</ld><sfc>{scaling}</sfc></coordinateInfo>"
    yield "</contentHeader>"
    yield "<types>"
    yield "<dataTypes>"
    yield from _structure(STATUS_TYPE, members(Block.STATUS))
    yield from _structure(RESULT_TYPE, members(Block.RESULT))
    yield "</dataTypes>"
    yield "<pous>"
    for function in functions.iec(order):
        yield from _function(function)
    yield from _function_block(times)
    yield "</pous>"
    yield "</types>"
    yield "<instances><configurations/></instances>"
    yield "</project>"


def _structure(name: str, rows: tuple[Member, ...]) -> Iterator[str]:
    yield f'<dataType name="{name}"><baseType><struct>'
    for row in rows:
        yield from _variable(row.name, st.TYPES[row.type], row.count if row.count > 1 else 0, row.meaning)
    yield "</struct></baseType></dataType>"


def _function(function: functions.Function) -> Iterator[str]:
    yield f'<pou name="{function.name}" pouType="function">'
    yield "<interface>"
    yield f"<returnType><{function.returns}/></returnType>"
    for tag, rows in (("inputVars", function.inputs), ("localVars", function.locals)):
        yield f"<{tag}>"
        for name, kind in rows.items():
            yield from _variable(name, kind)
        yield f"</{tag}>"
    yield "</interface>"
    yield from _body(function.body)
    yield "</pou>"


def _function_block(times: Times) -> Iterator[str]:
    everything = variables(times)
    yield f'<pou name="{block.NAME}" pouType="functionBlock">'
    yield "<interface>"
    for section, tag in _VARS.items():
        yield f"<{tag}>"
        for one in everything:
            if one.section is section:
                yield from _variable(one.name, one.type, one.length, one.meaning, _initial(one))
        yield f"</{tag}>"
    yield "</interface>"
    yield from _body(block.body(Iec()))
    yield "</pou>"


def _initial(one: Variable) -> str:
    return st.initial(one).removeprefix(" := ")


def _variable(name: str, kind: str, length: int = 0, meaning: str = "", initial: str = "") -> Iterator[str]:
    plain = f'<derived name="{kind}"/>' if kind in _DERIVED else f"<{kind}/>"
    if length:
        plain = f'<array><dimension lower="0" upper="{length - 1}"/><baseType>{plain}</baseType></array>'
    first = f'<initialValue><simpleValue value="{initial}"/></initialValue>' if initial else ""
    told = f"<documentation><xhtml:p>{escape(meaning)}</xhtml:p></documentation>" if meaning else ""
    yield f'<variable name="{name}"><type>{plain}</type>{first}{told}</variable>'


def _body(lines: Iterable[str]) -> Iterator[str]:
    yield "<body><ST><xhtml:p>"
    yield from (escape(line) for line in lines)
    yield "</xhtml:p></ST></body>"
