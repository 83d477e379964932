"""The simulated PLC as master of a serial line (Modbus RTU), with framing of its own as in `carriers`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import termios

import serial

from simulators.carriers import OUTPUT_WORDS, SIGNATURE_WORDS, CarrierError

READ_INPUT, WRITE_MULTIPLE = 4, 16
PARITIES = {"even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD, "none": serial.PARITY_NONE}

_REQUEST = struct.Struct(">BBHH")
_WRITE = struct.Struct(">BBHHB")


class RtuMaster:
    """The PLC polls the gateway on a serial line: one read of 64 registers, one write of 32, at every scan."""

    def __init__(  # noqa: PLR0913 - a line and two places on it
        self,
        device: str,
        *,
        baud: int = 19200,
        parity: str = "even",
        unit: int = 1,
        command_address: int = 0,
        status_address: int = 0,
        read_function: int = READ_INPUT,
        timeout: float = 0.5,
    ) -> None:
        self.name = f"gateway at {device}, unit {unit}"
        self._device, self._baud, self._parity, self._unit = device, baud, parity, unit
        self._command, self._status = command_address, status_address
        self._function, self._timeout = read_function, timeout
        self._pause = max(0.00175, 3.5 * 11 / baud)
        self._port: serial.Serial | None = None
        self._heard = bytearray()
        self._more = asyncio.Event()
        self._ended = False
        self._turn = asyncio.Lock()

    @property
    def connected(self) -> bool:
        return self._port is not None and not self._ended

    async def open(self) -> None:
        """Open the line; raises CarrierError."""
        await self.close()
        try:
            self._port = serial.Serial(self._device, self._baud, parity=PARITIES[self._parity], timeout=0)
        except (OSError, ValueError, termios.error) as error:
            raise CarrierError(
                f"{self.name}: the line cannot be opened ({error}); is the adapter plugged in?"
            ) from error
        self._ended = False
        asyncio.get_running_loop().add_reader(self._port.fileno(), self._take)

    async def read(self) -> bytes:
        """Words 0…63, 128 bytes; raises CarrierError."""
        return await self._registers(self._status, OUTPUT_WORDS)

    async def signature(self) -> bytes | None:
        """Words 64…73, 20 bytes; None when the gateway has none."""
        try:
            return await self._registers(self._status + OUTPUT_WORDS, SIGNATURE_WORDS)
        except _RefusedError:
            return None

    async def write(self, block: bytes) -> None:
        """Words 0…31 in one request; raises CarrierError."""
        request = _WRITE.pack(self._unit, WRITE_MULTIPLE, self._command, len(block) // 2, len(block)) + block
        if await self._ask(request, 8) != request[:6]:
            raise CarrierError(f"{self.name}: confirms another write than that to {self._command}")

    async def close(self) -> None:
        """Leave the line."""
        port, self._port = self._port, None
        if port is not None:
            asyncio.get_running_loop().remove_reader(port.fileno())
            port.close()

    async def _registers(self, address: int, words: int) -> bytes:
        request = _REQUEST.pack(self._unit, self._function, address, words)
        answer = await self._ask(request, 5 + 2 * words)
        if answer[2] != 2 * words:
            raise CarrierError(f"{self.name}: sent {answer[2]} bytes where {words} words were asked for")
        return answer[3:]

    async def _ask(self, body: bytes, length: int) -> bytes:
        async with self._turn:  # a line bears one request at a time
            return await self._exchange(body, length)

    async def _exchange(self, body: bytes, length: int) -> bytes:
        """The answer without its checksum; what is wrong is heard out, so that the next request meets a silent line."""
        await asyncio.sleep(self._pause)
        if self._port is None or self._ended:
            raise CarrierError(f"{self.name}: the line is not open")
        self._heard.clear()
        try:
            os.write(self._port.fileno(), body + checksum(body))
            async with asyncio.timeout(self._timeout + 11 / self._baud * (len(body) + length)):
                while not self._complete(length):
                    self._more.clear()
                    await self._more.wait()
        except (OSError, TimeoutError) as error:
            cause = "timed out" if isinstance(error, TimeoutError) else error.strerror
            raise CarrierError(f"{self.name}: no answer to function {body[1]} ({cause})") from error
        if self._ended:
            raise CarrierError(f"{self.name}: the line has gone")
        answer = bytes(self._heard)
        if checksum(answer[:-2]) != answer[-2:] or answer[0] != self._unit or answer[1] & 0x7F != body[1]:
            await asyncio.sleep(self._timeout)
            raise CarrierError(f"{self.name}: function {body[1]} was answered by {answer.hex(' ')}")
        if answer[1] & 0x80:
            raise _RefusedError(f"{self.name}: exception {answer[2]:02X} to function {body[1]}; is the address right?")
        return answer[:-2]

    def _complete(self, length: int) -> bool:
        refused = len(self._heard) >= 2 and self._heard[1] & 0x80
        return self._ended or len(self._heard) >= (5 if refused else length)

    def _take(self) -> None:
        if self._port is None:
            return
        data = b""
        with contextlib.suppress(OSError):
            data = os.read(self._port.fileno(), 1024)
        self._heard += data
        if not data:
            self._ended = True
            asyncio.get_running_loop().remove_reader(self._port.fileno())
        self._more.set()


class _RefusedError(CarrierError):
    """An exception answer: the line is sound, the request is not."""


def checksum(data: bytes) -> bytes:
    """CRC-16, low byte first (MODBUS over Serial Line V1.02, §6.2.2), bit by bit as the page there draws it."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value, lost = value >> 1, value & 1
            if lost:
                value ^= 0xA001
    return bytes((value & 0xFF, value >> 8))
