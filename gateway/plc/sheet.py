"""One page to print and to hang into the cabinet: timing, addresses, codes, tick-list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

from gateway.plc import drawing, timing
from gateway.plc.family import Family
from gateway.plc.table import Place
from gateway.settings import StationConfig
from protocols.faults import CATALOGUE
from protocols.handshake import Style
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.registers import Block
from protocols.modbus.server_settings import ModbusServerConfig

_STYLE = """\
@page { size: A4 landscape; margin: 8mm }
body { font: 7.5pt/1.25 sans-serif; margin: 0; color: #000 }
h1 { font-size: 12pt; margin: 0 0 1mm } h2 { font-size: 8.5pt; margin: 2mm 0 1mm }
table { border-collapse: collapse } td, th { border: .2mm solid #999; padding: 0 1mm; text-align: left }
.three { columns: 3; column-gap: 5mm } .two { columns: 2; column-gap: 5mm }
.two > svg { width: 100%; height: auto; break-inside: avoid }
p, ul { margin: 0 } ul { padding-left: 0; list-style: none } tr, li { break-inside: avoid }
"""
_JUDGEMENTS = "JUDGEMENT: 1 OK, 2 NG, 3 RECHECK (cannot tell), 4 FAULT (could not look). Only 1 is good."
_RULE = (
    "A result counts only if RESULT_SEQ and RESULT_SEQ_COPY are equal, TRIGGER_SEQ and PART_ID are those asked for, "
    "and HEARTBEAT moves."
)


def html(station: StationConfig, family: Family, rows: tuple[Place, ...], note: str) -> Iterator[str]:
    """The page; it needs no other file."""
    yield "<!DOCTYPE html>"
    yield f"<!-- {note} -->"
    yield f'<html lang="en"><head><meta charset="utf-8"/><title>Vision station {station.name}</title>'
    yield f"<style>{_STYLE}</style></head><body>"
    yield f"<h1>Vision station {station.name}: {escape(family.maker)}</h1>"
    yield f"<p>{escape(_link(station))} {_JUDGEMENTS} {_RULE}</p>"
    yield '<div class="two">'
    yield from (drawing.svg(timing.record(style)).rstrip() for style in Style)
    yield "</div>"
    yield "<h2>Registers</h2>"
    yield '<div class="three">'
    yield from _table((row.address, row.name, row.type) for row in rows if row.words and _wanted(row))
    yield "</div>"
    yield "<h2>Bits</h2>"
    yield '<div class="three">'
    yield from _table((row.address, row.name.partition(".")[2]) for row in rows if not row.words)
    yield "</div>"
    yield "<h2>Codes</h2>"
    yield '<div class="three">'
    yield from _table((str(code), info.text) for code, info in CATALOGUE.items())
    yield "</div>"
    yield "<h2>Tick off</h2>"
    yield '<ul class="two">'
    yield from (f"<li>&#9744; {escape(one)}</li>" for one in family.checklist)
    yield "</ul></body></html>"


def _link(station: StationConfig) -> str:
    link = station.link
    if isinstance(link, ModbusServerConfig):
        return f"The PLC polls the gateway at port {link.port}, unit {link.unit}. Word order {link.word_order.value}."
    if isinstance(link, ModbusClientConfig):
        return f"The gateway polls the PLC at port {link.port}, unit {link.unit}. Word order {link.word_order.value}."
    return ""


def _wanted(row: Place) -> bool:
    """Thirteen values and six user words in a row are told by the first of them."""
    many = row.name.startswith(("VALUE_", "USER_")) and not row.name.endswith("_0")
    return not many and row.block != Block.SIGNATURE.value


def _table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "<table>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
    yield "</table>"
