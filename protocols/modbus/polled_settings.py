"""What all links to a polled PLC have in common: where its words lie, and how often they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from protocols.link import Link, MapError
from protocols.modbus.peer_settings import Peer
from protocols.modbus.registers import ADDRESSES, COMMAND_WORDS, OUTPUT_WORDS, Table, Type
from protocols.settings import OnEvent, Settings

if TYPE_CHECKING:
    from protocols.modbus.client_fields import Area, Mapped
    from protocols.modbus.client_map import ClientMap
    from protocols.modbus.client_rules import Extent
    from protocols.modbus.turns import Connection

Address = Annotated[int, Field(ge=0, lt=ADDRESSES)]


class FieldPlace(Settings):
    """Where one field of the contract lies in the PLC."""

    table: Literal["holding", "input", "coil", "discrete"] = "holding"
    """Which of the four Modbus tables; the gateway writes holding registers and coils only."""
    address: Address
    """PDU address (from 0) of the first register, or of the coil."""
    type: Literal["UINT", "UDINT"] | None = None
    """Where the PLC holds an integer in another length; what does not fit is shown as the greatest that does."""
    bit: int | None = Field(None, ge=0, le=15)
    """Bit of the register, for a single bit such as CONTROL.ENABLE; 0 is the least significant."""
    words: int | None = Field(None, ge=1, le=16)
    """Registers of SERIAL, where the PLC has room for fewer than 32 characters."""

    def mapped(self) -> Mapped:
        """The same, as the plan wants it."""
        from protocols.modbus.client_fields import Mapped

        kind = None if self.type is None else Type(self.type)
        return Mapped(self.address, Table[self.table.upper()], kind, self.bit, self.words)


Places = dict[str, Address | FieldPlace]


class FieldsConfig(Settings):
    """Fields mapped one by one, for a PLC that cannot give a whole block; names as `gateway map` prints them."""

    command: Places | None = None
    """What the PLC writes, by name; left out: the block at command_address."""
    outputs: Places | None = None
    """What the gateway writes (status and result), by name; left out: the block at status_address."""


class PolledConfig(Peer):
    """The gateway polls a PLC."""

    scan_ms: float = Field(10.0, ge=1, le=10_000)
    """Period of reading the command."""
    command_address: int = Field(0, ge=0, le=ADDRESSES - COMMAND_WORDS)
    """First of the 32 holding registers in the PLC that the gateway reads."""
    status_address: int = Field(100, ge=0, le=ADDRESSES - OUTPUT_WORDS)
    """First of the 64 holding registers in the PLC that the gateway writes."""
    fields: FieldsConfig = FieldsConfig()
    """Fields mapped one by one, instead of one block or of both."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        command, status = self.command_area, self.outputs_area
        for key, area in (("command_address", command), ("status_address", status)):
            if not isinstance(area, int) and key in self.model_fields_set:
                raise ValueError(f"{key} and fields.{key_of(key)} both say where it lies; remove one of them")
        if isinstance(command, int) and isinstance(status, int):
            if command < status + OUTPUT_WORDS and status < command + COMMAND_WORDS:
                raise ValueError(
                    f"command block ({command}…{command + COMMAND_WORDS - 1}) and status block "
                    f"({status}…{status + OUTPUT_WORDS - 1}) overlap; move one of them"
                )
            return self
        # Imported only where fields are mapped: blocks need no plan before the link is built.
        from protocols.modbus.client_rules import check_fields

        try:
            self.plan()
            check_fields(command, status)
        except MapError as error:
            raise ValueError(f"fields: {error}") from error
        return self

    @property
    def command_area(self) -> Area:
        """Where the command is read: a block or fields."""
        places = self.fields.command
        return self.command_address if places is None else _mapped(places)

    @property
    def outputs_area(self) -> Area:
        """Where status and result are written: a block or fields."""
        places = self.fields.outputs
        return self.status_address if places is None else _mapped(places)

    @property
    def scattered(self) -> bool:
        """Whether any field is mapped by itself."""
        return self.fields.command is not None or self.fields.outputs is not None

    def plan(self) -> ClientMap:
        """The requests that read and write it."""
        from protocols.modbus.client_fields import client_map

        return client_map(self.command_area, self.outputs_area, self.word_order, self.quirks)

    def extents(self) -> Iterator[tuple[str, Extent]]:
        """All places in the PLC that this station takes, with the key that says so."""
        from protocols.modbus.client_rules import extents

        for key, area, command in (
            ("command_address", self.command_area, True),
            ("status_address", self.outputs_area, False),
        ):
            for extent in extents(area, command):
                yield key if isinstance(area, int) else "fields", extent

    def build(self, on_event: OnEvent, connection: Connection | None = None) -> Link:
        """The link, over a connection of its own or a shared one."""
        from protocols.modbus.client import ClientLink

        return ClientLink(
            (connection or self.connection()).turn(),
            self.plan(),
            unit=self.unit_id,
            scan=self.scan_ms / 1000,
            codec=self.codec(),
            on_event=on_event,
        )


def key_of(key: str) -> str:
    """The part of `fields` that stands for this address."""
    return "command" if key == "command_address" else "outputs"


def _mapped(places: Places) -> dict[str, Mapped]:
    from protocols.modbus.client_fields import Mapped

    return {name: Mapped(at) if isinstance(at, int) else at.mapped() for name, at in places.items()}
