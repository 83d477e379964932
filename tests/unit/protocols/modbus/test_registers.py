import pytest

from protocols.link import MapError
from protocols.modbus.registers import (
    CONTROL_BITS,
    FIELDS,
    RESULT_BITS,
    STATUS_BITS,
    Block,
    Field,
    RegisterMap,
    Table,
    plc_address,
)


def field(block: Block, name: str) -> Field:
    return next(f for f in FIELDS if f.block is block and f.name == name)


# The anchors of the contract, written by hand.
ANCHORS = {
    (Block.COMMAND, "CONTROL"): 0,
    (Block.COMMAND, "TRIGGER_SEQ"): 1,
    (Block.COMMAND, "RESULT_ACK_SEQ"): 2,
    (Block.COMMAND, "COMMAND_SEQ"): 6,
    (Block.COMMAND, "PART_ID"): 8,
    (Block.COMMAND, "USER_5"): 15,
    (Block.COMMAND, "SERIAL"): 16,
    (Block.STATUS, "STATUS"): 0,
    (Block.STATUS, "NOT_READY_REASON"): 9,
    (Block.STATUS, "MAP_VERSION"): 15,
    (Block.RESULT, "RESULT_SEQ"): 16,
    (Block.RESULT, "PART_ID"): 18,
    (Block.RESULT, "JUDGEMENT"): 20,
    (Block.RESULT, "SCORE"): 24,
    (Block.RESULT, "INFER"): 30,
    (Block.RESULT, "TIME_S"): 32,
    (Block.RESULT, "TIME_MS"): 34,
    (Block.RESULT, "VALUE_0"): 36,
    (Block.RESULT, "VALUE_12"): 60,
    (Block.RESULT, "RESULT_SEQ_COPY"): 63,
    (Block.SIGNATURE, "SIGNATURE_UINT"): 64,
    (Block.SIGNATURE, "SIGNATURE_UDINT"): 65,
    (Block.SIGNATURE, "SIGNATURE_REAL"): 67,
    (Block.SIGNATURE, "SIGNATURE_STRING"): 69,
}


def test_fields_stand_where_the_contract_puts_them() -> None:
    assert {key: field(*key).word for key in ANCHORS} == ANCHORS


def test_fields_do_not_overlap_and_stay_in_their_area() -> None:
    for area, size in ((True, 32), (False, 74)):
        taken = [f.word + n for f in FIELDS if (f.block is Block.COMMAND) is area for n in range(f.words)]
        assert len(taken) == len(set(taken))
        assert max(taken) < size


def test_names_are_unique_within_what_the_plc_writes_and_reads() -> None:
    for area in (True, False):
        names = [f.name for f in FIELDS if (f.block is Block.COMMAND) is area]
        assert len(names) == len(set(names))


def test_bits() -> None:
    assert [bit.number for bit in STATUS_BITS] == list(range(16))
    assert [bit.number for bit in CONTROL_BITS] == list(range(6))
    assert [bit.number for bit in RESULT_BITS] == [0, 1, 2, 3, 4, 5, *range(8, 16)]
    assert all(bit.meaning for bit in (*STATUS_BITS, *CONTROL_BITS, *RESULT_BITS))


@pytest.mark.parametrize(
    ("table", "pdu", "address"),
    [
        (Table.HOLDING, 0, "40001"),
        (Table.HOLDING, 100, "40101"),
        (Table.HOLDING, 9998, "49999"),
        (Table.HOLDING, 9999, "410000"),
        (Table.HOLDING, 65535, "465536"),
        (Table.INPUT, 16, "30017"),
        (Table.DISCRETE, 31, "10032"),
        (Table.COIL, 0, "00001"),
    ],
)
def test_plc_addresses(table: Table, pdu: int, address: str) -> None:
    assert plc_address(table, pdu) == address


def test_places() -> None:
    registers = RegisterMap(command=200, status=10, mirror=300, coils=5, discrete=7)
    assert registers.places(field(Block.COMMAND, "PART_ID")) == ((Table.HOLDING, 208),)
    assert registers.places(field(Block.RESULT, "JUDGEMENT")) == ((Table.INPUT, 30), (Table.HOLDING, 320))
    assert registers.bit_place(field(Block.COMMAND, "CONTROL"), CONTROL_BITS[1]) == (Table.COIL, 6)
    assert registers.bit_place(field(Block.STATUS, "STATUS"), STATUS_BITS[15]) == (Table.DISCRETE, 22)
    assert registers.bit_place(field(Block.RESULT, "RESULT_BITS"), RESULT_BITS[0]) == (Table.DISCRETE, 23)
    assert registers.bit_place(field(Block.RESULT, "SCORE"), RESULT_BITS[0]) is None


@pytest.mark.parametrize(
    "bases", [{"mirror": 31}, {"command": 173}, {"status": 65536 - 73}, {"command": -1}, {"coils": 65521}]
)
def test_blocks_that_overlap_or_do_not_fit_are_refused(bases: dict[str, int]) -> None:
    with pytest.raises(MapError, match="register map: "):
        RegisterMap(**bases)


def test_blocks_may_touch() -> None:
    RegisterMap(mirror=32)
    RegisterMap(command=174)
