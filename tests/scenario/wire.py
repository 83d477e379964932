"""The wire as the tests see it: block layout and Modbus framing written by hand, shared with neither end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass

READ_HOLDING, READ_INPUT, WRITE_MULTIPLE = 3, 4, 16
REQUEST_TIMEOUT = 0.5

_COMMAND = struct.Struct(">8HI6H32s")
_STATUS = struct.Struct(">16H")
_RESULT = struct.Struct(">HHIHHHHfHHHHHHIHH13fHH")

READY, TRIGGER_ACK, BUSY, EXPOSURE_DONE, RESULT_VALID, OVERRUN = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6
ONLINE, DEGRADED, FAULT_BIT, FAIL_SAFE = 1 << 0, 1 << 11, 1 << 12, 1 << 14

STATUS_BITS = (
    "online", "ready", "trigger_ack", "busy", "exposure_done", "result_valid", "overrun", "missed_trigger", "executing",
    "command_done", "command_failed", "degraded", "fault", "simulated", "fail_safe", "result_toggle",
)  # fmt: skip


class WireError(Exception):
    """The wire is down, or said something that is no answer."""


@dataclass(frozen=True, slots=True)
class Block:
    """Words 0…63 of the gateway's outputs, decoded; `result` is the raw result part, to compare all of it at once."""

    status: int
    heartbeat: int
    trigger_seq_ack: int
    trigger_refused: int
    newest_result_seq: int
    pending: int
    lost: int
    missed: int
    fault_code: int
    not_ready_reason: int
    recipe_active: int
    command_seq_ack: int
    command_result: int
    config_crc: int
    boot_id: int
    map_version: int
    result_seq: int
    trigger_seq: int
    part_id: int
    judgement: int
    result_bits: int
    reason: int
    score: float
    recipe: int
    model_crc: int
    exposed: float
    """UTC seconds; a whole millisecond, rounded down."""
    copy: int
    result: bytes

    def bit(self, mask: int) -> bool:
        return bool(self.status & mask)

    @property
    def ready(self) -> bool:
        return self.bit(READY)

    @property
    def valid(self) -> bool:
        return self.bit(RESULT_VALID)

    @property
    def torn(self) -> bool:
        return self.result_seq != self.copy


def decode(raw: bytes) -> Block:
    """The 128 bytes of one read."""
    r = _RESULT.unpack_from(raw, 32)
    seq, trigger_seq, part_id, judgement, bits, reason = r[:6]
    score, recipe, model_crc, exposed, copy = r[7], r[8], r[9], r[14] + r[15] / 1000, r[31]
    about_part = (seq, trigger_seq, part_id, judgement, bits, reason, score, recipe, model_crc, exposed, copy)
    return Block(*(*_STATUS.unpack_from(raw), *about_part, raw[32:]))


@dataclass(slots=True)
class Command:
    """The command block, as a PLC program fills it."""

    control: int = 0
    trigger_seq: int = 0
    result_ack_seq: int = 0
    plc_heartbeat: int = 0
    command: int = 0
    command_param: int = 0
    command_seq: int = 0
    part_id: int = 0
    serial: str = ""

    def encode(self) -> bytes:
        """64 bytes, word order ABCD."""
        words = (self.control, self.trigger_seq, self.result_ack_seq, self.plc_heartbeat)
        orders = (self.command, self.command_param, self.command_seq, 0)
        return _COMMAND.pack(*words, *orders, self.part_id, *(0,) * 6, self.serial.encode("ascii"))


def decode_command(raw: bytes) -> Command:
    """The 64 bytes of the command block."""
    w = _COMMAND.unpack(raw)
    return Command(*(*w[:7], w[8], w[15].rstrip(b"\0").decode("ascii")))


class Master:
    """A Modbus TCP master of a few lines; every request ends within `REQUEST_TIMEOUT`."""

    def __init__(self, port: int, unit: int = 1) -> None:
        self.port, self.unit = port, unit
        self._transaction = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def connected(self) -> bool:
        return self._streams is not None

    async def open(self) -> None:
        """Connect; WireError."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        except (OSError, TimeoutError) as error:
            raise WireError(f"port {self.port}: {error!r}") from error

    async def close(self, *, reset: bool = False) -> None:
        """End the connection by FIN, or at once by RST."""
        streams, self._streams = self._streams, None
        if streams is None:
            return
        if reset:
            linger = struct.pack("ii", 1, 0)
            streams[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            streams[1].transport.abort()
        streams[1].close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(streams[1].wait_closed(), 1.0)

    async def read(self, function: int, address: int, words: int) -> bytes:
        """Registers; WireError, and the connection is closed."""
        answer = await self._ask(struct.pack(">BHH", function, address, words))
        if answer[:2] != bytes((function, 2 * words)) or len(answer) != 2 + 2 * words:
            raise WireError(f"port {self.port}: function {function} answered {answer[:3].hex()}")
        return answer[2:]

    async def write(self, address: int, block: bytes) -> None:
        """Holding registers by FC16; WireError."""
        request = self._write_request(address, block)
        if await self._ask(request) != request[:5]:
            raise WireError(f"port {self.port}: a write was not confirmed")

    async def write_unheard(self, address: int, block: bytes) -> None:
        """Send a write and do not wait for its answer: what a wire does that is cut right then."""
        if self._streams is None:
            raise WireError(f"port {self.port}: not connected")
        self._streams[1].write(self._framed(self._write_request(address, block)))
        await self._streams[1].drain()

    def _write_request(self, address: int, block: bytes) -> bytes:
        return struct.pack(">BHHB", WRITE_MULTIPLE, address, len(block) // 2, len(block)) + block

    def _framed(self, pdu: bytes) -> bytes:
        self._transaction = (self._transaction + 1) & 0xFFFF
        return struct.pack(">HHHB", self._transaction, 0, len(pdu) + 1, self.unit) + pdu

    async def _ask(self, pdu: bytes) -> bytes:
        if self._streams is None:
            raise WireError(f"port {self.port}: not connected")
        reader, writer = self._streams
        frame = self._framed(pdu)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                writer.write(frame)
                head = await reader.readexactly(7)
                answer = await reader.readexactly(int.from_bytes(head[4:6], "big") - 1)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            await self.close()
            raise WireError(f"port {self.port}: {error!r}") from error
        if head[:4] != frame[:4] or head[6] != self.unit:
            await self.close()
            raise WireError(f"port {self.port}: the answer {head.hex()} belongs to no request")
        return answer
