"""What is known of a family of PLCs: orders, roles, limits, how it writes an address. Data in configs/maps/*.yaml."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway import validation, yamlfile
from gateway.yamlfile import FileError
from protocols.codec import StringOrder, WordOrder
from protocols.modbus.registers import Table
from protocols.settings import Settings

_PLACE = re.compile(r"\{(pdu|one|byte)(:0?[0-9]?[dX])?\}")


def _template(text: str) -> str:
    if set("{}") & set(_PLACE.sub("", text)) or not _PLACE.search(text):
        raise ValueError(
            f"{text!r} holds no place for a number; use {{pdu}}, {{one}} or {{byte}}, such as 4{{one:04d}}"
        )
    return text


Template = Annotated[str, AfterValidator(_template), Field(max_length=40)]
"""An address: {pdu} counts from 0 as on the wire, {one} from 1, {byte} is twice {pdu}; :04d and :04X as in Python."""
Sentence = Annotated[str, Field(min_length=3, max_length=600)]


class Kind(StrEnum):
    """What `gateway plc export` can write."""

    TABLE = "table"
    ST = "st"
    SCL = "scl"
    GVL = "gvl"
    PLCOPEN = "plcopen"
    L5X = "l5x"
    SHEET = "sheet"


class Notation(Settings):
    """How the maker writes the address of a register; a table that the PLC cannot reach is left out."""

    holding: Template
    input: Template | None = None
    coil: Template | None = None
    discrete: Template | None = None
    first: int = Field(0, ge=0, le=0xFFFF)
    """PDU address of the register that the notation counts as its first."""

    def address(self, table: Table, pdu: int) -> str:
        """A PDU address in this notation; "" where the PLC cannot reach that register."""
        template: str | None = getattr(self, table.name.lower())
        number = pdu - self.first
        return template.format(pdu=number, one=number + 1, byte=2 * number) if template and number >= 0 else ""


class Role(Settings):
    """A role the PLC can play on Modbus TCP."""

    block: Sentence
    """The function block, service or device that does it."""
    notation: Notation
    """Of the gateway's registers as the PLC writes them (client), or of its own memory (server)."""
    note: Sentence | None = None


class Limits(Settings):
    """What the PLC's Modbus can do at most."""

    read_registers: int = Field(125, ge=1, le=125)
    write_registers: int = Field(123, ge=1, le=123)
    lacks: tuple[Annotated[int, Field(ge=1, le=127)], ...] = ()
    """Function codes that it neither sends nor answers."""
    connections: Sentence


class Source(Settings):
    """Where the facts come from."""

    title: Sentence
    place: Sentence
    """§, chapter or page."""
    verified: bool
    """False: from memory, not looked up in the document."""


class Family(Settings):
    """One family of PLCs: all that the generated files and the page for the engineer need."""

    maker: Annotated[str, Field(min_length=2, max_length=60)]
    models: Sentence
    word_order: WordOrder
    string_order: StringOrder
    client: Role | None = None
    """The PLC polls the gateway (`kind: modbus_server`)."""
    server: Role | None = None
    """The gateway polls the PLC (`kind: modbus_client`)."""
    limits: Limits
    files: Annotated[tuple[Kind, ...], Field(min_length=1)]
    """What is exported for it when nothing else is asked for."""
    plcopen: Literal["2.0", "2.01"] = "2.01"
    """Version of the PLCopen XML that its tool imports."""
    importing: Annotated[tuple[Sentence, ...], Field(min_length=1)]
    """How the files get into the maker's tool."""
    steps: Annotated[tuple[Sentence, ...], Field(min_length=3)]
    """From box to first verdict."""
    pitfalls: Annotated[tuple[Sentence, ...], Field(min_length=1)]
    checklist: Annotated[tuple[Sentence, ...], Field(min_length=3)]
    """What the engineer ticks off."""
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    name: str = ""
    """The file's name; not written in the file."""

    @model_validator(mode="after")
    def _plays_something(self) -> Self:
        if self.client is None and self.server is None:
            raise ValueError("has neither `client` nor `server`; give the roles that this PLC can play")
        return self

    def role(self, kind: Literal["client", "server"]) -> Role | None:
        """What the PLC has for a role."""
        return self.client if kind == "client" else self.server


class UnknownFamilyError(Exception):
    """No such family: the message names what was probably meant, or what there is."""


def folder() -> Path:
    """Where the families lie: beside this module when installed, in configs/maps in a checkout."""
    beside = Path(__file__).parent / "maps"
    return beside if beside.is_dir() else Path(__file__).parents[2] / "configs" / "maps"


def names() -> tuple[str, ...]:
    """All families, in the order of the alphabet."""
    return tuple(sorted(path.stem for path in folder().glob("*.yaml")))


def load(name: str) -> Family:
    """One family; raises UnknownFamilyError, or FileError when its file has mistakes."""
    known = names()
    if name not in known:
        makers = {part: one for one in known for part in (*re.split("-(?=[a-z])", one), one)}
        close = validation.nearest(name.lower(), list(makers))
        hint = f"did you mean {makers[close]}?" if close else f"known: {', '.join(known)}"
        raise UnknownFamilyError(f"there is no PLC family {name!r}; {hint}")
    document = yamlfile.read(folder() / f"{name}.yaml")
    if isinstance(document.data, dict) and "name" in document.data:
        raise FileError([document.problem(("name",), "the family is named by its file; remove the key")])
    return validation.build(document, Family).model_copy(update={"name": name})
