"""What a Modbus server must withstand on the wire, row by row (D-1 to D-16 of the fault programme): real sockets."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import AsyncExitStack

import pytest
import uvloop

from protocols.faults import Code
from protocols.link import LinkState
from protocols.modbus.connection import Connection, ServerLimits
from tests.contract.masters import LOCAL, PLC, SCADA, STRANGER, Plant, descriptors, write16
from tests.contract.test_links import until
from tests.contract.test_modbus_server import Master, frame, read, write

POLL = b"\x04\x02\0\0"
GOOD = write16(9, 0, 1, 7)


async def fine(plant: Plant, other: Master) -> None:
    """Nobody else noticed: a master of before is served, and nothing was written."""
    assert await other.ask(read(1)) == POLL
    assert plant.station.told == [LinkState.UP]


@pytest.mark.parametrize("protocol", [1, 0x0100, 0xFFFF])
async def test_d01_another_protocol_identifier_is_closed_at_once(protocol: int) -> None:
    async with Plant().open() as plant, plant.master_at() as other, plant.master_at() as master:
        await other.ask(read(1))
        master.send(struct.pack(">HHHB", 1, protocol, 6, 1) + GOOD[7:12], GOOD)
        assert await master.closed()
        await fine(plant, other)
        assert plant.codes == [Code.FRAMING]


@pytest.mark.parametrize("length", [0, 1, 255, 256, 0x7FFF, 0xFFFF])
async def test_d02_an_impossible_length_is_closed_at_once(length: int) -> None:
    async with Plant().open() as plant, plant.master_at() as other, plant.master_at() as master:
        master.send(struct.pack(">HHHB", 1, 0, length, 1), GOOD)
        assert await master.closed()
        await fine(plant, other)
        assert plant.codes == [Code.FRAMING]


@pytest.mark.parametrize("wrong", [-1, 1, 3])
@pytest.mark.parametrize("tid", [0, 1, 0x0100, 0x1234, 0xFFFF])
async def test_d03_a_length_that_lies_never_shifts_a_write(wrong: int, tid: int) -> None:
    pdu = GOOD[7:]
    lying = struct.pack(">HHHB", 1, 0, len(pdu) + 1 + wrong, 1) + pdu
    async with Plant().open() as plant, plant.master_at() as other, plant.master_at() as master:
        master.send(lying, write16(tid, 0, 8, 8), write16(tid, 0, 9, 9))
        async with asyncio.timeout(3):
            rest = await master.reader.read()
        assert all(answer[7] == 0x90 for answer in answers(rest))
        await fine(plant, other)
        assert plant.codes.count(Code.FRAMING) == 1


def answers(stream: bytes) -> list[bytes]:
    found = []
    while stream:
        size = 6 + struct.unpack_from(">H", stream, 4)[0]
        found.append(stream[:size])
        stream = stream[size:]
    return found


@pytest.mark.parametrize("seed", range(8))
async def test_d04_any_cut_of_the_stream_is_answered_in_order(seed: int) -> None:
    rng = random.Random(seed)
    asked = [rng.choice((read(tid, rng.randrange(64), 2), write(tid, rng.randrange(2, 32), tid))) for tid in range(300)]
    stream = b"".join(asked)
    async with Plant().open() as plant, plant.master_at() as master:
        while stream:
            size = rng.choice((1, 1, 2, 5, 12, 13, 100, 1000))
            master.send(stream[:size])
            stream = stream[size:]
            await asyncio.sleep(0)
        got = [await master.answer() for _ in asked]
    assert [tid for tid, _ in got] == list(range(300))
    assert [answer[0] for _, answer in got] == [one[7] for one in asked]
    assert plant.codes == []


async def test_d04_byte_by_byte() -> None:
    async with Plant().open() as plant, plant.master_at() as master:
        for byte in write16(1, 0, 1, 7) + read(2):
            master.send(bytes((byte,)))
            await asyncio.sleep(0.001)
        assert [(await master.answer())[0] for _ in range(2)] == [1, 2]
        assert len(plant.station.commands) == 1


@pytest.mark.parametrize("count", [124, 125, 0xFFFF])
async def test_d05_a_count_that_lies_is_03_and_writes_nothing(count: int) -> None:
    bad = [
        b"\x10",
        b"\x0f",
        struct.pack(">BHHB", 16, 0, count, 2) + b"\0\1",
        struct.pack(">BHHB", 16, 0, 1, 4) + b"\0\1",
        struct.pack(">BHHB", 16, 0, 2, 2) + b"\0\1",
        struct.pack(">BHHB", 15, 0, 1969, 247) + bytes(246),
        struct.pack(">BHHHHB", 23, 0, 1, 0, 122, 244) + bytes(243),
    ]
    async with Plant().open() as plant, plant.master_at() as master:
        for pdu in bad:
            assert await master.ask(frame(1, pdu)) == bytes((pdu[0] | 0x80, 3))
        await fine(plant, master)


SERVED = {1, 2, 3, 4, 5, 6, 15, 16, 17, 22, 23, 43}


async def test_d06_every_function_that_is_not_served_is_01() -> None:
    async with Plant().open() as plant, plant.master_at() as master:
        for function in range(256):
            answer = await master.ask(frame(function, bytes((function,)) + b"\0\0\0\0"))
            assert (answer == bytes((function | 0x80, 1))) is (function not in SERVED or function == 43)
        assert await master.ask(frame(1, b"\x11")) == b"\x11\x02\x01\xff"
        assert (await master.ask(frame(1, b"\x2b\x0e\x01\0")))[:7] == bytes.fromhex("2B 0E 01 82 00 00 03")


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        ((4, 0, 0), 3), ((4, 0, 126), 3), ((4, 0, 0xFFFF), 3), ((3, 0, 0), 3), ((3, 0, 126), 3),
        ((1, 0, 2001), 3), ((2, 0, 0), 3), ((4, 65535, 2), 2), ((3, 65535, 1), 2), ((4, 74, 1), 2), ((4, 0, 75), 2),
        ((3, 31, 2), 2), ((3, 99, 2), 2), ((1, 16, 1), 2), ((2, 31, 2), 2), ((2, 65535, 2000), 2),
    ],
)  # fmt: skip
async def test_d07_quantities_are_03_and_addresses_02(pdu: tuple[int, int, int], code: int) -> None:
    async with Plant().open() as plant, plant.master_at() as master:
        assert await master.ask(frame(1, struct.pack(">BHH", *pdu))) == bytes((pdu[0] | 0x80, code))
        await fine(plant, master)


def writes(address: int) -> list[bytes]:
    """One word or coil at this address, by each function that writes."""
    return [
        struct.pack(">BHH", 5, address, 0xFF00),
        struct.pack(">BHH", 6, address, 1),
        struct.pack(">BHHBB", 15, address, 1, 1, 1),
        struct.pack(">BHHBH", 16, address, 1, 2, 1),
        struct.pack(">BHHH", 22, address, 0, 1),
        struct.pack(">BHHHHBH", 23, 0, 1, address, 1, 2, 1),
    ]


async def test_d08_no_function_writes_what_is_not_the_plc_s() -> None:
    async with Plant().open() as plant, plant.master_at() as master:
        shown = await master.ask(read(1, 0, 74))
        for address in (*range(32, 200), 1000, 9999, 32767, 32768, *range(65500, 65536)):
            asked = writes(address)
            master.send(*(frame(tid, pdu) for tid, pdu in enumerate(asked)))
            got = [await master.answer() for _ in asked]
            assert [answer for _, answer in got] == [bytes((pdu[0] | 0x80, 2)) for pdu in asked]
        for value in (1, 0x00FF, 0xFF01, 0xFFFF):
            assert await master.ask(frame(1, struct.pack(">BHH", 5, 0, value))) == b"\x85\x03"
        assert plant.station.told == [LinkState.UP]
        assert await master.ask(read(2, 0, 74)) == shown
    assert set(plant.codes) == {Code.REQUEST_REFUSED}


@pytest.mark.parametrize("unit", [2, 77, 247, 254])
async def test_d09_another_unit_is_0b_or_silence_and_has_no_effect(unit: int) -> None:
    async with Plant().open() as plant, plant.master_at() as master:
        assert await master.ask(frame(1, GOOD[7:], unit)) == b"\x90\x0b"
        await fine(plant, master)
    async with Plant({"silent": True}).open() as plant, plant.master_at() as master:
        master.send(frame(1, GOOD[7:], unit), read(2), frame(3, GOOD[7:], unit), read(4))
        assert [(await master.answer())[0] for _ in range(2)] == [2, 4]
        assert plant.station.told == [LinkState.UP]
        assert (plant.server.counters.requests, plant.server.counters.exceptions) == (4, 2)


async def test_d09_unit_0_is_no_broadcast() -> None:
    plant = Plant()
    plant.server.unit(2)
    async with plant.open(), plant.master_at() as master:
        assert await master.ask(frame(1, GOOD[7:], 0)) == b"\x90\x0b"
        await fine(plant, master)


async def test_d10_a_thousand_idle_connections_keep_neither_plc_nor_master_out() -> None:
    before = descriptors()
    async with Plant({"connections": 32}, {"plc": (PLC,)}).open() as plant, plant.master_at(SCADA) as scada:
        await scada.ask(read(1))
        idle = [await asyncio.open_connection(LOCAL, plant.server.port) for _ in range(1000)]
        await until(lambda: plant.server.counters.accepted == 1001, 20)
        assert len(plant.server.connections) == 32
        async with plant.master_at(PLC) as plc, plant.master_at(STRANGER) as stranger:
            for master in (plc, stranger, scada):
                assert await master.ask(read(2)) == POLL
        for _, writer in idle:
            writer.transport.abort()
        await until(lambda: len(plant.server.connections) == 1, 20)
    await until(lambda: descriptors() <= before, 20)
    assert plant.codes == [Code.CLIENT_LIMIT] * 2, "told once for each address"


async def test_d10_the_configured_plc_finds_its_reserved_slot_when_all_are_busy() -> None:
    async with Plant({"connections": 4}, {"plc": (PLC,)}).open() as plant, AsyncExitStack() as stack:
        busy = [await stack.enter_async_context(plant.master_at(SCADA)) for _ in range(4)]
        for master in busy:
            await master.ask(read(1))
        async with plant.master_at(STRANGER) as stranger:
            assert await stranger.closed()
        async with plant.master_at(PLC) as plc:
            assert await plc.ask(GOOD) == GOOD[7:12]
            async with plant.master_at(STRANGER) as stranger:
                assert await stranger.closed()
            for master in (*busy, plc):
                assert await master.ask(read(2)) == POLL
    assert plant.server.counters.refused == 2


class Unheard(asyncio.Transport):
    aborted = False

    def abort(self) -> None:
        self.aborted = True


async def test_d10_who_gave_way_before_its_connection_was_made_is_closed_then() -> None:
    async with Plant({"connections": 1}).open() as plant:
        connection = Connection(plant.server, asyncio.get_running_loop(), STRANGER)
        plant.server.door.enter(connection)
        async with plant.master_at(SCADA) as scada:
            assert await scada.ask(read(1)) == POLL
        connection.connection_made(transport := Unheard())
        assert transport.aborted
        assert not connection.open


async def test_d10_one_address_has_its_share() -> None:
    async with Plant(access={"per_address": 2}).open() as plant, AsyncExitStack() as stack:
        for _ in range(2):
            master = await stack.enter_async_context(plant.master_at(STRANGER))
            await master.ask(read(1))
        async with plant.master_at(STRANGER) as third, plant.master_at(SCADA) as other:
            assert await third.closed()
            assert await other.ask(read(1)) == POLL


async def test_d11_a_request_that_is_never_finished_is_closed() -> None:
    assert ServerLimits().frame_timeout <= 10
    async with Plant({"frame_timeout": 0.2}).open() as plant, plant.master_at() as other, plant.master_at() as slow:
        await other.ask(read(1))
        for byte in GOOD[:7]:
            slow.send(bytes((byte,)))
            await asyncio.sleep(0.01)
        assert await slow.closed()
        await fine(plant, other)
        assert plant.codes == [Code.CLIENT_LIMIT]


async def send_for_ever(peer: socket.socket, data: bytes) -> None:
    async with asyncio.timeout(20):
        while True:
            await asyncio.get_running_loop().sock_sendall(peer, data)


async def test_d13_a_peer_that_never_reads_is_closed_and_memory_is_bounded() -> None:
    async with Plant().open() as plant, plant.master_at() as other:
        await other.ask(read(1))
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect((LOCAL, plant.server.port))
            peer.setblocking(False)
            flood = read(1, 0, 74) * 2000
            with pytest.raises(ConnectionError):
                await send_for_ever(peer, flood)
        await fine(plant, other)
        assert plant.codes == [Code.CLIENT_LIMIT]
        assert plant.server.counters.overflowed == 1


async def come_and_go(plant: Plant, source: str, times: int, pause: float = 0.0) -> int:
    """Connect, ask once, leave; how many times there was an answer."""
    answered = 0
    for _ in range(times):
        try:
            async with plant.master_at(source) as master:
                answered += await master.ask(read(1)) == POLL
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        await asyncio.sleep(pause)
    return answered


async def test_d14_a_reconnect_storm_is_limited_and_harms_neither_plc_nor_polite_master() -> None:
    access = {"plc": (PLC,), "connects_per_second": 12.0}
    before = descriptors()
    async with Plant(access=access).open() as plant:
        clock = asyncio.get_running_loop().time
        begin = clock()
        storm, plc, polite = await asyncio.gather(
            come_and_go(plant, STRANGER, 600), come_and_go(plant, PLC, 300), come_and_go(plant, SCADA, 20, 0.1)
        )
        most = 12 * (10 + clock() - begin) + 1
        assert (plc, polite) == (300, 20)
        assert storm <= most
        assert plant.server.counters.refused >= 600 - most
        await until(lambda: not plant.server.connections)
    await until(lambda: descriptors() <= before)
    assert plant.codes == [Code.CLIENT_LIMIT]
    assert "connects more than 12 times a second" in plant.events[0][1]


def test_d14_a_thousand_reconnects_leave_no_descriptor() -> None:
    async def main() -> None:
        async with Plant().open() as plant:
            await come_and_go(plant, LOCAL, 10)
            await until(lambda: not plant.server.connections)
            before = descriptors()
            assert await come_and_go(plant, LOCAL, 1000) == 1000
            await until(lambda: not plant.server.connections)
            await until(lambda: descriptors() <= before)
            assert plant.codes == []

    asyncio.run(main())
    uvloop.run(main())


async def test_d16_who_is_not_allowed_is_refused_before_a_byte_is_read() -> None:
    access = {"allow": ("127.0.0.1", "127.0.0.2/31")}
    async with Plant(access=access).open() as plant, plant.master_at(SCADA) as scada, plant.master_at(PLC) as plc:
        for _ in range(3):
            async with plant.master_at(STRANGER) as stranger:
                stranger.send(GOOD)
                assert await stranger.closed()
        assert plant.server.counters.requests == 0
        assert plant.codes == [Code.PEER_REFUSED]
        assert STRANGER in plant.events[0][1]
        for master in (scada, plc):
            await fine(plant, master)
