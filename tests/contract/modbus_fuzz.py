"""Broken Modbus TCP against a running server: seeded, and every answer looked at."""

from __future__ import annotations

import asyncio
import errno
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from protocols.modbus.connection import ServerLimits
from protocols.modbus.registers import RegisterMap
from protocols.modbus.server import ModbusServer, Rules
from protocols.signals import Command, Outputs, Status
from tests.contract.test_links import running, until
from tests.contract.test_modbus_server import Master, frame, read

CORPUS = Path(__file__).parents[1] / "data" / "modbus-corpus"
"""Streams that were once worth a thought; one file each, one line a segment in hexadecimal, # begins a comment."""

Segments = list[bytes]


def corpus() -> dict[str, Segments]:
    """Name → segments of each kept stream."""
    return {path.stem: [bytes.fromhex(line) for line in _lines(path)] for path in sorted(CORPUS.glob("*.hex"))}


def _lines(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="ascii").splitlines():
        if text := line.partition("#")[0].strip():
            yield text


def case(rng: random.Random, seeds: list[Segments]) -> Segments:
    """One stream in segments: a kept one, or one of whole frames, mutated or not, cut anywhere."""
    parts = rng.choice(seeds) if rng.random() < 0.3 else [_frame(rng) for _ in range(rng.randint(1, 12))]
    stream = b"".join(parts)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        stream = _mutated(rng, stream)
    segments = []
    while stream:
        size = rng.choice((1, 3, 7, 12, 64, 260, 4096))
        segments.append(stream[:size])
        stream = stream[size:]
    return segments[:200]


def _frame(rng: random.Random) -> bytes:
    function = rng.choice((1, 2, 3, 4, 5, 6, 15, 16, 17, 22, 23, 43, rng.randrange(256)))
    address, count = (
        rng.choice((0, 1, 31, 32, 73, 100, 173, 65535, rng.randrange(65536))),
        rng.choice((0, 1, 2, 32, 125, 126)),
    )
    body = struct.pack(">HH", address, count)
    if function in (15, 16):
        body += bytes((rng.choice((2 * count & 0xFF, rng.randrange(256))),)) + rng.randbytes(rng.randrange(250))
    elif function == 23:
        words = rng.randrange(20)
        body += struct.pack(">HHB", rng.choice((0, 1, 31)), words, 2 * words) + rng.randbytes(2 * words)
    elif function in (17, 43) or rng.random() < 0.2:
        body = rng.choice((b"", b"\x0e\x01\0", b"\x0e\x04\xff", rng.randbytes(rng.randrange(252))))
    elif function == 5:
        body = struct.pack(">HH", address, rng.choice((0, 0xFF00, 1)))
    return frame(rng.randrange(65536), (bytes((function,)) + body)[:253], rng.choice((0, 1, 2, 3, 255)))


def _mutated(rng: random.Random, stream: bytes) -> bytes:
    if not stream:
        return rng.randbytes(20)
    at, other = rng.randrange(len(stream)), rng.randrange(len(stream))
    flipped = bytes((stream[at] ^ 1 << rng.randrange(8),))
    extreme = bytes((rng.choice((0, 0xFF, 0x7F, 0x80)),))
    return rng.choice(
        (
            stream[:at] + flipped + stream[at + 1 :],
            stream[:at] + extreme + stream[at + 1 :],
            stream[:at],
            stream[:at] + rng.randbytes(rng.randrange(1, 40)) + stream[at:],
            stream[: min(at, other)] + stream[max(at, other) :],
            stream + stream[at : at + 300],
        )
    )


@dataclass
class Target:
    """A server with three stations, and what went wrong in its loop."""

    server: ModbusServer
    troubles: list[dict[str, Any]] = field(default_factory=list)
    events: int = 0
    writes: int = 0

    @classmethod
    def make(cls) -> Target:
        target = cls(
            ModbusServer("127.0.0.1", 0, limits=ServerLimits(frame_timeout=2), on_event=lambda *_: target.told())
        )
        moved = RegisterMap(command=1000, status=1000, mirror=1100, coils=1000, discrete=1000)
        for unit, registers in ((1, RegisterMap()), (1, moved), (2, RegisterMap())):
            link = target.server.unit(unit, registers=registers, rules=Rules(held_reply=0.02 if unit == 2 else 0.0))
            link.attach(Echo(target, link.publish))
        return target

    def told(self) -> None:
        self.events += 1


@dataclass
class Echo:
    """A station that shows the number it was triggered with."""

    target: Target
    publish: Callable[[Outputs], None]

    def command(self, command: Command) -> None:
        self.target.writes += 1
        self.publish(Outputs(Status(trigger_seq_ack=command.trigger_seq)))

    def link_changed(self, state: object, reason: str) -> None:
        pass


async def attack(target: Target, segments: Segments, rng: random.Random) -> None:
    """Send one stream; what comes back must be whole Modbus frames. Then leave, politely or not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.server.port)
    try:
        for segment in segments:
            if writer.transport.is_closing():
                return
            writer.write(segment)
            if rng.random() < 0.05:
                await asyncio.sleep(0)
        if rng.random() < 0.5 and not writer.transport.is_closing():
            writer.write_eof()
            async with asyncio.timeout(10):
                check(await reader.read())
    except OSError as error:
        if not isinstance(error, ConnectionError) and error.errno != errno.ENOTCONN:  # uvloop says it so
            raise
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


def check(stream: bytes) -> None:
    """Whole frames, each with a sound header."""
    while stream:
        assert len(stream) >= 9, stream.hex()
        _, protocol, length = struct.unpack_from(">HHH", stream)
        assert protocol == 0, stream.hex()
        assert 3 <= length <= 254, stream.hex()
        assert len(stream) >= 6 + length, stream.hex()
        if stream[7] & 0x80:
            assert length == 3, stream.hex()
            assert stream[8] in (1, 2, 3, 4, 6, 0x0B), stream.hex()
        stream = stream[6 + length :]


async def fuzz(seconds: float, seed: int, *, growth_mb: float) -> int:
    """Attack for so long; how many streams. Fails on a traceback, a wrong answer or growing memory."""
    target, rng = Target.make(), random.Random(seed)
    loop, process, kept = asyncio.get_running_loop(), psutil.Process(), corpus()
    loop.set_exception_handler(lambda _, context: target.troubles.append(context))
    seeds, count, level = list(kept.values()), 0, 0
    async with running(target.server.run()):
        await target.server.bound.wait()
        begin = loop.time()
        for name, segments in kept.items():
            await attack(target, segments, random.Random(0))
            assert not target.troubles, (name, target.troubles)
        while loop.time() - begin < seconds:
            before = rng.getstate()
            await attack(target, case(rng, seeds), rng)
            count += 1
            assert not target.troubles, (f"seed {seed}, stream {count}", case(_at(before), seeds), target.troubles)
            if count % 200 == 0:
                await normal(target)
            if not level and loop.time() - begin > seconds / 3:
                level = process.memory_info().rss
        await until(lambda: not target.server.connections, 10)
        await normal(target)
        grown = (process.memory_info().rss - level) / 2**20
    assert grown < growth_mb, f"{grown:.1f} MB more than after a third of the time"
    assert target.writes
    return count


def _at(state: Any) -> random.Random:
    rng = random.Random()
    rng.setstate(state)
    return rng


async def normal(target: Target) -> None:
    """A master that does all right gets right answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.server.port)
    try:
        master = Master(reader, writer)
        assert (await master.ask(read(1, 64, 1)))[2:] == b"\x12\x34"
        assert await master.ask(frame(2, b"\x06\0\1\0\x2a")) == b"\x06\0\1\0\x2a"
        assert (await master.ask(read(3, 2, 1)))[2:] == b"\0\x2a"
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
