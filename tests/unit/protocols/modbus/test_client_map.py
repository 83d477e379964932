"""What is exchanged with a PLC in several requests: whole or visibly torn at every point between two of them."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.codec import Codec, WordOrder
from protocols.modbus.client_fields import Area, Mapped, client_map, field_of, words_of
from protocols.modbus.client_map import ClientMap, Write, starts
from protocols.modbus.planning import BIT_TABLES, Answer, Request
from protocols.modbus.quirks import Quirks
from protocols.modbus.registers import FIELDS, RESULT_BITS, STATUS_BITS, Block, Table, Type
from protocols.signals import Command, Outputs, Result, Status, StatusBit

ORDERS = st.sampled_from(WordOrder)
VALID, READY = StatusBit.RESULT_VALID, StatusBit.READY


class Memory:
    """A PLC's registers and coils; whatever was there before is noise."""

    def __init__(self, seed: int | None = None) -> None:
        noise = random.Random(seed)
        self.words = bytearray(noise.randbytes(4000) if seed is not None else 4000)
        self.bits = [noise.random() < 0.5 if seed is not None else False for _ in range(2000)]
        self.written: set[tuple[Table, int]] = set()

    def read(self, request: Request) -> Answer:
        if request.table in BIT_TABLES:
            return tuple(self.bits[request.address : request.address + request.count])
        return bytes(self.words[2 * request.address : 2 * (request.address + request.count)])

    def write(self, write: Write, data: Answer) -> None:
        request = write.request
        assert len(data) == request.count * (1 if request.table in BIT_TABLES else 2)
        self.written |= {(request.table, request.address + n) for n in range(request.count)}
        if isinstance(data, bytes):
            self.words[2 * request.address : 2 * request.address + len(data)] = data
        else:
            self.bits[request.address : request.address + len(data)] = data


def encoded(codec: Codec, outputs: Outputs) -> bytes:
    return codec.encode_status(outputs.status) + codec.encode_result(outputs.result)


UINT, UDINT = st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF)
REAL = st.floats(width=32, allow_nan=False)
OUTPUTS = st.builds(
    Outputs,
    st.builds(Status, *[UINT] * 15),
    st.builds(
        Result, st.integers(0, 3), UINT, UDINT, st.integers(0, 4), UINT, UINT, UINT, REAL, *[UINT] * 5, UDINT, UINT,
        st.tuples(*[REAL] * 13),
    ),
)  # fmt: skip

OUTPUT_FIELDS = {f.name: f for f in FIELDS if f.block in (Block.STATUS, Block.RESULT)}
OUTPUT_NAMES = list(OUTPUT_FIELDS)
COMMAND_NAMES = [f.name for f in FIELDS if f.block is Block.COMMAND]


@st.composite
def layouts(draw: st.DrawFn, names: Sequence[str], needed: Sequence[str], command: bool) -> dict[str, Mapped]:
    """The needed fields and some others, scattered over the registers in any order, with and without gaps."""
    chosen = list(dict.fromkeys([*needed, *draw(st.lists(st.sampled_from(names), max_size=20))]))
    found, address = {}, draw(st.integers(0, 20))
    for name in draw(st.permutations(chosen)):
        field, _ = field_of(name, command)
        found[name] = Mapped(address)
        address += words_of(field, found[name]) + draw(st.sampled_from((0, 0, 0, 1, 7)))
    return found


QUIRKS = st.builds(
    lambda read, write, gap, fc16: Quirks(max_read=read, max_write=write, max_gap=gap, fc16=fc16),
    st.integers(1, 125), st.integers(1, 123), st.integers(0, 8), st.booleans(),
)  # fmt: skip
SHOWN: Sequence[str] = (
    "STATUS",
    "RESULT_SEQ",
    "RESULT_SEQ_COPY",
    "JUDGEMENT",
    "PART_ID",
    "TRIGGER_SEQ_ACK",
    "TRIGGER_REFUSED",
)
AREAS: st.SearchStrategy[Area] = st.one_of(st.integers(0, 300), layouts(OUTPUT_NAMES, SHOWN, command=False))


SLOW = settings(deadline=None, max_examples=60)


def names_in(area: Area) -> Mapping[str, Mapped]:
    """The fields of an area, those of a block too."""
    if not isinstance(area, int):
        return area
    return {name: Mapped(area + f.word) for name, f in OUTPUT_FIELDS.items()}


def seen(memory: Memory, area: Area) -> dict[str, bytes]:
    """What the PLC's program sees in its own memory, by field."""
    return {
        name: bytes(memory.words[2 * at.address : 2 * (at.address + OUTPUT_FIELDS[name].words)])
        for name, at in names_in(area).items()
    }


def parts(block: bytes, area: Area) -> dict[str, bytes]:
    """The same of a block."""
    fields = {name: OUTPUT_FIELDS[name] for name in names_in(area)}
    return {name: block[2 * f.word : 2 * (f.word + f.words)] for name, f in fields.items()}


def result_of(fields: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: value for name, value in fields.items() if OUTPUT_FIELDS[name].block is Block.RESULT}


def steps(plan: ClientMap, memory: Memory, block: bytes, written: bytes | None) -> Iterator[None]:
    for write, data in plan.due(block, written):
        memory.write(write, data)
        yield


@SLOW
@given(AREAS, QUIRKS, ORDERS, OUTPUTS, OUTPUTS, st.integers(0, 3))
def test_c16_what_the_plc_may_use_is_whole_after_every_single_request(
    area: Area, quirks: Quirks, order: WordOrder, before: Outputs, after: Outputs, seed: int
) -> None:
    plan, codec = client_map(1900, area, order, quirks), Codec(order)
    old, new = encoded(codec, before), encoded(codec, after)
    memory = Memory(seed)
    first = result_of(seen(memory, area))
    for number, _ in enumerate(steps(plan, memory, old, None)):
        now = seen(memory, area)
        told = int.from_bytes(now["RESULT_SEQ"], "big")
        if number and now["RESULT_SEQ"] == now["RESULT_SEQ_COPY"] and told:
            assert result_of(now) in (result_of(parts(old, area)), first)
    assert seen(memory, area) == parts(old, area)
    for _ in steps(plan, memory, new, old):
        now = seen(memory, area)
        bits, told = (int.from_bytes(now[name], "big") for name in ("STATUS", "RESULT_SEQ"))
        whole = result_of(now) in (result_of(parts(old, area)), result_of(parts(new, area)))
        if told and now["RESULT_SEQ"] == now["RESULT_SEQ_COPY"]:
            assert whole, "two numbers alike over half a result"
        if bits & VALID:
            assert whole, "ResultValid over half a result"
        if bits & READY and not before.status.bits & READY:
            assert now == parts(new, area), "Ready before all that it speaks of"
        if now["TRIGGER_SEQ_ACK"] != parts(old, area)["TRIGGER_SEQ_ACK"]:
            assert now["TRIGGER_REFUSED"] == parts(new, area)["TRIGGER_REFUSED"]
    assert seen(memory, area) == parts(new, area)


@SLOW
@given(AREAS, QUIRKS, OUTPUTS, OUTPUTS)
def test_nothing_is_written_that_is_not_mapped_and_no_request_is_too_long(
    area: Area, quirks: Quirks, before: Outputs, after: Outputs
) -> None:
    plan, memory = client_map(1900, area, WordOrder.ABCD, quirks), Memory()
    old, new = encoded(Codec(), before), encoded(Codec(), after)
    for _ in steps(plan, memory, old, None):
        pass
    for _ in steps(plan, memory, new, old):
        pass
    mapped = {(Table.HOLDING, area + n) for n in range(64)} if isinstance(area, int) else {
        (at.table, at.address + n) for name, at in area.items() for n in range(words_of(field_of(name, False)[0], at))
    }  # fmt: skip
    assert memory.written == mapped
    assert all(write.request.count <= quirks.write_words for write in plan.writes)
    assert all(request.count <= quirks.max_read for request in plan.reads)


@pytest.mark.parametrize(
    "quirks", [Quirks(), Quirks(max_write=64), Quirks(max_write=40), Quirks(max_write=8), Quirks(fc16=False)]
)
def test_a_heartbeat_alone_is_one_request_and_no_change_is_none(quirks: Quirks) -> None:
    plan = client_map(0, 100, WordOrder.ABCD, quirks)
    old = encoded(Codec(), Outputs(Status(bits=READY, heartbeat=1), Result(result_seq=4, values=(0.0,) * 13)))
    new = encoded(Codec(), Outputs(Status(bits=READY, heartbeat=2), Result(result_seq=4, values=(0.0,) * 13)))
    assert len(list(plan.due(new, old))) == 1
    assert not list(plan.due(old, old))


@pytest.mark.parametrize(
    ("most", "requests"), [(123, 1), (64, 1), (63, 2), (40, 2), (32, 2), (20, 4), (16, 4), (8, 8), (1, 64)]
)
def test_a_block_is_written_in_as_few_requests_as_hold_it(most: int, requests: int) -> None:
    plan = client_map(0, 100, WordOrder.ABCD, Quirks(max_write=most))
    assert requests <= len(plan.writes) <= requests + 2


COMMANDS = st.builds(
    Command, *[UINT] * 7, UDINT, st.tuples(*[UINT] * 6), st.text("ABCDEFGHIJ0123456789", max_size=32)
)  # fmt: skip


@SLOW
@given(st.one_of(st.integers(0, 300), layouts(COMMAND_NAMES, ("CONTROL",), command=True)), QUIRKS, ORDERS, COMMANDS)
def test_a_command_is_read_back_from_wherever_it_lies(
    area: Area, quirks: Quirks, order: WordOrder, command: Command
) -> None:
    plan, codec, memory = client_map(area, 1000, order, quirks), Codec(order), Memory(1)
    block = codec.encode_command(command)
    fields = {f.name: f for f in FIELDS if f.block is Block.COMMAND}
    places = area if not isinstance(area, int) else {name: Mapped(area + f.word) for name, f in fields.items()}
    held = {name: block[2 * field.word : 2 * (field.word + field.words)] for name, field in fields.items()}
    for name, at in places.items():
        memory.words[2 * at.address : 2 * at.address + len(held[name])] = held[name]
    found = plan.command([memory.read(request) for request in plan.reads])
    for name, field in fields.items():
        expected = held[name] if name in places else bytes(2 * field.words)
        assert found[2 * field.word : 2 * (field.word + field.words)] == expected, name


@SLOW
@given(layouts(COMMAND_NAMES, ("CONTROL", "TRIGGER_SEQ", "COMMAND_SEQ"), command=True), QUIRKS)
def test_what_starts_something_is_read_first(area: dict[str, Mapped], quirks: Quirks) -> None:
    plan = client_map(area, 1000, WordOrder.ABCD, quirks)
    for name in ("CONTROL", "TRIGGER_SEQ", "COMMAND_SEQ"):
        at = area[name].address
        assert any(r.address <= at < r.address + r.count for r in plan.reads[: plan.first])


def test_only_what_starts_something_is_compared_between_two_looks() -> None:
    same = [Command(control=0xFF3F), Command(control=0x003F, plc_heartbeat=4, part_id=7, result_ack_seq=2)]
    assert len({starts(Codec().encode_command(command)) for command in same}) == 1
    other = [Command(), Command(control=2), Command(trigger_seq=1), Command(command_seq=1)]
    assert len({starts(Codec().encode_command(command)) for command in other}) == 4


# ---------------------------------------------------------------- single bits, other types


def test_single_bits_are_read_from_coils_and_registers() -> None:
    area = {
        "CONTROL.ENABLE": Mapped(3, Table.COIL),
        "CONTROL.TRIGGER": Mapped(7, Table.DISCRETE),
        "CONTROL.RESULT_ACK": Mapped(20, bit=15),
        "CONTROL.ABORT": Mapped(20, bit=0),
    }
    plan, memory = client_map(area, 1000, WordOrder.ABCD), Memory()
    memory.bits[3] = memory.bits[7] = True
    memory.words[40:42] = b"\x80\x00"
    found = plan.command([memory.read(request) for request in plan.reads])
    assert Codec().decode_command(found) == Command(control=0b000111)


def test_single_bits_are_written_to_coils_and_composed_to_registers() -> None:
    area = {
        "STATUS.READY": Mapped(5, Table.COIL),
        "STATUS.BUSY": Mapped(6, Table.COIL),
        "STATUS.FAULT": Mapped(60, bit=3),
        "RESULT_BITS.OK": Mapped(60, bit=9),
        "RESULT_BITS.NG": Mapped(60, bit=10),
        "HEARTBEAT": Mapped(61),
    }
    plan, memory = client_map(0, area, WordOrder.ABCD), Memory(5)
    shown = Outputs(Status(bits=StatusBit.READY | StatusBit.FAULT, heartbeat=7), Result(result_seq=1, bits=1))
    for _ in steps(plan, memory, encoded(Codec(), shown), None):
        pass
    assert memory.bits[5:7] == [True, False]
    assert memory.words[120:124] == bytes.fromhex("0208 0007")


@pytest.mark.parametrize(
    ("order", "data"),
    [
        (WordOrder.ABCD, "0000 1234"),
        (WordOrder.CDAB, "1234 0000"),
        (WordOrder.DCBA, "3412 0000"),
        (WordOrder.BADC, "0000 3412"),
    ],
)
def test_an_integer_may_be_longer_in_the_plc(order: WordOrder, data: str) -> None:
    plan, memory = client_map(900, {"TRIGGER_SEQ": Mapped(10, type=Type.UDINT)}, order), Memory(2)
    for _ in steps(plan, memory, encoded(Codec(order), Outputs(result=Result(trigger_seq=0x1234))), None):
        pass
    assert memory.words[20:24] == bytes.fromhex(data)


@pytest.mark.parametrize("order", WordOrder)
@pytest.mark.parametrize(("part", "shown"), [(7, 7), (0xFFFF, 0xFFFF), (0x10000, 0xFFFF), (0x20001, 0xFFFF)])
def test_a_number_that_does_not_fit_is_the_greatest_and_never_another(order: WordOrder, part: int, shown: int) -> None:
    plan, memory = (
        client_map({"PART_ID": Mapped(10, type=Type.UINT)}, {"PART_ID": Mapped(20, type=Type.UINT)}, order),
        Memory(),
    )
    for _ in steps(plan, memory, encoded(Codec(order), Outputs(result=Result(part_id=part))), None):
        pass
    assert int.from_bytes(memory.words[40:42], "big") == shown
    memory.words[20:22] = memory.words[40:42]
    found = plan.command([memory.read(request) for request in plan.reads])
    assert Codec(order).decode_command(found).part_id == shown


def test_a_short_serial_is_text_all_the_same() -> None:
    plan, memory = client_map({"SERIAL": Mapped(10, words=4)}, 900, WordOrder.CDAB), Memory(3)
    memory.words[20:28] = b"DMX-0042"
    found = plan.command([memory.read(request) for request in plan.reads])
    assert Codec(WordOrder.CDAB).decode_command(found).serial == "DMX-0042"


def test_every_bit_has_a_name_that_can_be_mapped() -> None:
    for word, bits in (("STATUS", STATUS_BITS), ("RESULT_BITS", RESULT_BITS)):
        for bit in bits:
            assert field_of(f"{word}.{bit.name}", command=False) == (field_of(word, False)[0], bit)


def test_values_keep_their_bytes_in_every_word_order() -> None:
    for order in WordOrder:
        plan, memory = client_map(900, {"VALUE_3": Mapped(10)}, order), Memory()
        shown = Outputs(result=Result(values=(math.nan, 0, 0, 1.5, *(math.nan,) * 9)))
        for _ in steps(plan, memory, encoded(Codec(order), shown), None):
            pass
        assert memory.words[20:24] == bytes(bytes.fromhex("3FC00000")["ABCD".index(letter)] for letter in order)


def test_c13_a_new_result_is_written_whole_even_where_it_equals_the_last() -> None:
    """A PLC that lost its memory and not its connection must not put an old hole beside a new number."""
    plan, memory = client_map(900, 100, WordOrder.ABCD, Quirks(max_write=8)), Memory()
    old, new = (
        encoded(Codec(), Outputs(Status(), Result(result_seq=seq, recipe=3, values=(0.5,) * 13))) for seq in (4, 5)
    )
    for _ in steps(plan, memory, new, old):
        pass
    assert result_of(seen(memory, 100)) == result_of(parts(new, 100))
