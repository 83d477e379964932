"""The register table of one station in its maker's own notation, from the rows of `gateway map`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from typing import Literal

from gateway import map as register_map
from gateway.map import Row
from gateway.plc.family import Family, Notation
from gateway.settings import StationConfig
from protocols.faults import CATALOGUE
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.registers import Block, Table
from protocols.modbus.server_settings import ModbusServerConfig

ModbusLink = ModbusServerConfig | ModbusClientConfig
_TABLES = {"coil": Table.COIL, "discrete input": Table.DISCRETE, "input": Table.INPUT, "holding": Table.HOLDING}


class ExportError(Exception):
    """What cannot be exported: one sentence with place, cause and remedy."""


@dataclass(frozen=True, slots=True)
class Place:
    """One field or bit and where this PLC finds it; `pdu` counts from 0 as on the wire."""

    block: str
    name: str
    type: str
    words: int
    table: str
    pdu: int
    address: str
    """As the maker writes it."""
    order: str
    access: str
    meaning: str


def role_of(link: ModbusLink) -> Literal["client", "server"]:
    """What the PLC is on this link."""
    return "client" if isinstance(link, ModbusServerConfig) else "server"


def places(station: StationConfig, family: Family) -> tuple[Place, ...]:
    """All words and then all bits of a station; raises ExportError where the family cannot reach a block."""
    link = station.link
    if not isinstance(link, ModbusServerConfig | ModbusClientConfig):
        raise ExportError(f"station {station.name}: its link is {link.kind}, there are no registers to export")
    role = family.role(role_of(link))
    if role is None:
        raise ExportError(
            f"station {station.name}: a PLC of {family.name} cannot be the {role_of(link)} of {link.kind}; "
            f"use kind: {'modbus_client' if family.client is None else 'modbus_server'}"
        )
    words = tuple(_word(station, row, role.notation) for row in register_map.rows_of(station))
    by_name = {(one.block, one.name): one for one in words}
    bits = (_bit(row, role.notation, by_name) for row in register_map.bits_of(station))
    return (*words, *bits)


def _word(station: StationConfig, row: Row, notation: Notation) -> Place:
    table, pdu = _TABLES[row.table], row.pdu
    if row.mirror_pdu is not None and not notation.address(table, pdu):
        table, pdu = Table.HOLDING, row.mirror_pdu
    address = notation.address(table, pdu)
    if not address:
        raise ExportError(
            f"station {station.name}: {row.name} lies in {row.table} register {pdu}, which this PLC cannot reach; "
            f"its registers begin at {notation.first}"
        )
    return _place(row, table, pdu, address)


def _bit(row: Row, notation: Notation, words: dict[tuple[str, str], Place]) -> Place:
    """A bit that cannot be read alone is told by its word."""
    table = _TABLES[row.table]
    alone = notation.address(table, row.pdu) if table in (Table.COIL, Table.DISCRETE) else ""
    if alone:
        return _place(row, table, row.pdu, alone)
    name, number = row.name.partition(" ")[0].split(".")
    word = words[row.block, name]
    return _place(row, _TABLES[word.table], word.pdu, f"{word.address} bit {number}")


def _place(row: Row, table: Table, pdu: int, address: str) -> Place:
    kind = next(name for name, one in _TABLES.items() if one is table)
    return Place(row.block, row.name, row.type, row.words, kind, pdu, address, row.order, row.access, row.meaning)


def first(rows: tuple[Place, ...], block: Block) -> Place:
    """Where a block begins."""
    return next(row for row in rows if row.block == block.value)


CSV_HEAD = [field.name for field in fields(Place)]


def csv_text(rows: tuple[Place, ...]) -> str:
    """All rows with a heading, the fault codes behind them, as RFC 4180 has it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(CSV_HEAD)
    writer.writerows(astuple(row) for row in rows)
    for code, info in CATALOGUE.items():
        writer.writerow(["code", f"{code} {info.name}", *[""] * 7, f"{info.text}: {info.remedy}"])
    return out.getvalue()


def markdown(station: StationConfig, family: Family, rows: tuple[Place, ...]) -> Iterator[str]:
    """The words, then the bits, as Markdown tables."""
    yield f"# Registers of station {station.name} for {family.maker}"
    yield ""
    yield f"Addresses as {family.maker} writes them; *PDU* counts from 0, as on the wire."
    for title, wanted in (
        ("Command: the PLC writes", ("command",)),
        ("Status and result: the PLC reads", ("status", "result")),
        ("Signature: to see that the word order is right", ("signature",)),
    ):
        part = [row for row in rows if row.block in wanted and row.words]
        if part:
            yield from ("", f"## {title}", "")
            yield from _markdown_table(part)
    yield from ("", "## Bits", "")
    yield from _markdown_table([row for row in rows if not row.words])


def _markdown_table(part: list[Place]) -> Iterator[str]:
    yield "| address | table | PDU | name | type | order | meaning |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for row in part:
        yield f"| {row.address} | {row.table} | {row.pdu} | {row.name} | {row.type} | {row.order} | {row.meaning} |"
