"""An Add-On Instruction read back from its L5X file, as Structured Text that the interpreter runs."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

_SECTIONS = {"Input": "VAR_INPUT", "Output": "VAR_OUTPUT", "InOut": "VAR_IN_OUT"}


def as_structured_text(xml: str) -> str:
    """Types and a function block for each routine, with the declarations and lines of the file, nothing from elsewhere.

    The routine Logic has the name of the instruction; Prescan is a block of that name, on the same variables.
    """
    root = ET.fromstring(xml)  # noqa: S314 - the file is ours
    return "\n".join((*_types(root), *(line for one in root.iter("Routine") for line in _block(root, one))))


def _types(root: ET.Element) -> Iterator[str]:
    for one in root.iter("DataType"):
        yield f"TYPE {one.get('Name')} : STRUCT"
        for member in one.iter("Member"):
            yield f"{member.get('Name')} : {_kind(member.get('DataType'), member.get('Dimension'))};"
        yield "END_STRUCT; END_TYPE"


def _block(root: ET.Element, routine: ET.Element) -> Iterator[str]:
    (aoi,) = root.iter("AddOnInstructionDefinition")
    yield f"FUNCTION_BLOCK {aoi.get('Name') if routine.get('Name') == 'Logic' else routine.get('Name')}"
    for usage, section in _SECTIONS.items():
        yield section
        yield from (_declared(one) for one in aoi.iter("Parameter") if one.get("Usage") == usage)
        yield "END_VAR"
    yield "VAR"
    yield from (_declared(one) for one in aoi.iter("LocalTag"))
    yield "END_VAR"
    lines = list(routine.iter("Line"))
    assert [one.get("Number") for one in lines] == [str(n) for n in range(len(lines))]
    yield from ((one.text or "") for one in lines)
    yield "END_FUNCTION_BLOCK"


def _declared(one: ET.Element) -> str:
    default = one.find("./DefaultData/DataValue")
    first = f" := {default.get('Value')}" if default is not None and default.get("Value") != "0" else ""
    return f"{one.get('Name')} : {_kind(one.get('DataType'), one.get('Dimensions'))}{first};"


def _kind(name: str | None, length: str | None) -> str:
    return f"ARRAY[0..{int(length) - 1}] OF {name}" if length and length != "0" else str(name)
