"""What `gateway plc export` writes, for the tests; run as a module it writes the golden files anew.

python -m tests.plc_export
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from gateway.plc import export, family
from gateway.plc.family import Kind
from gateway.settings import GatewayConfig
from protocols.codec import Codec, StringOrder, WordOrder
from protocols.handshake import Style
from tests import logix
from tests.plc_program import PlcProgram
from tests.structured_text import Program

GOLDEN = Path(__file__).parent / "data" / "plc-export"
GOLDEN_FAMILIES = ("siemens-s7-1200-1500", "codesys-3.5", "rockwell-logix")
LANGUAGES = ("st", "l5x")
"""The two texts that differ in more than spelling; SCL is compared with the first."""


def configuration(*links: dict[str, Any], **cycle: Any) -> GatewayConfig:
    """Stations cell1, cell2, … with these links."""
    stations = [
        {"name": f"cell{n}", "link": link, "camera": {"kind": "simulated"}, "recipes": ["r"], "cycle": cycle}
        for n, link in enumerate(links, 1)
    ]
    return GatewayConfig.model_validate({"name": "golden", "data_dir": "d", "stations": stations})


def link_for(name: str, kind: str = "modbus_server", **more: Any) -> dict[str, Any]:
    """A link in the orders of a family."""
    one = family.load(name)
    host = {"host": "192.0.2.10"} if kind == "modbus_client" else {}
    return {"kind": kind, "word_order": one.word_order, "string_order": one.string_order, **host, **more}


def exported(name: str, kinds: tuple[Kind, ...] = (), **link: Any) -> dict[str, str]:
    """File name → text for a family and one station in its orders."""
    found = export.files(configuration(link_for(name, **link)), family.load(name), kinds)
    return {str(file.path): file.text for file in found}


def order_of(language: str) -> WordOrder:
    """In which order the block of a language was exported."""
    return WordOrder.ABCD if language == "st" else WordOrder.CDAB


@functools.cache
def program(language: str) -> Program:
    """The exported block, parsed; some seconds the first time."""
    if language == "l5x":
        text = exported("rockwell-logix", (Kind.L5X,))["FB_VisionStation.L5X"]
        return Program(logix.as_structured_text(text), logix=True)
    return Program(exported("generic", (Kind.ST,))["FB_VisionStation.st"])


def plc(language: str, style: Style, *, order: WordOrder | None = None, **inputs: Any) -> PlcProgram:
    """A PLC that runs the exported block."""
    codec = Codec(order or order_of(language), StringOrder.BIG)
    return PlcProgram(program(language), style, codec, signed=language == "l5x", **inputs)


def golden_files() -> dict[Path, str]:
    """All golden files, below GOLDEN."""
    return {
        Path(name) / file: text.replace("\r\n", "\n")
        for name in GOLDEN_FAMILIES
        for file, text in exported(name).items()
    }


def write_golden() -> None:
    """Replace the golden files."""
    for path, text in golden_files().items():
        (GOLDEN / path).parent.mkdir(parents=True, exist_ok=True)
        (GOLDEN / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_golden()
