"""The configuration of a Modbus TCP client link."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from protocols.link import Link
from protocols.modbus.registers import ADDRESSES, COMMAND_WORDS, OUTPUT_WORDS
from protocols.settings import OnEvent, Orders


class ModbusClientConfig(Orders):
    """The gateway polls a PLC that is a Modbus server."""

    kind: Literal["modbus_client"] = "modbus_client"
    host: str
    port: int = Field(502, ge=1, le=65535)
    unit: int = Field(1, ge=0, le=255)
    scan_ms: float = Field(10.0, ge=1, le=10_000)
    timeout_ms: float = Field(500.0, ge=10, le=10_000)
    command_address: int = Field(0, ge=0, le=ADDRESSES - COMMAND_WORDS)
    """First of the 32 holding registers in the PLC that the gateway reads."""
    status_address: int = Field(100, ge=0, le=ADDRESSES - OUTPUT_WORDS)
    """First of the 64 holding registers in the PLC that the gateway writes."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        command, status = self.command_address, self.status_address
        if command < status + OUTPUT_WORDS and status < command + COMMAND_WORDS:
            raise ValueError(
                f"command block ({command}…{command + COMMAND_WORDS - 1}) and status block "
                f"({status}…{status + OUTPUT_WORDS - 1}) overlap; move one of them"
            )
        return self

    def build(self, on_event: OnEvent) -> Link:
        """The link; pymodbus is imported here, as only this kind needs it."""
        from protocols.modbus.client import ClientLink

        return ClientLink(
            self.host,
            self.port,
            unit=self.unit,
            command_address=self.command_address,
            status_address=self.status_address,
            scan=self.scan_ms / 1000,
            timeout=self.timeout_ms / 1000,
            codec=self.codec(),
            on_event=on_event,
        )
