"""The simulated PLC as OPC UA server that a gateway reads and writes: the carrier of its program's scan."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from protocols.signals import Outputs
from simulators.carriers import CarrierError
from simulators.opcua_block import CODEC, program_reads, program_writes
from simulators.opcua_server import S7Server

HEARD = 0.8
"""Seconds since the last write after which nobody is there any more: four heartbeats."""


class OpcUaSlave:
    """Command and outputs of the program lie in the data block of a server with a S7-1500's manners."""

    def __init__(self, server: S7Server) -> None:
        self.server = server
        self._outputs = Outputs()
        self._last: dict[str, Any] = {}
        self.name = f"PLC's OPC UA server at {server.host}:{server.port}"
        self.going = asyncio.Event()
        """Cleared while the PLC's program stands still."""
        self.going.set()

    @property
    def connected(self) -> bool:
        """A client is there that writes: who only looks is no gateway."""
        return self.server.running and time.monotonic() - self.server.wrote_at < HEARD

    async def open(self) -> None:
        """Listen; raises CarrierError when the address cannot be had."""
        if self.server.restarting:
            raise CarrierError(f"{self.name}: it is being restarted")
        if self.server.running:
            return
        try:
            await self.server.start()
        except OSError as error:
            raise CarrierError(f"{self.name} cannot listen; does another program have the port?") from error
        self._last = {}

    async def read(self) -> bytes:
        """What the program makes of what the gateway wrote, 128 bytes."""
        await self.going.wait()
        if not self.server.running:
            raise CarrierError(f"{self.name}: it is being restarted")
        self._outputs = program_reads(self.server.image(), self._outputs)
        return CODEC.encode_status(self._outputs.status) + CODEC.encode_result(self._outputs.result)

    async def signature(self) -> bytes | None:
        """None: values have a type here, and no word order."""
        return None

    async def write(self, block: bytes) -> None:
        """Put the command where the gateway reads it: first the payload, then what starts something."""
        for part in program_writes(CODEC.decode_command(block)):
            changed = {name: value for name, value in part.items() if self._last.get(name) != value}
            if changed and self.server.running:
                await self.server.set(changed)
                self._last |= changed

    def forget(self) -> None:
        """The data block is empty: all of it is to be written again."""
        self._last = {}

    async def close(self) -> None:
        """Stop listening and close every connection."""
        await self.server.stop()
        self._last = {}
