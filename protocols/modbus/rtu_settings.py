"""The configurations of Modbus RTU links: a serial line, and the gateway as one of its units or as its master."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import override

from protocols.link import MapError
from protocols.modbus.peer_settings import Peer
from protocols.modbus.polled_settings import PolledConfig
from protocols.modbus.registers import ADDRESSES, RegisterMap
from protocols.settings import OnEvent, Orders, Settings

# What drives a line is imported where a line is built: only these kinds need it.
if TYPE_CHECKING:
    from protocols.modbus.rtu_exchange import RtuExchange, SerialMaster
    from protocols.modbus.rtu_server import RtuServer
    from protocols.modbus.serial_port import Line
    from protocols.modbus.turns import Connection


class Rs485Config(Settings):
    """The kernel switches the RS-485 driver by RTS; adapters that switch by themselves need none of this."""

    rts_on_send: bool = True
    """Level of RTS while sending; false where the hardware inverts it."""
    delay_before_ms: float = Field(0.0, ge=0, le=100)
    """From RTS to the first bit."""
    delay_after_ms: float = Field(0.0, ge=0, le=100)
    """From the last bit to RTS."""


class SerialConfig(Orders):
    """A serial line; stations that name the same device share it, with the same settings and each with its own unit."""

    device: str = Field(min_length=1)
    """As /dev/serial/by-id/…, which stays the same when adapters are plugged in anew; or /dev/ttyUSB0, /dev/ttyS0."""
    baud: int = Field(19200, ge=300, le=4_000_000)
    parity: Literal["even", "odd", "none"] = "even"
    stop_bits: Literal[1, 2] = 1
    """The standard wants 2 with parity none; most devices take 1."""
    rs485: Rs485Config | None = None
    """Direction of a UART that cannot switch by itself."""
    echo: bool = False
    """The adapter hears what it sends, as simple 2-wire ones do."""
    patience_ms: float = Field(25.0, ge=2, le=1000)
    """An unfinished frame is given up after so long a pause; more than the adapter keeps bytes back."""

    @property
    def place(self) -> str:
        """The line that stations may share."""
        return self.device

    def line(self) -> Line:
        """The line and how it is driven."""
        from protocols.modbus.serial_port import Direction, Line

        mode = self.rs485
        return Line(
            self.device,
            self.baud,
            self.parity,
            self.stop_bits,
            echo=self.echo,
            rs485=Direction(mode.rts_on_send, mode.delay_before_ms / 1000, mode.delay_after_ms / 1000)
            if mode
            else None,
            patience=self.patience_ms / 1000,
        )


class ModbusRtuServerConfig(SerialConfig):
    """The PLC is the master of a serial line and polls the gateway."""

    kind: Literal["modbus_rtu_server"] = "modbus_rtu_server"
    unit: int = Field(1, ge=1, le=247)
    command_address: int = Field(0, ge=0, lt=ADDRESSES)
    status_address: int = Field(0, ge=0, lt=ADDRESSES)
    mirror_address: int = Field(100, ge=0, lt=ADDRESSES)
    answer_delay_ms: float = Field(0.0, ge=0, le=1000)
    """Least time between request and answer, for masters that turn round slowly; never less than 3.5 characters."""
    broadcast: bool = True
    """Carry out writes to unit 0, as the standard wants; false where they are meant for other devices of the line."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            self.registers()
        except MapError as error:
            raise ValueError(str(error)) from error
        return self

    def registers(self) -> RegisterMap:
        """Where this station's blocks lie."""
        return RegisterMap(self.command_address, self.status_address, self.mirror_address)

    def listener(self, on_event: OnEvent) -> RtuServer:
        """The server for all stations on this line."""
        from protocols.modbus.rtu_server import RtuServer

        line, delay, broadcast = self.setup()
        return RtuServer(line, answer_delay=delay, broadcast=broadcast, on_event=on_event)

    def setup(self) -> tuple[Line, float, bool]:
        """What all stations on one line must have alike."""
        return self.line(), self.answer_delay_ms / 1000, self.broadcast


class SerialPeer(SerialConfig, Peer):
    """A unit on a serial line whose master is the gateway."""

    unit: int = Field(1, ge=1, le=247)
    timeout_ms: float = Field(500.0, ge=10, le=10_000)
    """From the request's last character to the answer's first."""
    retries: int = Field(1, ge=0, le=5)
    """Of a read whose answer was garbled or did not come."""
    write_retries: int = Field(0, ge=0, le=5)
    """Of a write; the PLC may carry it out twice."""

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if self.unit_id not in range(1, 248):
            raise ValueError(f"quirks.unit {self.unit_id} does not exist on a serial line; give unit, from 1 to 247")
        return self

    @property
    @override
    def where(self) -> str:
        return f"{self.line().text}, unit {self.unit_id}"

    def master(self) -> SerialMaster:
        """The master of this line; all who ask over one line must share one."""
        from protocols.modbus.rtu_exchange import SerialMaster

        return SerialMaster(self.line())

    def exchange(self, master: SerialMaster | None = None) -> RtuExchange:
        """Requests over this line, by a master of its own unless one is given."""
        from protocols.modbus.rtu_exchange import RtuExchange

        return RtuExchange(
            master or self.master(),
            timeout=self.timeout_ms / 1000,
            retries=self.retries,
            write_retries=self.write_retries,
            functions=self.quirks,
        )

    @override
    def connection(self, master: SerialMaster | None = None) -> Connection:
        from protocols.modbus.turns import Connection

        return Connection(self.exchange(master), self.quirks)


class ModbusRtuClientConfig(SerialPeer, PolledConfig):
    """The gateway is the master of a serial line and polls a PLC on it."""

    kind: Literal["modbus_rtu_client"] = "modbus_rtu_client"
    scan_ms: float = Field(50.0, ge=1, le=10_000)
    """Period of reading the command; the line's speed may allow less."""
