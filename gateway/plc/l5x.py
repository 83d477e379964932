"""FB_VisionStation as an Add-On Instruction of Logix 5000, in the L5X form, with its two data types.

Logix 5000 Controllers Import/Export (1756-RM014), Add-On Instruction definitions: atomic parameters are Input or
Output, arrays and structures are InOut; a routine in structured text is a list of lines. Logix 5000 Controllers Add-On
Instructions (1756-PM010), Prescan routine: tags keep their values, it runs at power-up and from program to run mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import quoteattr

from gateway.plc import block
from gateway.plc.dialect import Logix
from gateway.plc.names import RESULT_TYPE, STATUS_TYPE, Member, members
from gateway.plc.variables import Section, Times, Variable, variables
from protocols.codec import WordOrder
from protocols.modbus.registers import Block, Type

REVISION = "1.0"
SOFTWARE = "24.00"
_TYPES = {
    "BOOL": "BOOL",
    "INT": "DINT",
    "UINT": "DINT",
    "UDINT": "DINT",
    "TIME": "DINT",
    "WORD": "INT",
    "TON": "FBD_TIMER",
}
"""What stands for the types of IEC 61131-3; a TIME counts milliseconds."""
_EXTRA = (
    Variable(Section.LOCAL, "pair", "WORD", "two words on their way to or from one number", None, 2),
    Variable(Section.LOCAL, "raw", "UDINT", "the bits of a number"),
)


def source(order: WordOrder, times: Times, note: str) -> Iterator[str]:
    """The whole file."""
    yield '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    yield f"<!-- {note} -->"
    yield (
        f'<RSLogix5000Content SchemaRevision="1.0" SoftwareRevision="{SOFTWARE}" TargetName="{block.NAME}" '
        f'TargetType="AddOnInstructionDefinition" TargetRevision="{REVISION}" ContainsContext="true" '
        'ExportOptions="References NoRawData L5KData DecoratedData Context Dependencies AllProjDocTrans">'
    )
    yield '<Controller Use="Context" Name="Vision">'
    yield '<DataTypes Use="Context">'
    yield from _data_type(STATUS_TYPE, members(Block.STATUS))
    yield from _data_type(RESULT_TYPE, members(Block.RESULT))
    yield "</DataTypes>"
    yield '<AddOnInstructionDefinitions Use="Context">'
    yield from _instruction(order, times)
    yield "</AddOnInstructionDefinitions>"
    yield "</Controller>"
    yield "</RSLogix5000Content>"


def _data_type(name: str, rows: tuple[Member, ...]) -> Iterator[str]:
    yield f'<DataType Name="{name}" Family="NoFamily" Class="User">'
    yield "<Members>"
    for row in rows:
        kind, radix = ("REAL", "Float") if row.type is Type.REAL else ("DINT", "Decimal")
        dimension = row.count if row.count > 1 else 0
        yield (
            f'<Member Name="{row.name}" DataType="{kind}" Dimension="{dimension}" Radix="{radix}" Hidden="false" '
            'ExternalAccess="Read/Write">'
        )
        yield _described(row.meaning)
        yield "</Member>"
    yield "</Members>"
    yield "</DataType>"


def _instruction(order: WordOrder, times: Times) -> Iterator[str]:
    everything = variables(times)
    yield (
        f'<AddOnInstructionDefinition Use="Target" Name="{block.NAME}" Revision="{REVISION}" ExecutePrescan="true" '
        f'ExecutePostscan="false" ExecuteEnableInFalse="false" SoftwareRevision="v{SOFTWARE}">'
    )
    yield _described("The PLC's side of the vision gateway's handshake, on two arrays of words.")
    yield "<Parameters>"
    yield from _parameter("EnableIn", "BOOL", "Input", "system defined", visible=False)
    yield from _parameter("EnableOut", "BOOL", "Output", "system defined", visible=False)
    for one in everything:
        if one.section is not Section.LOCAL:
            yield from _parameter_of(one)
    yield "</Parameters>"
    yield "<LocalTags>"
    for one in (*everything, *_EXTRA):
        if one.section is Section.LOCAL:
            yield from _local(one)
    yield "</LocalTags>"
    yield "<Routines>"
    yield from _routine("Logic", block.body(Logix(order)))
    yield from _routine("Prescan", block.prescan(Logix(order)))
    yield "</Routines>"
    yield "</AddOnInstructionDefinition>"


def _routine(name: str, lines: Iterable[str]) -> Iterator[str]:
    yield f'<Routine Name="{name}" Type="ST">'
    yield "<STContent>"
    for number, line in enumerate(lines):
        yield f'<Line Number="{number}">{_cdata(line)}</Line>'
    yield "</STContent>"
    yield "</Routine>"


def _parameter_of(one: Variable) -> Iterator[str]:
    """A structure, which only an InOut can be, is an output in other languages."""
    if one.section is Section.IN_OUT or one.type in (STATUS_TYPE, RESULT_TYPE):
        kind = _TYPES.get(one.type, one.type)
        dimensions = f' Dimensions="{one.length}"' if one.length else ""
        radix = ' Radix="Decimal"' if one.type in _TYPES else ""
        yield (
            f'<Parameter Name="{one.name}" TagType="Base" DataType="{kind}"{dimensions} Usage="InOut"{radix} '
            'Required="true" Visible="true" Constant="false">'
        )
        yield _described(one.meaning)
        yield "</Parameter>"
        return
    usage = "Input" if one.section is Section.INPUT else "Output"
    yield from _parameter(one.name, _TYPES[one.type], usage, one.meaning, default=one.default or 0)


def _parameter(
    name: str, kind: str, usage: str, meaning: str, *, visible: bool = True, default: int = 0
) -> Iterator[str]:
    access = "Read/Write" if usage == "Input" and visible else "Read Only"
    yield (
        f'<Parameter Name="{name}" TagType="Base" DataType="{kind}" Usage="{usage}" Radix="Decimal" Required="false" '
        f'Visible="{str(visible).lower()}" ExternalAccess="{access}">'
    )
    yield _described(meaning)
    if visible:
        yield from _default(kind, default)
    yield "</Parameter>"


def _local(one: Variable) -> Iterator[str]:
    kind = _TYPES[one.type]
    dimensions = f' Dimensions="{one.length}"' if one.length else ""
    radix = "" if kind == "FBD_TIMER" else ' Radix="Decimal"'
    yield f'<LocalTag Name="{one.name}" DataType="{kind}"{dimensions}{radix} ExternalAccess="None">'
    if one.meaning:
        yield _described(one.meaning)
    if one.length:
        zeros = ",".join("0" for _ in range(one.length))
        yield f'<DefaultData Format="L5K">{_cdata(f"[{zeros}]")}</DefaultData>'
    elif kind != "FBD_TIMER":
        yield from _default(kind, one.default or 0)
    yield "</LocalTag>"


def _default(kind: str, value: int) -> Iterator[str]:
    yield f'<DefaultData Format="L5K">{_cdata(str(value))}</DefaultData>'
    yield (
        f'<DefaultData Format="Decorated"><DataValue DataType="{kind}" Radix="Decimal" Value={quoteattr(str(value))}/>'
        "</DefaultData>"
    )


def _described(text: str) -> str:
    return f"<Description>{_cdata(text)}</Description>"


def _cdata(text: str) -> str:
    assert "]]>" not in text  # noqa: S101 - all of it is ours
    return f"<![CDATA[{text}]]>"
