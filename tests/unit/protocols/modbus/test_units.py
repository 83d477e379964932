"""Several stations behind one listener, without a socket: by unit id, and side by side under one."""

import struct
from itertools import product

import pytest

from protocols.codec import Codec
from protocols.link import MapError
from protocols.modbus.pdu import ExceptionCode, Units
from protocols.modbus.registers import COILS, COMMAND_WORDS, DISCRETES, SHOWN_WORDS, RegisterMap
from tests.unit.protocols.modbus.test_mbap import exchange, frame, request, write15, write16

FIRST = RegisterMap()
SECOND = RegisterMap(command=32, status=74, mirror=174, coils=16, discrete=32)
"""Right behind the first one: whatever spans the border lies in neither."""
SIGNATURE = Codec().encode_signature()


class Cell:
    def __init__(self, *maps: tuple[int, RegisterMap], silent: bool = False) -> None:
        self.refused: list[ExceptionCode] = []
        self.written: list[int] = []
        self.units = Units(lambda source, unit, pdu, code: self.refused.append(code), silent=silent)
        self.images = [
            self.units.add(unit, registers, SIGNATURE, lambda block, source, n=n: self.written.append(n))  # type: ignore[misc]
            for n, (unit, registers) in enumerate(maps)
        ]
        for n, image in enumerate(self.images):
            image.show(bytes((n + 1,)) * 128, 0xFFFF_FFFF if n else 0)

    def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        return self.units.answer(frame(pdu, unit), "test")[7:]


def side_by_side() -> Cell:
    return Cell((1, FIRST), (1, SECOND))


def test_each_station_answers_at_its_own_addresses() -> None:
    cell = side_by_side()
    assert cell.ask(request(4, 0, 64)) == b"\x04\x80" + b"\1" * 128
    assert cell.ask(request(4, 74, 64)) == b"\x04\x80" + b"\2" * 128
    assert cell.ask(request(3, 174, 1)) == b"\x03\x02\2\2"
    assert (cell.ask(request(2, 31, 1)), cell.ask(request(2, 32, 1))) == (b"\x02\x01\0", b"\x02\x01\1")
    assert cell.ask(request(6, 1, 7)) == request(6, 1, 7)
    assert cell.ask(request(6, 33, 8)) == request(6, 33, 8)
    assert cell.ask(request(5, 17, 0xFF00)) == request(5, 17, 0xFF00)
    assert cell.ask(exchange(174, 2, 34, [9]))[:2] == b"\x17\x04"
    assert cell.written == [0, 1, 1, 1]
    assert [image.command[:6].hex() for image in cell.images] == ["000000070000", "000200080009"]


SPANS = [
    request(4, 73, 2),
    request(4, 0, 100),
    request(3, 31, 2),
    request(3, 173, 2),
    request(2, 31, 2),
    request(1, 15, 2),
    write16(31, [1, 2]),
    write15(15, 2, b"\x03"),
    exchange(100, 1, 33, [1]),  # reads one station and writes the other
    exchange(174, 1, 0, [1]),
    exchange(173, 2, 0, [1]),
    exchange(100, 1, 31, [1, 2]),
]


@pytest.mark.parametrize("pdu", SPANS, ids=bytes.hex)
def test_what_spans_two_stations_is_02_and_writes_nothing(pdu: bytes) -> None:
    cell = side_by_side()
    assert cell.ask(pdu) == bytes((pdu[0] | 0x80, 2))
    assert cell.written == []
    assert cell.refused == [ExceptionCode.ILLEGAL_DATA_ADDRESS]
    assert all(image.command == bytes(64) for image in cell.images)


def test_a_sweep_over_both_maps_never_mixes_them() -> None:
    cell = side_by_side()
    for address, count in product(range(160), (1, 2, 37, 74)):
        answer = cell.ask(request(4, address, count))
        inside = address + count <= 74 or 74 <= address <= 148 - count
        assert (answer[0] == 4) is inside
        if inside:
            one = cell.images[address // 74]._shown
            assert answer[2:] == one[2 * (address % 74) : 2 * (address % 74 + count)]
    for address, count in product(range(70), (1, 2, 31, 32)):
        inside = address + count <= 32 or 32 <= address <= 64 - count
        assert (cell.ask(write16(address, [5] * count))[0] == 16) is inside


def test_a_wrong_quantity_is_03_wherever_it_lies() -> None:
    cell = side_by_side()
    for address in (0, 74, 9999):
        assert cell.ask(request(4, address, 0)) == b"\x84\x03"
    assert cell.ask(b"\x07") == b"\x87\x01"


def test_one_unit_id_with_two_stations_is_unit_0_and_255_too() -> None:
    cell = side_by_side()
    assert cell.ask(request(4, 74, 1), 0) == cell.ask(request(4, 74, 1), 255) == b"\x04\x02\2\2"
    both = Cell((1, FIRST), (1, SECOND), (2, FIRST))
    assert both.ask(request(4, 0, 1), 0) == b"\x84\x0b"
    assert both.ask(request(4, 0, 1), 2) == b"\x04\x02\3\3"


def test_who_answers_17_is_the_unit() -> None:
    cell = Cell((1, FIRST), (1, SECOND), (9, FIRST))
    assert cell.ask(b"\x11", 1) == b"\x11\x02\x01\xff"
    assert cell.ask(b"\x11", 9) == b"\x11\x02\x09\xff"
    assert cell.ask(bytes.fromhex("2B 0E 01 00"))[:7] == bytes.fromhex("2B 0E 01 82 00 00 03")


AREAS = [
    ("command", COMMAND_WORDS, "holding registers"),
    ("status", SHOWN_WORDS, "input registers"),
    ("mirror", SHOWN_WORDS, "holding registers"),
    ("coils", COILS, "coils"),
    ("discrete", DISCRETES, "discrete inputs"),
]


@pytest.mark.parametrize(("area", "length", "table"), AREAS)
def test_maps_overlap_by_a_single_word_and_may_touch(area: str, length: int, table: str) -> None:
    far = {"command": 2000, "status": 2000, "mirror": 3000, "coils": 2000, "discrete": 2000}
    here = RegisterMap(command=1000, status=1000, mirror=1500, coils=1000, discrete=1000)
    start: int = getattr(here, area)
    for base in (start - length + 1, start, start + length - 1):
        told = here.overlap(RegisterMap(**{**far, area: base}))
        assert told.startswith(f"{area} ({table} {start}…{start + length - 1}) and {area} ({table} {base}…")
    for base in (start - length, start + length):
        other = RegisterMap(**{**far, area: base})
        assert here.overlap(other) == other.overlap(here) == ""


def test_the_command_block_of_one_and_the_mirror_of_another_share_a_table() -> None:
    far = RegisterMap(command=150, status=2000, mirror=3000, coils=2000, discrete=2000)
    assert FIRST.overlap(far) == "mirror (holding registers 100…173) and command (holding registers 150…181)"
    with pytest.raises(MapError, match=r"two stations of unit 1 overlap: mirror .* and command .*; move one of them"):
        Cell((1, FIRST), (1, far))


def test_an_unknown_unit_is_silence_where_that_is_set() -> None:
    cell = Cell((1, FIRST), (3, FIRST), silent=True)
    for unit in (0, 2, 255):
        assert cell.units.answer(frame(write16(0, [1]), unit), "test") == b""
    assert cell.ask(request(4, 74, 1)) == b"\x84\x02"
    assert (cell.written, len(cell.refused)) == ([], 4)


def test_a_write_may_be_kept_from_one_source_and_not_from_another() -> None:
    cell = Cell((1, FIRST))
    cell.images[0].permit = lambda source: ExceptionCode.SERVER_DEVICE_BUSY
    for pdu in (request(6, 0, 1), request(5, 0, 0xFF00), write15(0, 1, b"\1"), write16(0, [1]),
                struct.pack(">BHHH", 22, 0, 0, 1), exchange(0, 1, 0, [1])):  # fmt: skip
        assert cell.ask(pdu) == bytes((pdu[0] | 0x80, 6))
    assert cell.ask(request(6, 100, 1)) == b"\x86\x02"  # the address comes first
    assert cell.ask(request(5, 0, 1)) == b"\x85\x03"
    assert cell.ask(request(3, 0, 1)) == b"\x03\x02\0\0"
    assert (cell.written, cell.images[0].command) == ([], bytes(64))
