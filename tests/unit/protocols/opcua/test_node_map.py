"""Fields in nodes: what may be mapped, and that a PLC finds nothing half, wherever between two values it looks."""

import random
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.codec import Codec
from protocols.link import MapError
from protocols.modbus.registers import CONTROL_BITS, FIELDS, STATUS_BITS, Block
from protocols.opcua.node_map import ARRAYS, Entry, NodeMap, Stage
from protocols.opcua.nodes import Node, Reference
from protocols.signals import Outputs, Result, Status, StatusBit

CODEC = Codec()
VALID, READY = StatusBit.RESULT_VALID, StatusBit.READY
BYTES = 128

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

WORDS = [field.name for field in FIELDS if field.block in (Block.STATUS, Block.RESULT) and "VALUE" not in field.name]
BITS = [f"STATUS.{bit.name}" for bit in STATUS_BITS]
NEEDED = ["HEARTBEAT", "JUDGEMENT", "RESULT_SEQ", "TRIGGER_SEQ"]
ACKS = ["TRIGGER_REFUSED", "TRIGGER_SEQ_ACK"]
COMMAND = ["CONTROL", "TRIGGER_SEQ", "RESULT_ACK_SEQ"]


def nodes(names: list[str]) -> dict[str, Reference]:
    return {name: Node(3, f"{number} {name}") for number, name in enumerate(names)}


def command(names: list[str]) -> dict[str, Reference]:
    return {name: Node(2, name) for name in names}


@st.composite
def maps(draw: st.DrawFn) -> NodeMap:
    """Any fields beside the needed ones; STATUS as a word or bit by bit, the values as an array or not at all."""
    bitwise = draw(st.booleans())
    names = [*NEEDED, *ACKS, *draw(st.lists(st.sampled_from(WORDS), max_size=30))]
    names = [name for name in dict.fromkeys(names) if name != "STATUS" or not bitwise]
    names += BITS if bitwise else [] if "STATUS" in names else ["STATUS"]
    names += ["VALUE"] if draw(st.booleans()) else ["VALUE_2"]
    return NodeMap.of(command(COMMAND), nodes(names))


class Plc:
    """Values by name, as bytes of the block; whatever was there before is noise."""

    def __init__(self, plan: NodeMap, seed: int | None) -> None:
        noise = random.Random(seed)
        block = noise.randbytes(BYTES) if seed is not None else bytes(BYTES)
        self.plan = plan
        self.held = {entry.name: entry.of(block) for entry in plan.outputs}

    def shown(self, block: bytes, written: bytes | None, draw: random.Random) -> Iterator[None]:
        """Every moment while `block` is written: the values of one request come in any order."""
        for entries, source in self.plan.steps(block, written):
            for entry in draw.sample(entries, len(entries)):
                self.held[entry.name] = entry.of(source)
                yield

    def bit(self, bit: StatusBit) -> bool:
        if "STATUS" in self.held:
            return bool(int.from_bytes(self.held["STATUS"], "big") & bit)
        return any(self.held[f"STATUS.{bit.name}"])


def parts(plan: NodeMap, block: bytes, *, result: bool) -> dict[str, bytes]:
    skipped = ("RESULT_SEQ", "RESULT_SEQ_COPY")
    return {e.name: e.of(block) for e in plan.outputs if e.result is result and e.name not in skipped}


def encoded(outputs: Outputs) -> bytes:
    return CODEC.encode_status(outputs.status) + CODEC.encode_result(outputs.result)


@settings(deadline=None, max_examples=60)
@given(maps(), st.lists(OUTPUTS, min_size=2, max_size=4), st.none() | st.integers(), st.randoms(use_true_random=False))
def test_c16_what_the_plc_may_use_is_whole_after_every_single_value(
    plan: NodeMap, shown: list[Outputs], seed: int | None, draw: random.Random
) -> None:
    plc, written = Plc(plan, seed), None
    before: bytes | None = None
    for outputs in shown:
        block = encoded(outputs)
        wholes = [one for one in (before, block) if one is not None]
        for _ in plc.shown(block, written, draw):
            check(plc, wholes, block, written)
        assert plc.held == {entry.name: entry.of(block) for entry in plan.outputs}
        written = before = block


def check(plc: Plc, wholes: list[bytes], block: bytes, written: bytes | None) -> None:
    """What a PLC may rely on at this very moment."""
    held, plan = plc.held, plc.plan
    number = held["RESULT_SEQ"]
    result = {name: value for name, value in held.items() if name in parts(plan, block, result=True)}
    names = [one for one in wholes if one[32:34] == number]
    new = block[32:34] == number and (written is None or written[32:34] != number)
    if plc.bit(VALID) and written is not None:
        assert any(result == parts(plan, one, result=True) for one in names), "ResultValid with half a result"
    if new and number != b"\0\0":
        assert result == parts(plan, block, result=True), "RESULT_SEQ before its result"
    copy = held.get("RESULT_SEQ_COPY")
    if copy is not None and copy == number and number != b"\0\0" and written is not None:
        assert any(result == parts(plan, one, result=True) for one in names), "equal numbers around half a result"
    for ack, why in (("TRIGGER_SEQ_ACK", "TRIGGER_REFUSED"), ("COMMAND_SEQ_ACK", "COMMAND_RESULT")):
        entries = {entry.name: entry for entry in plan.outputs}
        if written is not None and ack in entries and why in entries and held[ack] != entries[ack].of(written):
            assert held[why] == entries[why].of(block), f"{ack} before {why}"


def test_before_anything_is_known_the_plc_is_told_that_nothing_holds() -> None:
    plan = NodeMap.of(command(COMMAND), nodes([*NEEDED, "STATUS"]))
    block = encoded(Outputs(Status(bits=VALID | READY), Result(result_seq=5)))
    (first, low), (second, _), *_ = plan.steps(block, None)
    assert ([one.name for one in first], [one.name for one in second]) == (["STATUS"], ["RESULT_SEQ"])
    assert not int.from_bytes(low[:2], "big") & (VALID | READY)


def test_what_permits_falls_first_and_rises_last() -> None:
    plan = NodeMap.of(command(COMMAND), nodes([*NEEDED, *BITS]))
    ready, busy = (encoded(Outputs(Status(bits=bits, heartbeat=bits))) for bits in (READY, StatusBit.BUSY))
    asked = [[entry.name for entry in entries] for entries, _ in plan.steps(busy, ready)]
    assert asked == [["STATUS.READY"], ["HEARTBEAT"], ["STATUS.BUSY"]]
    asked = [[entry.name for entry in entries] for entries, _ in plan.steps(ready, busy)]
    assert asked == [["HEARTBEAT"], ["STATUS.BUSY"], ["STATUS.READY"]]


def test_a_heartbeat_alone_is_one_request_and_no_change_is_none() -> None:
    plan = NodeMap.of(command(COMMAND), nodes([*WORDS, "VALUE"]))
    before, after = (encoded(Outputs(Status(bits=READY, heartbeat=n))) for n in (1, 2))
    assert [[entry.name for entry in entries] for entries, _ in plan.steps(after, before)] == [["HEARTBEAT"]]
    assert not list(plan.steps(after, after))


def test_a_new_result_is_written_whole_even_where_it_equals_the_last() -> None:
    plan = NodeMap.of(command(COMMAND), nodes([*NEEDED, "STATUS", "SCORE"]))
    one, two = (encoded(Outputs(Status(), Result(result_seq=n, score=0.5))) for n in (1, 2))
    asked = {entry.name for entries, _ in plan.steps(two, one) for entry in entries}
    assert {"SCORE", "JUDGEMENT", "TRIGGER_SEQ", "RESULT_SEQ"} <= asked


def test_a_result_needs_few_requests() -> None:
    plan = NodeMap.of(command(COMMAND), nodes([name for name in WORDS if name != "RESULT_SEQ_COPY"]))
    before = encoded(Outputs(Status(bits=StatusBit.BUSY)))
    after = encoded(Outputs(Status(bits=VALID | READY, newest_result_seq=1), Result(result_seq=1, judgement=1)))
    assert len(list(plan.steps(after, before))) == 3


@pytest.mark.parametrize(
    ("asked", "shown", "cause"),
    [
        (["TRIGGER_SEQ", "RESULT_ACK_SEQ"], [*NEEDED, "STATUS"], "lacks CONTROL.ENABLE"),
        (COMMAND, ["STATUS", "JUDGEMENT", "RESULT_SEQ", "TRIGGER_SEQ"], "lacks HEARTBEAT"),
        (COMMAND, NEEDED, "lacks STATUS.READY"),
        (COMMAND, ["HEARTBEAT", "STATUS", "RESULT_SEQ", "TRIGGER_SEQ"], "no verdict"),
        (["CONTROL.ENABLE", "TRIGGER_SEQ"], [*NEEDED, "STATUS"], "no cycle could run"),
        ([*COMMAND, "TRIGER_SEQ"], [*NEEDED, "STATUS"], "did you mean TRIGGER_SEQ?"),
        ([*COMMAND, "CONTROL.ENABLE"], [*NEEDED, "STATUS"], "as a whole and bit by bit"),
        (COMMAND, [*NEEDED, "STATUS", "VALUE", "VALUE_3"], "element by element"),
        ([*COMMAND, "VALUE"], [*NEEDED, "STATUS"], "VALUE is no field of the command"),
        (COMMAND, [*NEEDED, "STATUS", "USER"], "USER is no field of status and result"),
    ],
)
def test_a_map_that_cannot_carry_a_cycle_says_why(asked: list[str], shown: list[str], cause: str) -> None:
    with pytest.raises(MapError) as told:
        NodeMap.of(command(asked), nodes(shown))
    assert cause in str(told.value)


def test_one_node_holds_one_field() -> None:
    shown: Mapping[str, Reference] = {**nodes([*NEEDED, "STATUS"]), "REASON": Node(2, "TRIGGER_SEQ")}
    with pytest.raises(MapError, match=r"outputs\.REASON and command\.TRIGGER_SEQ lie in one node"):
        NodeMap.of(command(COMMAND), shown)


def test_every_field_and_every_bit_can_be_mapped() -> None:
    asked = [f.name for f in FIELDS if f.block is Block.COMMAND and f.name != "CONTROL" and "USER" not in f.name]
    plan = NodeMap.of(
        command([*asked, "USER", *(f"CONTROL.{bit.name}" for bit in CONTROL_BITS)]), nodes([*WORDS, "VALUE"])
    )
    assert {entry.name for entry in plan.outputs if entry.count} == {"VALUE"}
    covered = {word for entry in plan.outputs for word in range(entry.extent.start // 2, entry.extent.stop // 2)}
    assert covered == set(range(64)) - {31, 35, 62}
    assert ARRAYS["VALUE"][1] == 13


def test_the_stages_are_those_of_the_page() -> None:
    plan = NodeMap.of(command(COMMAND), nodes([*WORDS, "VALUE"]))
    stages: dict[Stage, list[str]] = {}
    for entry in plan.outputs:
        stages.setdefault(entry.stage, []).append(entry.name)
    assert stages[Stage.COPY] == ["RESULT_SEQ_COPY"]
    assert set(stages[Stage.NUMBER]) == {"RESULT_SEQ", "TRIGGER_SEQ_ACK", "COMMAND_SEQ_ACK", "BOOT_ID"}
    assert stages[Stage.PERMIT] == ["STATUS"]


def test_single_bits_leave_the_rest_of_their_word() -> None:
    plan = NodeMap.of(
        command(["CONTROL.ENABLE", "CONTROL.TRIGGER", "TRIGGER_SEQ", "RESULT_ACK_SEQ"]), nodes([*NEEDED, "STATUS"])
    )
    enable, trigger = (entry for entry in plan.command if entry.mask)
    block = bytearray(64)
    enable.put(block, [1])
    trigger.put(block, [1])
    enable.put(block, [0])
    assert block[:2] == b"\0\x02"


def test_a_serial_is_cut_and_kept_in_ascii() -> None:
    plan = NodeMap.of(command([*COMMAND, "SERIAL"]), nodes([*NEEDED, "STATUS"]))
    serial: Entry = next(entry for entry in plan.command if entry.name == "SERIAL")
    block = bytearray(64)
    serial.put_text(block, "Süß-" + "9" * 100)
    assert CODEC.decode_command(bytes(block)).serial == "S??-" + "9" * 28
    serial.put_text(block, "x")
    assert CODEC.decode_command(bytes(block)).serial == "x"
