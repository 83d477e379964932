"""OPC UA frames by hand, for what no client would send."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


def frame(kind: bytes, body: bytes, chunk: bytes = b"F", size: int | None = None) -> bytes:
    """A chunk with this body; `size` = what its header claims."""
    return kind + chunk + struct.pack("<I", 8 + len(body) if size is None else size) + body


def text(value: str) -> bytes:
    return struct.pack("<i", len(value)) + value.encode()


def hello(buffers: int = 65_535, url: str = "opc.tcp://127.0.0.1:4840") -> bytes:
    return frame(b"HEL", struct.pack("<IIIII", 0, buffers, buffers, 0, 0) + text(url))


ENDLESS = {
    "nothings": b"\x80" + struct.pack("<i", 2**31 - 1),
    "backwards": b"\x8c" + struct.pack("<ii", 2**31 - 1, -4),
}
"""Variants of a few bytes that take a reader hours who believes them: arrays of Null, and of strings of length -4."""


def additional(variant: bytes) -> bytes:
    """An AdditionalHeader: an ExtensionObject, a LiteralOperand, with this Variant in it."""
    return struct.pack("<BBHBi", 1, 0, 597, 1, len(variant)) + variant


def opening(policy: str = "http://opcfoundation.org/UA/SecurityPolicy#None", more: bytes = b"\0\0\0") -> bytes:
    """OpenSecureChannel without security: algorithm header, sequence header, request; `more`: its additional header."""
    header = text(policy) + struct.pack("<ii", -1, -1)
    request = struct.pack("<BBH", 1, 0, 446)  # OpenSecureChannelRequest
    request += struct.pack("<BB", 0, 0) + struct.pack("<qII", 0, 1, 0) + struct.pack("<iI", -1, 0) + more
    request += struct.pack("<IIIiI", 0, 0, 1, -1, 3_600_000)
    return frame(b"OPN", struct.pack("<I", 0) + header + struct.pack("<II", 1, 1) + request)


def acknowledge() -> bytes:
    """What a server says to a hello."""
    return frame(b"ACK", struct.pack("<IIIII", 0, 65_535, 65_535, 0, 0))


def opened(more: bytes = b"\0\0\0") -> bytes:
    """What a server without security says to an opening; `more`: the additional header of its response."""
    header = text("http://opcfoundation.org/UA/SecurityPolicy#None") + struct.pack("<ii", -1, -1)
    response = struct.pack("<BBH", 1, 0, 449) + struct.pack("<qIIBi", 0, 1, 0, 0, -1) + more
    response += struct.pack("<IIIqIi", 0, 5, 13, 0, 3_600_000, -1)
    return frame(b"OPN", struct.pack("<I", 5) + header + struct.pack("<II", 1, 1) + response)


class Raw:
    """A bare TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """One whole frame."""
        head = await asyncio.wait_for(self.reader.readexactly(8), 10)
        return head + await self.reader.readexactly(int.from_bytes(head[4:8], "little") - 8)

    async def closed(self, seconds: float = 10) -> bytes:
        """What still came before the server closed; TimeoutError if it does not."""
        seen = b""
        try:
            async with asyncio.timeout(seconds):
                while data := await self.reader.read(65_536):
                    seen += data
        except ConnectionError:
            pass
        return seen


@asynccontextmanager
async def raw(port: int, local: str = "127.0.0.1") -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(local, 0))
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


def nonsense(dice: random.Random) -> bytes:
    """A framed message with random contents, often almost right."""
    kind = dice.choice([b"HEL", b"OPN", b"MSG", b"CLO", b"ERR", b"ACK", dice.randbytes(3)])
    chunk = dice.choice([b"F", b"F", b"F", b"C", b"A", dice.randbytes(1)])
    body = dice.randbytes(dice.choice([0, 1, 4, 12, 24, 60, 200, 2000]))
    if dice.random() < 0.5:  # almost a request: channel, token, sequence, request number, a type that exists
        numbers = struct.pack("<IIII", dice.randrange(3), dice.choice([0, 13]), dice.randrange(9), dice.randrange(9))
        body = numbers + struct.pack("<BBH", 1, 0, dice.choice([422, 428, 446, 461, 467, 527, 631, 673, 751])) + body
    size = None if dice.random() < 0.8 else dice.choice([0, 7, 8, 9, 2**31, 2**32 - 1, dice.randrange(70_000)])
    return frame(kind, body, chunk, size)


def conversation(dice: random.Random) -> bytes:
    """What one connection sends: sometimes a proper beginning, then nonsense."""
    beginning = dice.choice([b"", hello(), hello() + opening()])
    return beginning + b"".join(nonsense(dice) for _ in range(dice.randrange(1, 4)))
