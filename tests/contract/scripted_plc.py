"""A PLC as a raw Modbus TCP server with a memory, which may be scripted to answer anything at all."""

import asyncio
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Answer = Callable[[bytes], bytes | None]
"""Frame asked → bytes sent back; None = silence."""


def framed(frame: bytes, pdu: bytes) -> bytes:
    """The answer to `frame` that carries `pdu`."""
    return frame[:4] + struct.pack(">HB", len(pdu) + 1, frame[6]) + pdu


def exception(frame: bytes, code: int = 2) -> bytes:
    return framed(frame, bytes((frame[7] | 0x80, code)))


class ScriptedPlc:
    """Registers and coils behind a port; `answer` may be changed at any moment, `before` sees each request first."""

    def __init__(self, *, context: ssl.SSLContext | None = None) -> None:
        self.registers = [0] * 0x1_0000
        self.coils = [False] * 0x1_0000
        self.answer: Answer = self.right
        self.before: Callable[[bytes], None] = lambda frame: None
        self.asked: list[bytes] = []
        self.at: list[float] = []
        self.connections = 0
        self.together = 0
        """Most connections that were open at the same time."""
        self.connected_at: list[float] = []
        self.port = 0
        self.split = 0
        """Bytes a segment; 0 = each answer in one."""
        self._context = context
        self.writers: set[asyncio.StreamWriter] = set()

    @property
    def functions(self) -> list[int]:
        return [frame[7] for frame in self.asked]

    def right(self, frame: bytes) -> bytes:
        """What a PLC says that knows FC1 to 6, 15 and 16."""
        function, address, count = struct.unpack_from(">BHH", frame, 7)
        match function:
            case 1 | 2:
                number = sum(bit << n for n, bit in enumerate(self.coils[address : address + count]))
                size = (count + 7) // 8
                return framed(frame, bytes((function, size)) + number.to_bytes(size, "little"))
            case 3 | 4:
                words = struct.pack(f">{count}H", *self.registers[address : address + count])
                return framed(frame, bytes((function, len(words))) + words)
            case 5:
                self.coils[address] = bool(count)
            case 6:
                self.registers[address] = count
            case 15:
                number = int.from_bytes(frame[13:], "little")
                self.coils[address : address + count] = [bool(number >> n & 1) for n in range(count)]
            case 16:
                self.registers[address : address + count] = struct.unpack(f">{count}H", frame[13:])
            case _:
                return exception(frame, 1)
        return framed(frame, frame[7:12])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.connected_at.append(time.monotonic())
        self.writers.add(writer)
        self.together = max(self.together, len(self.writers))
        try:
            while True:
                head = await reader.readexactly(6)
                frame = head + await reader.readexactly(int.from_bytes(head[4:], "big"))
                self.asked.append(frame)
                self.at.append(time.monotonic())
                self.before(frame)
                if (reply := self.answer(frame)) is not None:
                    await self._send(writer, reply)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            self.writers.discard(writer)
            writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter, reply: bytes) -> None:
        step = self.split or len(reply) or 1
        for at in range(0, len(reply), step):
            writer.write(reply[at : at + step])
            await writer.drain()
            if self.split:
                await asyncio.sleep(0.002)  # a segment of its own

    def cut(self) -> None:
        """Break every connection without a word."""
        for writer in tuple(self.writers):
            writer.transport.abort()

    def end(self) -> None:
        """Say goodbye on every connection."""
        for writer in tuple(self.writers):
            writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield
            self.cut()
            while self.writers:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
