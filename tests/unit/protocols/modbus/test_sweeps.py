"""Whole maps swept by every function (D-5 to D-8), against what the specification says of each request."""

import struct
from itertools import product

import pytest

from protocols.modbus.registers import RegisterMap
from tests.unit.protocols.modbus.test_mbap import Bench, exchange, request, write15, write16

MOVED = RegisterMap(command=1000, status=2000, mirror=3000, coils=400, discrete=500)
EDGES = (*range(260), 399, 400, 415, 416, 499, 500, 531, 532, 999, 1000, 1031, 1032, 2000, 2073, 2074, 2999, 3073, 3074,
         32767, 32768, 65534, 65535)  # fmt: skip
LIMITS = {1: 2000, 2: 2000, 3: 125, 4: 125}


def inside(function: int, registers: RegisterMap, address: int, count: int) -> bool:
    """Whether all of it lies in one block."""
    areas = {
        1: [(registers.coils, 16)],
        2: [(registers.discrete, 32)],
        3: [(registers.command, 32), (registers.mirror, 74)],
        4: [(registers.status, 74)],
    }[function]
    return any(base <= address and address + count <= base + size for base, size in areas)


@pytest.mark.parametrize("registers", [RegisterMap(), MOVED], ids=["default", "moved"])
@pytest.mark.parametrize("function", [1, 2, 3, 4])
def test_d07_each_read_is_answered_or_gets_its_one_exception(function: int, registers: RegisterMap) -> None:
    bench = Bench(registers=registers)
    counts = (0, 1, 2, 7, 8, 16, 17, 31, 32, 33, 73, 74, 75, 125, 126, 2000, 2001, 0x7FFF, 0xFFFF)
    for address, count in product(EDGES, counts):
        answer = bench.ask(request(function, address, count))
        if not 0 < count <= LIMITS[function]:
            assert answer == bytes((function | 0x80, 3))
        elif not inside(function, registers, address, count):
            assert answer == bytes((function | 0x80, 2))
        else:
            size = (count + 7) // 8 if function < 3 else 2 * count
            assert answer[:2] == bytes((function, size))
            assert len(answer) == 2 + size
    assert bench.blocks == []


@pytest.mark.parametrize("registers", [RegisterMap(), MOVED], ids=["default", "moved"])
def test_d05_a_write_of_many_is_done_whole_or_not_at_all(registers: RegisterMap) -> None:
    bench = Bench(registers=registers)
    for address, count in product(EDGES, (1, 2, 3, 16, 31, 32, 33, 123)):
        before = bench.image.command
        answer = bench.ask(write16(address, [0x1234] * count))
        if registers.command <= address and address + count <= registers.command + 32:
            assert answer == request(16, address, count)
        else:
            assert answer == b"\x90\x02"
            assert bench.image.command == before
        before = bench.image.command
        answer = bench.ask(write15(address, count, b"\x55" * ((count + 7) // 8)))
        if registers.coils <= address and address + count <= registers.coils + 16:
            assert answer == request(15, address, count)
            assert bench.image.command[2:] == before[2:]
        else:
            assert answer == b"\x8f\x02"
            assert bench.image.command == before


@pytest.mark.parametrize("function", [15, 16, 23])
def test_d05_every_quantity_and_byte_count(function: int) -> None:
    """Only the quantity that its byte count and its length confirm is carried out."""
    for count, size, sent in product((0, 1, 2, 8, 9, 121, 122, 123, 124, 1968, 1969, 0xFFFF), range(0, 256, 3), (0, 2)):
        bench = Bench()
        data = bytes(min(240, size + sent))
        head = struct.pack(">BHHB", function, 0, count, size)
        if function == 23:
            head = struct.pack(">BHHHHB", 23, 0, 1, 0, count, size)
        answer = bench.ask(head + data)
        most, needed = {15: (1968, (count + 7) // 8), 16: (123, 2 * count), 23: (121, 2 * count)}[function]
        sound = 0 < count <= most and size == needed and len(data) == size
        fits = count <= (16 if function == 15 else 32)
        assert answer[1:] == b"\x03" if not sound else answer[0] & 0x80 == (0 if fits else 0x80)
        assert len(bench.blocks) == int(sound and fits)


@pytest.mark.slow
def test_d08_no_write_function_reaches_beyond_the_command_block_anywhere() -> None:
    bench = Bench()
    shown = bench.ask(request(4, 0, 74)), bench.ask(request(2, 0, 32))
    for address in range(0x10000):
        own, coil = address < 32, address < 16
        assert (bench.ask(request(5, address, 0xFF00)) == b"\x85\x02") is not coil
        assert (bench.ask(request(6, address, 0x5A5A)) == b"\x86\x02") is not own
        assert (bench.ask(write15(address, 1, b"\x01")) == b"\x8f\x02") is not coil
        assert (bench.ask(write16(address, [7])) == b"\x90\x02") is not own
        assert (bench.ask(struct.pack(">BHHH", 22, address, 0, 9)) == b"\x96\x02") is not own
        assert (bench.ask(exchange(0, 1, address, [1])) == b"\x97\x02") is not own
    assert (bench.ask(request(4, 0, 74)), bench.ask(request(2, 0, 32))) == shown
    assert len(bench.blocks) == 4 * 32 + 2 * 16


@pytest.mark.parametrize("function", [5, 6, 15, 16, 22, 23])
def test_d08_a_reserved_word_of_the_block_is_kept_and_read_back(function: int) -> None:
    """Word 7 has no meaning and is the PLC's all the same: a PLC writes the block as one."""
    bench = Bench()
    pdu = {
        5: request(5, 7, 0xFF00),
        6: request(6, 7, 0xBEEF),
        15: write15(7, 1, b"\x01"),
        16: write16(7, [0xBEEF]),
        22: struct.pack(">BHHH", 22, 7, 0, 0xBEEF),
        23: exchange(7, 1, 7, [0xBEEF]),
    }[function]
    assert bench.ask(pdu)[0] == function
    if function in (5, 15):
        assert bench.ask(request(1, 7, 1)) == b"\x01\x01\x01"
    else:
        assert bench.ask(request(3, 7, 1)) == b"\x03\x02\xbe\xef"
