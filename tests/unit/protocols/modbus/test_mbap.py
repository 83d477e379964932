"""Frames and functions of Modbus TCP, without a socket: what a peer may send, and what it gets."""

import struct
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.codec import Codec
from protocols.modbus.mbap import Framer, FramingError
from protocols.modbus.pdu import ExceptionCode, UnitImage, Units
from protocols.modbus.registers import RegisterMap

SERVED = {1, 2, 3, 4, 5, 6, 15, 16, 17, 22, 23, 43}
FUNCTION, ADDRESS, VALUE, TARGET = (bytes((code,)) for code in (1, 2, 3, 0x0B))


class Bench:
    """One station behind a listener, with a record of what it was told."""

    def __init__(self, *units: int, registers: RegisterMap | None = None) -> None:
        self.refusals: list[tuple[object, int, bytes, ExceptionCode]] = []
        self.blocks: list[bytes] = []
        self.units = Units(lambda *refusal: self.refusals.append(refusal))
        self.image: UnitImage
        for unit in units or (1,):
            self.image = self.units.add(unit, registers or RegisterMap(), Codec().encode_signature(), self._written)
        self.show(bytes(range(128)))

    def _written(self, block: bytes, source: object) -> None:
        self.blocks.append(block)

    def show(self, outputs: bytes, discrete: int = 0x8003_0005) -> None:
        self.image.show(outputs, discrete)

    def ask(self, pdu: bytes, unit: int = 1, tid: int = 0x0102) -> bytes:
        answer = self.units.answer(frame(pdu, unit, tid), "test")
        head = struct.unpack_from(">HHHB", answer)
        assert head == (tid, 0, len(answer) - 6, unit)
        return answer[7:]


def frame(pdu: bytes, unit: int = 1, tid: int = 1) -> bytes:
    return struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu


def request(function: int, address: int, value: int) -> bytes:
    return struct.pack(">BHH", function, address, value)


def write16(address: int, words: list[int], *, count: int | None = None, size: int | None = None) -> bytes:
    data = struct.pack(f">{len(words)}H", *words)
    return struct.pack(">BHHB", 16, address, count if count is not None else len(words), size or len(data)) + data


def write15(address: int, count: int, data: bytes, *, size: int | None = None) -> bytes:
    return struct.pack(">BHHB", 15, address, count, len(data) if size is None else size) + data


def exchange(read: int, count: int, write: int, words: list[int], *, size: int | None = None) -> bytes:
    data = struct.pack(f">{len(words)}H", *words)
    return struct.pack(">BHHHHB", 23, read, count, write, len(words), len(data) if size is None else size) + data


# -- framing ---------------------------------------------------------------------------------------------------------


def drain(stream: bytes, cuts: list[int]) -> list[bytes]:
    framer, at = Framer(), 0
    frames: list[bytes] = []
    for cut in [*sorted(cuts), len(stream)]:
        frames += framer.feed(stream[at:cut])
        at = cut
    assert framer.pending == 0
    return frames


pdus = st.one_of(
    st.builds(request, st.sampled_from([1, 2, 3, 4, 5, 6, 99]), st.integers(0, 200), st.integers(0, 130)),
    st.builds(write16, st.integers(0, 40), st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=40)),
)


@given(st.lists(st.tuples(pdus, st.integers(0, 0xFFFF)), min_size=1, max_size=12), st.data())
def test_any_cut_of_a_stream_is_answered_in_order(requests: list[tuple[bytes, int]], data: st.DataObject) -> None:
    stream = b"".join(frame(pdu, tid=tid) for pdu, tid in requests)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=30))
    bench, reference = Bench(), Bench()
    answers = [bench.units.answer(one, "test") for one in drain(stream, cuts)]
    assert [struct.unpack_from(">H", answer)[0] for answer in answers] == [tid for _, tid in requests]
    assert [answer[7:] for answer in answers] == [reference.ask(pdu, tid=tid) for pdu, tid in requests]
    assert bench.blocks == reference.blocks


def test_one_byte_at_a_time() -> None:
    stream = frame(request(3, 0, 1), tid=7) + frame(request(4, 0, 2), tid=8)
    assert drain(stream, list(range(len(stream)))) == [stream[:12], stream[12:]]


def test_a_caller_may_take_a_few_and_come_back() -> None:
    framer, stream = Framer(), [frame(request(3, n, 1), tid=n) for n in range(10)]
    taken = []
    feed = framer.feed(b"".join(stream))
    while more := list(islice(feed, 3)):
        taken += more
        feed.close()
        feed = framer.feed(b"")
    assert taken == stream


@pytest.mark.parametrize(
    "head",
    [
        "0001 0001 0006",
        "0001 0100 0006",
        "0001 FFFF 0006",
        "0001 0000 0000",
        "0001 0000 0001",
        "0001 0000 00FF",
        "0001 0000 FFFF",
    ],
)
def test_a_wrong_header_ends_the_stream_behind_the_last_good_frame(head: str) -> None:
    framer, good = Framer(), frame(request(3, 0, 1))
    frames = framer.feed(good + bytes.fromhex(head) + b"\x01\x03\0\0\0\x01")
    assert next(frames) == good
    with pytest.raises(FramingError):
        next(frames)


@pytest.mark.parametrize("length", [2, 254])
def test_the_longest_and_the_shortest_frame(length: int) -> None:
    whole = struct.pack(">HHH", 1, 0, length) + bytes(length)
    assert list(Framer().feed(whole)) == [whole]


@pytest.mark.parametrize("tid", [0, 1, 0x0100, 0x1234, 0xFFFF])
@pytest.mark.parametrize("wrong", [-1, 1])
@pytest.mark.parametrize("pdu", [request(6, 3, 0x55AA), write16(0, [1, 2, 3]), request(5, 1, 0xFF00)])
def test_a_length_one_off_never_writes_and_closes_at_the_next_request(pdu: bytes, wrong: int, tid: int) -> None:
    bench, framer = Bench(), Framer()
    lying = struct.pack(">HHHB", 1, 0, len(pdu) + 1 + wrong, 1) + pdu
    answers = []
    frames = framer.feed(lying + frame(write16(0, [9]), tid=tid) + frame(write16(0, [8]), tid=tid))
    with pytest.raises(FramingError):
        answers += [bench.units.answer(one, "test")[7:] for one in frames]
    assert bench.blocks == []


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_random_bytes_never_crash(chunks: list[bytes]) -> None:
    framer, bench = Framer(), Bench()
    try:
        for chunk in chunks:
            for one in framer.feed(chunk):
                bench.units.answer(one, "test")
    except FramingError:
        return
    assert framer.pending <= 260


@given(st.binary(min_size=1, max_size=253), st.integers(0, 255))
def test_a_random_pdu_is_answered_or_refused(pdu: bytes, unit: int) -> None:
    bench = Bench()
    answer = bench.ask(pdu, unit)
    assert answer[0] & 0x7F == pdu[0] & 0x7F
    assert len(answer) <= 253
    if answer[0] & 0x80:
        assert bench.blocks == []


@given(st.sampled_from([5, 6, 15, 16, 22, 23]), st.binary(max_size=40))
def test_a_random_write_touches_the_command_block_only(function: int, rest: bytes) -> None:
    bench = Bench()
    before = bench.ask(request(4, 0, 74)), bench.ask(request(2, 0, 32))
    bench.ask(bytes((function,)) + rest)
    assert (bench.ask(request(4, 0, 74)), bench.ask(request(2, 0, 32))) == before
    assert len(bench.image.command) == 64


# -- functions -------------------------------------------------------------------------------------------------------


def test_reads() -> None:
    bench = Bench()
    assert bench.ask(request(4, 0, 64)) == b"\x04\x80" + bytes(range(128))
    assert bench.ask(request(3, 100, 64)) == b"\x03\x80" + bytes(range(128))
    assert bench.ask(request(4, 64, 10))[2:6] == bytes.fromhex("1234 1234")
    assert bench.ask(request(3, 164, 10))[2:] == bench.ask(request(4, 64, 10))[2:]
    assert bench.ask(request(4, 73, 1)) == b"\x04\x02\0\0"
    assert bench.ask(request(3, 0, 32)) == b"\x03\x40" + bytes(64)
    assert bench.ask(request(2, 0, 32)) == bytes.fromhex("02 04 05 00 03 80")
    assert bench.ask(request(2, 2, 3)) == bytes.fromhex("02 01 01")
    assert bench.ask(request(1, 0, 16)) == bytes.fromhex("01 02 00 00")


def test_writes_echo_are_read_back_and_told_at_once() -> None:
    bench = Bench()
    assert bench.ask(request(6, 1, 0x0007)) == request(6, 1, 0x0007)
    assert bench.ask(write16(30, [0x4142, 0x4344])) == request(16, 30, 2)
    assert bench.ask(request(5, 0, 0xFF00)) == request(5, 0, 0xFF00)
    assert bench.ask(write15(8, 8, b"\xa5")) == request(15, 8, 8)
    assert bench.ask(request(3, 0, 2)) == bytes.fromhex("03 04 A501 0007")
    assert bench.ask(request(1, 0, 16)) == bytes.fromhex("01 02 01 A5")
    assert bench.ask(request(5, 0, 0x0000)) == request(5, 0, 0x0000)
    assert bench.ask(request(3, 0, 1)) == bytes.fromhex("03 02 A500")
    assert [block[:4].hex() for block in bench.blocks] == ["00000007"] * 2 + ["00010007", "a5010007", "a5000007"]


def test_coils_beside_the_ones_written_stay() -> None:
    bench = Bench()
    bench.ask(request(6, 0, 0xFFFF))
    bench.ask(write15(3, 2, b"\xfc"))  # bits beyond the quantity are padding
    assert bench.ask(request(3, 0, 1)) == bytes.fromhex("03 02 FFE7")


def test_mask_write_is_the_example_of_the_specification() -> None:
    bench = Bench()
    bench.ask(request(6, 4, 0x0012))
    pdu = struct.pack(">BHHH", 22, 4, 0x00F2, 0x0025)
    assert bench.ask(pdu) == pdu
    assert bench.ask(request(3, 4, 1)) == bytes.fromhex("03 02 0017")


def test_read_write_writes_first_and_reads_what_follows_from_it() -> None:
    bench = Bench()
    assert bench.ask(exchange(0, 2, 1, [7])) == bytes.fromhex("17 04 0000 0007")
    assert bench.ask(exchange(100, 1, 0, [1])) == bytes.fromhex("17 02 0001")
    assert len(bench.blocks) == 2


def test_a_read_behind_a_write_sees_what_the_station_made_of_it() -> None:
    bench = Bench()
    assert bench.ask(request(4, 0, 1)) == bytes.fromhex("04 02 0001")
    bench.image._written = lambda block, source: bench.show(block[2:4] + bytes(126))
    bench.ask(request(6, 1, 0xABCD))
    assert bench.ask(request(4, 0, 1)) == bytes.fromhex("04 02 ABCD")
    bench.show(bytes(128))
    assert bench.ask(request(4, 0, 1)) == bytes.fromhex("04 02 0000")


@pytest.mark.parametrize("function", sorted(set(range(256)) - SERVED))
def test_other_functions_are_illegal(function: int) -> None:
    bench = Bench()
    for rest in (b"", b"\0\0\0\x01", b"\x0e\x01\0"):
        assert bench.ask(bytes((function,)) + rest) == bytes((function | 0x80,)) + FUNCTION
    assert bench.blocks == []


BAD_VALUES = [
    *(bytes((function,)) for function in sorted(SERVED - {17})),
    b"\x11\0",
    *(request(function, 0, 0) for function in (1, 2, 3, 4)),
    *(request(function, 0, 126) for function in (3, 4)),
    *(request(function, 0, 2001) for function in (1, 2)),
    *(request(function, 0, 1) + b"\0" for function in (1, 2, 3, 4, 6)),
    *(request(function, 0, 1)[:-1] for function in (1, 2, 3, 4, 5, 6)),
    request(5, 0, 0x1234),
    request(5, 0, 1),
    request(5, 0, 0xFF01),
    request(5, 0, 0xFF00) + b"\0",
    write16(0, [], count=0),
    write16(0, [1, 2], count=1),
    write16(0, [1, 2], count=3),
    write16(0, [1, 2], size=2),
    write16(0, [1, 2], size=6),
    write16(0, [1], count=124),
    write16(0, [0] * 123, count=124, size=248),
    write15(0, 0, b""),
    write15(0, 9, b"\xff"),
    write15(0, 8, b"\xff\xff"),
    write15(0, 8, b"\xff", size=2),
    write15(0, 1969, b"\xff" * 247),
    struct.pack(">BHH", 22, 0, 0xFFFF),
    struct.pack(">BHHHB", 22, 0, 0, 0, 0),
    exchange(0, 0, 0, [1]),
    exchange(0, 126, 0, [1]),
    exchange(0, 1, 0, []),
    exchange(0, 1, 0, [1] * 122),
    exchange(0, 1, 0, [1, 2], size=2),
    exchange(0, 1, 0, [1])[:-1],
]


@pytest.mark.parametrize("pdu", BAD_VALUES, ids=bytes.hex)
def test_a_wrong_quantity_value_or_form_is_03_and_writes_nothing(pdu: bytes) -> None:
    bench = Bench()
    assert bench.ask(pdu) == bytes((pdu[0] | 0x80,)) + VALUE
    assert bench.blocks == []
    assert bench.image.command == bytes(64)


BAD_ADDRESSES = [
    *(request(3, a, n) for a, n in ((0, 33), (31, 2), (32, 1), (99, 1), (99, 2), (100, 75), (174, 1), (65535, 2))),
    *(request(4, a, n) for a, n in ((0, 75), (73, 2), (74, 1), (100, 1), (65535, 125))),
    *(request(1, a, n) for a, n in ((0, 17), (15, 2), (16, 1), (0, 2000))),
    *(request(2, a, n) for a, n in ((0, 33), (31, 2), (32, 1), (65535, 2))),
    *(request(6, a, 1) for a in (32, 99, 100, 163, 173, 174, 65535)),
    *(request(5, a, 0xFF00) for a in (16, 100, 65535)),
    write16(31, [1, 2]),
    write16(0, [0] * 33),
    write16(100, [1]),
    write16(99, [1, 2]),
    write16(65535, [1, 2]),
    write15(15, 2, b"\x03"),
    write15(16, 1, b"\x01"),
    struct.pack(">BHHH", 22, 32, 0, 0),
    struct.pack(">BHHH", 22, 100, 0, 0),
    exchange(0, 1, 32, [1]),
    exchange(0, 1, 100, [1]),
    exchange(32, 1, 0, [1]),
    exchange(0, 33, 0, [1]),
]


@pytest.mark.parametrize("pdu", BAD_ADDRESSES, ids=bytes.hex)
def test_an_address_outside_is_02_and_writes_nothing(pdu: bytes) -> None:
    bench = Bench()
    assert bench.ask(pdu) == bytes((pdu[0] | 0x80,)) + ADDRESS
    assert bench.blocks == []
    assert bench.image.command == bytes(64)


def test_a_sweep_of_writes_changes_the_command_block_and_nothing_else() -> None:
    bench = Bench()
    shown = bench.ask(request(4, 0, 74)), bench.ask(request(2, 0, 32))
    for address in range(0x10000):
        assert (bench.ask(request(6, address, 0x5A5A))[0] == 6) is (address < 32)
    for address in range(300):
        assert (bench.ask(request(5, address, 0xFF00))[0] == 5) is (address < 16)
        assert (bench.ask(write15(address, 1, b"\x01"))[0] == 15) is (address < 16)
        assert (bench.ask(write16(address, [1, 2]))[0] == 16) is (address < 31)
        assert (bench.ask(struct.pack(">BHHH", 22, address, 0, 0))[0] == 22) is (address < 32)
        assert (bench.ask(exchange(0, 1, address, [1]))[0] == 23) is (address < 32)
    assert (bench.ask(request(4, 0, 74)), bench.ask(request(2, 0, 32))) == shown


def test_bases_move_the_blocks() -> None:
    bench = Bench(registers=RegisterMap(command=1000, status=2000, mirror=3000, coils=40, discrete=50))
    assert bench.ask(request(6, 1001, 5)) == request(6, 1001, 5)
    assert bench.ask(request(3, 1000, 2)) == bytes.fromhex("03 04 0000 0005")
    assert bench.ask(request(4, 2001, 1)) == bytes.fromhex("04 02 0203")
    assert bench.ask(request(3, 3001, 1)) == bytes.fromhex("03 02 0203")
    assert bench.ask(request(2, 50, 3)) == bytes.fromhex("02 01 05")
    assert bench.ask(request(5, 40, 0xFF00)) == request(5, 40, 0xFF00)
    for outside in (request(6, 0, 1), request(3, 999, 1), request(4, 1999, 1), request(1, 39, 1), request(2, 49, 1)):
        assert bench.ask(outside)[1:] == ADDRESS


def test_units() -> None:
    one, two = Bench(1), Bench(1, 2)
    poll = request(3, 0, 1)
    for unit in (0, 1, 255):
        assert one.ask(poll, unit) == bytes.fromhex("03 02 0000")
    for bench, unit in ((one, 2), (one, 247), (two, 0), (two, 3), (two, 255)):
        assert bench.ask(poll, unit) == b"\x83" + TARGET
        assert bench.ask(write16(0, [1]), unit) == b"\x90" + TARGET
    assert one.blocks == two.blocks == []


def test_every_refusal_is_reported_with_its_request() -> None:
    bench = Bench()
    for _ in range(2):
        bench.ask(request(4, 200, 1))
    assert bench.refusals == [("test", 1, request(4, 200, 1), ExceptionCode.ILLEGAL_DATA_ADDRESS)] * 2


def test_what_is_remembered_is_bounded() -> None:
    bench = Bench()
    for address in range(74):
        for count in range(1, 75 - address):
            assert bench.ask(request(4, address, count))[1] == 2 * count
    assert len(bench.units.memo) <= 256
