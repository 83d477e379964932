"""Fields in a PLC's own types: which fit, which are refused by name, and how values are turned."""

import math

import pytest

from protocols.codec import Codec
from protocols.link import MapError, PeerError
from protocols.opcua.node_map import Entry, NodeMap
from protocols.opcua.node_values import Builtin, Kind, check, elements, read_into, write_from
from protocols.opcua.nodes import Node, Reference
from protocols.signals import Outputs, Result, Status

B = Builtin
ASKED = ["CONTROL", "TRIGGER_SEQ", "RESULT_ACK_SEQ", "PLC_HEARTBEAT", "PART_ID", "SERIAL", "USER"]
SHOWN = [
    "STATUS", "HEARTBEAT", "JUDGEMENT", "RESULT_SEQ", "TRIGGER_SEQ", "REASON", "SCORE", "VALUE", "TIME_S", "BOOT_ID",
    "RESULT_BITS.OK",
]  # fmt: skip


def nodes(space: int, names: list[str]) -> dict[str, Reference]:
    return {name: Node(space, name) for name in names}


PLAN = NodeMap.of(nodes(1, ASKED), nodes(2, SHOWN))
COMMAND = {entry.name: entry for entry in PLAN.command}
OUTPUTS = {entry.name: entry for entry in PLAN.outputs}


def block(outputs: Outputs) -> bytes:
    codec = Codec()
    return codec.encode_status(outputs.status) + codec.encode_result(outputs.result)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("STATUS", [B.UINT16, B.INT16, B.UINT32, B.INT32, B.UINT64, B.INT64]),
        ("HEARTBEAT", [B.UINT16, B.UINT32, B.INT32, B.UINT64, B.INT64]),
        ("RESULT_SEQ", [B.UINT16, B.UINT32, B.INT32, B.UINT64, B.INT64]),
        ("BOOT_ID", [B.UINT16, B.UINT32, B.INT32, B.UINT64, B.INT64]),
        ("JUDGEMENT", [B.SBYTE, B.BYTE, B.INT16, B.UINT16, B.INT32, B.UINT32, B.INT64, B.UINT64]),
        ("REASON", [B.INT16, B.UINT16, B.INT32, B.UINT32, B.INT64, B.UINT64]),
        ("TIME_S", [B.INT32, B.UINT32, B.INT64, B.UINT64]),
        ("SCORE", [B.FLOAT, B.DOUBLE]),
        ("RESULT_BITS.OK", [B.BOOLEAN]),
    ],
)
def test_a_type_that_cannot_hold_every_value_is_refused_by_name(name: str, kinds: list[Builtin]) -> None:
    for kind in Builtin:
        if kind in kinds:
            check(OUTPUTS[name], Kind(kind), "outputs")
            continue
        with pytest.raises(MapError) as told:
            check(OUTPUTS[name], Kind(kind), "outputs")
        assert f"outputs.{name}: ns=2;s={name} is of type {Kind(kind)}" in str(told.value)
        assert "make it" in str(told.value)


def test_arrays_and_single_values_are_not_the_same() -> None:
    check(OUTPUTS["VALUE"], Kind(B.FLOAT, 16), "outputs")
    check(OUTPUTS["VALUE"], Kind(B.FLOAT, 4), "outputs")  # a PLC may want the first four only
    check(COMMAND["USER"], Kind(B.UINT16, 6), "command")
    for entry, kind, cause in (
        (OUTPUTS["VALUE"], Kind(B.FLOAT), "an array of 13 REAL"),
        (OUTPUTS["SCORE"], Kind(B.FLOAT, 3), "is a REAL"),
        (COMMAND["USER"], Kind(B.UINT16, 5), "has 6 elements"),
        (OUTPUTS["VALUE"], Kind(B.INT16, 16), "make it Float"),
    ):
        with pytest.raises(MapError) as told:
            check(entry, kind, "command" if entry.name == "USER" else "outputs")
        assert cause in str(told.value)


def test_a_clock_bit_may_be_the_heartbeat_of_the_plc() -> None:
    check(COMMAND["PLC_HEARTBEAT"], Kind(B.BOOLEAN), "command")
    block = bytearray(64)
    read_into(block, COMMAND["PLC_HEARTBEAT"], Kind(B.BOOLEAN), True)
    assert Codec().decode_command(bytes(block)).plc_heartbeat == 1


@pytest.mark.parametrize(
    ("name", "kind", "value", "read"),
    [
        ("TRIGGER_SEQ", Kind(B.UINT16), 65535, {"trigger_seq": 65535}),
        ("TRIGGER_SEQ", Kind(B.INT64), 17, {"trigger_seq": 17}),
        ("PART_ID", Kind(B.UINT32), 0xDEADBEEF, {"part_id": 0xDEADBEEF}),
        ("CONTROL", Kind(B.INT16), -32767, {"control": 0x8001}),
        ("SERIAL", Kind(B.STRING), "DMX-1", {"serial": "DMX-1"}),
        ("SERIAL", Kind(B.STRING), None, {"serial": ""}),
        ("USER", Kind(B.UINT16, 8), [1, 2, 3, 4, 5, 6, 7, 8], {"user": (1, 2, 3, 4, 5, 6)}),
    ],
)
def test_what_is_read_is_entered(name: str, kind: Kind, value: object, read: dict[str, object]) -> None:
    block = bytearray(64)
    read_into(block, COMMAND[name], kind, value)
    command = Codec().decode_command(bytes(block))
    assert {key: getattr(command, key) for key in read} == read


@pytest.mark.parametrize(
    ("name", "kind", "value", "cause"),
    [
        ("TRIGGER_SEQ", Kind(B.UINT32), 65536, "goes from 0 to 65535"),
        ("TRIGGER_SEQ", Kind(B.INT16), -1, "goes from 0 to 65535"),
        ("TRIGGER_SEQ", Kind(B.UINT16), True, "no UInt16"),
        ("TRIGGER_SEQ", Kind(B.UINT16), 1.0, "no UInt16"),
        ("TRIGGER_SEQ", Kind(B.UINT16), None, "no UInt16"),
        ("TRIGGER_SEQ", Kind(B.UINT16), [1], "no UInt16"),
        ("TRIGGER_SEQ", Kind(B.UINT16), "x" * 10_000, "…"),
        ("PLC_HEARTBEAT", Kind(B.BOOLEAN), 1, "no Boolean"),
        ("SERIAL", Kind(B.STRING), 5, "no text"),
        ("USER", Kind(B.UINT16, 6), [1, 2], "2 elements where 6"),
        ("USER", Kind(B.UINT16, 6), 1, "1 elements where 6"),
        ("PART_ID", Kind(B.INT64), 1 << 32, "goes from 0 to 4294967295"),
    ],
)
def test_e15_a_value_that_cannot_be_is_refused_by_name(name: str, kind: Kind, value: object, cause: str) -> None:
    with pytest.raises(PeerError) as told:
        read_into(bytearray(64), COMMAND[name], kind, value)
    assert cause in str(told.value)
    assert f"{name}: ns=1;s={name}" in str(told.value)
    assert len(str(told.value)) < 200


def written(entry: Entry, kind: Kind, outputs: Outputs) -> object:
    return write_from(block(outputs), entry, kind)


def test_what_is_written_has_the_type_of_the_plc() -> None:
    outputs = Outputs(
        Status(bits=0x8001, boot_id=60000),
        Result(judgement=1, bits=1, reason=50000, score=0.25, time_s=0xF000_0000, values=(1.0, 2.0, *(math.nan,) * 11)),
    )
    assert written(OUTPUTS["STATUS"], Kind(B.UINT16), outputs) == 0x8001
    assert written(OUTPUTS["STATUS"], Kind(B.INT16), outputs) == 0x8001 - 0x10000
    assert written(OUTPUTS["BOOT_ID"], Kind(B.INT32), outputs) == 60000
    assert written(OUTPUTS["JUDGEMENT"], Kind(B.SBYTE), outputs) == 1
    assert written(OUTPUTS["REASON"], Kind(B.INT16), outputs) == 32767
    assert written(OUTPUTS["TIME_S"], Kind(B.INT32), outputs) == 0x7FFF_FFFF
    assert written(OUTPUTS["SCORE"], Kind(B.DOUBLE), outputs) == 0.25
    assert written(OUTPUTS["RESULT_BITS.OK"], Kind(B.BOOLEAN), outputs) is True
    values = written(OUTPUTS["VALUE"], Kind(B.FLOAT, 16), outputs)
    assert isinstance(values, list)
    assert (len(values), values[:2], math.isnan(values[15])) == (16, [1.0, 2.0], True)
    assert written(OUTPUTS["VALUE"], Kind(B.FLOAT, 2), outputs) == [1.0, 2.0]


def test_a_number_that_does_not_fit_never_becomes_ok() -> None:
    assert written(OUTPUTS["JUDGEMENT"], Kind(B.SBYTE), Outputs(Status(), Result(judgement=0x101))) == 127


def test_the_length_of_an_array_is_that_of_its_value_or_its_declaration() -> None:
    assert elements([1, 2], (16,), 1) == 2
    assert elements(None, (16,), 1) == 16
    assert elements(None, None, 1) == 0
    assert elements(5, None, -1) == 0
