"""`gateway map`: the register map of every station as tables, for the person who programs the PLC."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from typing import TextIO

from gateway.config import GatewayConfig, StationConfig
from protocols.codec import StringOrder, WordOrder
from protocols.faults import CATALOGUE, FaultClass
from protocols.modbus.client_fields import Area, field_of, words_of
from protocols.modbus.polled_settings import PolledConfig
from protocols.modbus.registers import (
    CONTROL_BITS,
    FIELDS,
    RESULT_BITS,
    STATUS_BITS,
    Bit,
    Block,
    Field,
    RegisterMap,
    Table,
    Type,
    plc_address,
)
from protocols.modbus.rtu_settings import ModbusRtuServerConfig, SerialConfig
from protocols.modbus.server_settings import ModbusServerConfig
from protocols.opcua.client_settings import OpcUaClientConfig

ModbusLink = ModbusServerConfig | ModbusRtuServerConfig | PolledConfig
ServedLink = ModbusServerConfig | ModbusRtuServerConfig
"""The PLC polls: the gateway has the registers."""

_BITS = {"CONTROL": CONTROL_BITS, "STATUS": STATUS_BITS, "RESULT_BITS": RESULT_BITS}
_TABLE = {Table.COIL: "coil", Table.DISCRETE: "discrete input", Table.INPUT: "input", Table.HOLDING: "holding"}
_CLASS = {
    FaultClass.FAULT: "fault: Ready off, a running trigger ends as FAULT",
    FaultClass.DEGRADED: "degraded: results go on",
    FaultClass.REFUSED: "refused: the request was not carried out",
    FaultClass.SECURITY: "security: somebody was turned away",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One field of one station; addresses as on the wire (PDU, from 0) and as in PLC programs (from 1)."""

    station: str
    unit: int
    block: str
    name: str
    type: str
    words: int
    table: str
    pdu: int
    address: str
    mirror_pdu: int | None
    """The same word in the holding registers, for masters that cannot read input registers."""
    mirror_address: str
    order: str
    """Word order of UDINT and REAL, byte order of STRING, "" for a single word."""
    access: str
    """What the PLC may do: write or read."""
    meaning: str


def rows(config: GatewayConfig) -> tuple[Row, ...]:
    """Every field of every station that speaks Modbus, in the order of the file."""
    return tuple(row for station in config.stations for row in rows_of(station))


def rows_of(station: StationConfig) -> Iterator[Row]:
    """The fields of one station, in the order of the words; none where its link is no Modbus."""
    link = station.link
    if not isinstance(link, ModbusLink):
        return
    for field in FIELDS:
        found = _served(link, field) if isinstance(link, ServedLink) else _polled(link, field)
        if found is None:
            continue
        copy = found.mirror
        yield Row(
            station=station.name,
            unit=_unit(link),
            block=field.block.value,
            name=field.name,
            type=f"STRING[{2 * found.words}]" if field.type is Type.STRING else found.type.value,
            words=found.words,
            table=_TABLE[found.table],
            pdu=found.pdu,
            address=plc_address(found.table, found.pdu),
            mirror_pdu=copy,
            mirror_address="" if copy is None else plc_address(Table.HOLDING, copy),
            order=_order(field, found.type, link.word_order, link.string_order),
            access="write" if field.block is Block.COMMAND else "read",
            meaning=field.meaning,
        )


def _unit(link: ModbusLink) -> int:
    return link.unit_id if isinstance(link, PolledConfig) else link.unit


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a field lies, the preferred place first, and what it is there."""

    table: Table
    pdu: int
    type: Type
    words: int
    mirror: int | None = None


def _served(link: ServedLink, field: Field) -> _Found:
    (table, pdu), *mirror = link.registers().places(field)
    return _Found(table, pdu, field.type, field.words, mirror[0][1] if mirror else None)


def _polled(link: PolledConfig, field: Field) -> _Found | None:
    """In a PLC, blocks are holding registers; there is no signature, nor what nobody mapped."""
    if field.block is Block.SIGNATURE:
        return None
    area = _area(link, field.block)
    if isinstance(area, int):
        return _Found(Table.HOLDING, area + field.word, field.type, field.words)
    if (mapped := area.get(field.name)) is None:
        return None
    return _Found(mapped.table, mapped.address, mapped.type or field.type, words_of(field, mapped))


def _area(link: PolledConfig, block: Block) -> Area:
    return link.command_area if block is Block.COMMAND else link.outputs_area


def _order(field: Field, kind: Type, word_order: WordOrder, string_order: StringOrder) -> str:
    if kind in (Type.UDINT, Type.REAL):
        return word_order.value
    return string_order.value if field.type is Type.STRING else ""


def bits_of(station: StationConfig) -> Iterator[Row]:
    """The bits of CONTROL, STATUS and RESULT_BITS; where they can be read alone, with that place."""
    link = station.link
    for word in rows_of(station):
        field = next((field for field in FIELDS if field.name == word.name), None)
        for bit in _BITS.get(word.name, ()) if field else ():
            place = link.registers().bit_place(field, bit) if field and isinstance(link, ServedLink) else None
            yield replace(
                word,
                name=f"{word.name}.{bit.number} {bit.name}",
                type="BOOL",
                words=0,
                table=_TABLE[place[0]] if place else word.table,
                pdu=place[1] if place else word.pdu,
                address=plc_address(*place) if place else word.address,
                mirror_pdu=None,
                mirror_address="",
                meaning=bit.meaning,
            )
    if isinstance(link, PolledConfig):
        yield from _single_bits(station.name, link)


def _single_bits(station: str, link: PolledConfig) -> Iterator[Row]:
    """The bits that were mapped one by one, each where it lies; behind the point stands the bit of the register."""
    for block in (Block.COMMAND, Block.STATUS):
        area = _area(link, block)
        for name, mapped in area.items() if not isinstance(area, int) else ():
            field, bit = field_of(name, command=block is Block.COMMAND)
            if bit is None:
                continue
            place = plc_address(mapped.table, mapped.address) + ("" if mapped.bit is None else f".{mapped.bit}")
            yield Row(
                station=station,
                unit=link.unit_id,
                block=field.block.value,
                name=f"{field.name}.{bit.number} {bit.name}",
                type="BOOL",
                words=0,
                table=_TABLE[mapped.table],
                pdu=mapped.address,
                address=place,
                mirror_pdu=None,
                mirror_address="",
                order="",
                access="write" if block is Block.COMMAND else "read",
                meaning=bit.meaning,
            )


def write_csv(config: GatewayConfig, out: TextIO) -> None:
    """All rows with a heading, bits and fault codes after the words, as RFC 4180 has it (CRLF, quotes where needed)."""
    writer = csv.writer(out)
    writer.writerow([field.name for field in fields(Row)])
    writer.writerows(astuple(row) for row in rows(config))
    writer.writerows(astuple(row) for station in config.stations for row in bits_of(station))
    blank = [""] * (len(fields(Row)) - 5)
    for code, info in CATALOGUE.items():
        writer.writerow(["", "", "code", f"{code} {info.name}", "", *blank[:-1], "", f"{info.text}: {info.remedy}"])


def write_markdown(config: GatewayConfig, out: TextIO) -> None:
    """The whole map as Markdown: words, bits and fault codes."""
    out.writelines(f"{line}\n" for line in _markdown(config))


def _markdown(config: GatewayConfig) -> Iterator[str]:
    yield f"# Register map of {config.name}"
    yield ""
    yield "Addresses are given twice: *PDU* counts from 0, as on the wire; the other counts from 1, as in PLC programs."
    yield "This page was printed by `gateway map`."
    for station in config.stations:
        yield ""
        yield from _station(station)
    yield ""
    yield "## Fault codes"
    yield ""
    yield "In FAULT_CODE, NOT_READY_REASON, TRIGGER_REFUSED, COMMAND_RESULT and REASON. A REASON below 1000 is the code"
    yield "of the recipe's rule."
    yield ""
    yield from _table(
        ("code", "name", "class", "what", "cause", "remedy"),
        ((str(i.code.value), i.name, i.cls.value, i.text, i.cause, i.remedy) for i in CATALOGUE.values()),
    )
    yield ""
    yield "; ".join(f"{cls.value} = {text}" for cls, text in _CLASS.items()) + "."


def _station(station: StationConfig) -> Iterator[str]:
    link = station.link
    yield f"## Station {station.name}"
    yield ""
    if isinstance(link, OpcUaClientConfig):
        yield from _nodes(link)
        return
    if not isinstance(link, ModbusLink):
        yield f"The link is {link.kind}: there are no registers."
        return
    role = "The PLC polls the gateway" if isinstance(link, ServedLink) else "The gateway polls the PLC"
    byte = "high" if link.string_order is StringOrder.BIG else "low"
    place = link.line().text if isinstance(link, SerialConfig) else link.place
    yield f"{role} at {place}, unit {_unit(link)}. UDINT and REAL are {link.word_order.value}; the first"
    blocks = isinstance(link, ServedLink) or not link.scattered
    rest = "Words that are not listed are reserved and read 0." if blocks else "What is not listed is left alone."
    yield f"character of a word is its {byte} byte. {rest}"
    everything = tuple(rows_of(station))
    single = tuple(_single_bits(station.name, link)) if isinstance(link, PolledConfig) else ()
    for title, block in (("Command: the PLC writes", Block.COMMAND), ("Status and result: the gateway writes", None)):
        whole = isinstance(link, ServedLink) or isinstance(_area(link, block or Block.STATUS), int)
        part = [row for row in everything + single if (row.block == Block.COMMAND.value) is (block is not None)]
        yield ""
        yield f"### {title}"
        yield ""
        yield from _words(part) if whole else _scattered(part)
    for name, bits in _BITS.items():
        if not any(row.name == name for row in everything):
            continue
        yield ""
        yield f"### Bits of {name}"
        yield ""
        yield from _bit_table(name, bits, link.registers() if isinstance(link, ServedLink) else None)


def _nodes(link: OpcUaClientConfig) -> Iterator[str]:
    """Where an OPC UA client link reads and writes."""
    plan = link.node_map()
    yield f"The gateway is OPC UA client of the PLC at {link.place}. What is not listed is left alone."
    for title, entries in (("Command: the PLC writes", plan.command), ("Status and result", plan.outputs)):
        yield ""
        yield f"### {title}"
        yield ""
        yield from _table(
            ("name", "type", "node", "meaning"),
            ((one.name, one.kind, f"`{one.node}`", one.meaning) for one in entries),
        )


def _scattered(part: list[Row]) -> Iterator[str]:
    """Fields mapped one by one: each says its table."""
    head = ("table", "PDU", "address", "name", "type", "order", "meaning")
    body = (
        (
            row.table,
            _span(str(row.pdu), row.pdu, row.words or 1),
            row.address,
            row.name,
            row.type,
            row.order,
            row.meaning,
        )
        for row in part
    )
    return _table(head, body)


def _words(part: list[Row]) -> Iterator[str]:
    mirrored = any(row.mirror_address for row in part)
    head = ("PDU", part[0].table, *(("PDU", "holding") if mirrored else ()), "name", "type", "order", "meaning")
    body = (
        (
            _span(str(row.pdu), row.pdu, row.words),
            row.address,
            *((_span(str(row.mirror_pdu), row.mirror_pdu or 0, row.words), row.mirror_address) if mirrored else ()),
            row.name,
            row.type,
            row.order,
            row.meaning,
        )
        for row in part
    )
    return _table(head, body)


def _span(first: str, start: int, words: int) -> str:
    return first if words == 1 else f"{first}-{start + words - 1}"


def _bit_table(name: str, bits: tuple[Bit, ...], registers: RegisterMap | None) -> Iterator[str]:
    field = next(field for field in FIELDS if field.name == name)
    places = [registers.bit_place(field, bit) if registers else None for bit in bits]
    if places[0] is None:
        return _table(("bit", "name", "meaning"), ((str(bit.number), bit.name, bit.meaning) for bit in bits))
    head = ("bit", "PDU", _TABLE[places[0][0]], "name", "meaning")
    body = (
        (str(bit.number), str(place[1]), plc_address(*place), bit.name, bit.meaning)
        for bit, place in zip(bits, places, strict=True)
        if place is not None
    )
    return _table(head, body)


def _table(head: tuple[str, ...], body: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield _line(head)
    yield _line(tuple("---" for _ in head))
    for cells in body:
        yield _line(cells)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
