"""The exported FB_VisionStation is executed: the text itself is the PLC's program, in two languages and both styles."""

from __future__ import annotations

import itertools
import math
import random
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from protocols.codec import Codec, WordOrder
from protocols.faults import Code
from protocols.handshake import CycleSettings, Style
from protocols.signals import (
    Command,
    CommandCode,
    CommandResult,
    Control,
    Judgement,
    StatusBit,
)
from tests.block_wire import READY, SCAN, VALID, Wire, asked, result_for, wire
from tests.plc_export import LANGUAGES, order_of, plc
from tests.structured_text import Program
from tests.unit.protocols.test_handshake_pair import World, truth

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
BOTH = [(language, style) for language in LANGUAGES for style in Style]


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ---------------------------------------------------------------- against the gateway's side, any interleaving


@pytest.mark.parametrize(("language", "style"), BOTH)
def test_any_interleaving_ends_with_the_right_verdicts(language: str, style: Style) -> None:
    interleavings(language, style, range(10))


def interleavings(language: str, style: Style, seeds: Iterable[int]) -> None:
    """Each seed is another order of reads, scans, writes and mishaps, with right verdicts at its end."""
    for seed in seeds:
        world = rudely_treated(language, style, random.Random(seed))
        for scans in itertools.count():
            if not world.plc.busy and scans >= 5:
                break
            assert scans < 400, f"seed {seed}: busy for ever"
            world.fair_scan()
        for _ in range(2):
            world.ask()
            for _ in range(400):
                world.fair_scan()
                if not world.plc.busy:
                    break
            outcome = world.outcomes[-1]
            assert outcome.part_id == world.part
            assert outcome.result is not None, f"seed {seed}: wedged with {outcome}"
            assert outcome.judgement is truth(world.part), f"seed {seed}"


def rudely_treated(language: str, style: Style, rng: random.Random) -> World:
    world = World(style, CycleSettings(queue=rng.randrange(9), overlap=rng.random() < 0.5, ack_timeout=0.5))
    world.plc = plc(language, style, timeout=1000, readyTimeout=1000)  # type: ignore[assignment]
    for _ in range(60):
        move = rng.choice(("read", "scan", "write", "fair", "fair", "fair", "ask", "answer", "fail", "wait", "rude"))
        one_move(world, move, language, rng)
        calm = {part: times for part, times in world.inspected.items() if part > world.disturbed}
        assert all(times == 1 for times in calm.values()), "a part was inspected twice"
    return world


def one_move(world: World, move: str, language: str, rng: random.Random) -> None:
    match move:
        case "read":
            world.plc_reads()
        case "scan":
            world.plc_scans()
        case "write":
            world.plc_writes()
        case "fair":
            for _ in range(rng.randrange(1, 8)):
                world.fair_scan()
        case "ask" if not world.plc.busy:
            world.ask()
        case "answer" | "fail" if world.running:
            request = world.running[0]
            world.gateway.exposed(request.cycle)
            world.finish(request, truth(request.part_id) if move == "answer" else Judgement.FAULT)
        case "wait":
            world.now += rng.choice((0.001, 0.05, 0.31, 1.2))
            world.take(world.gateway.tick(world.now))
        case "rude" if rng.random() < 0.5:
            rudeness(world, language, rng)
        case _:
            pass


def rudeness(world: World, language: str, rng: random.Random) -> None:
    """A power cycle of the PLC, a restart of the gateway, or bits and numbers out of the air."""
    world.rude = True
    match rng.randrange(3):
        case 0:
            world.plc = plc(language, world.style, timeout=1000, readyTimeout=1000)  # type: ignore[assignment]
            world.plc_writes(Command())
        case 1:
            world.gateway_restarts()
        case _:
            world.disturbed = world.asked
            control = rng.randrange(64) & ~Control.EXECUTE
            seq, ack = rng.choice((0, 1, 2, 65535)), rng.randrange(10)
            foreign = replace(world.plc.command, control=control, trigger_seq=seq, result_ack_seq=ack, part_id=0)
            world.plc_writes(foreign)


# ---------------------------------------------------------------- what makes a result count


def test_only_an_ok_is_ok(language: str) -> None:
    for judgement, name in ((1, "ok"), (2, "ng"), (3, "recheck"), (4, "fault"), (0, "fault"), (77, "fault")):
        one = wire(language)
        seq = asked(one, 5)
        one.show(result_for(seq, 5, judgement, reason=42), bits=VALID)
        ack = one.scan()
        assert (one["done"], one.verdict, one["code"]) == (True, {name}, 42)
        assert ack.result_ack_seq == 9


@pytest.mark.parametrize("torn", ["part", "trigger", "copy", "heartbeat"])
def test_a_result_of_something_else_is_not_taken(language: str, torn: str) -> None:
    one = wire(language)
    seq = asked(one, 5)
    part, trigger = (6, seq) if torn == "part" else (5, seq + 1 if torn == "trigger" else seq)
    one.beating = torn != "heartbeat"
    if torn == "heartbeat":
        one.scan(70)
        assert not one["linkOk"]
    one.show(result_for(trigger, part), bits=VALID)
    for _ in range(100):
        one.scan(torn=torn == "copy")
        assert not one["ok"]
    one.scan(200, torn=torn == "copy")
    assert (one["done"], one.verdict) == (True, {"fault"})
    assert one["code"] == (Code.LINK_LOST if torn == "heartbeat" else Code.DEADLINE_MISSED)


def test_the_number_before_is_never_the_answer_in_bit_style(language: str) -> None:
    """Bit style has no number to compare but RESULT_SEQ: the one that stood there before the trigger is old."""
    one = wire(language, Style.BITS)
    one.show(result_for(3, 5))
    one.scan(part=5, trigger=True)
    assert one.scan().control & Control.TRIGGER
    one.show(bits=int(StatusBit.ONLINE | StatusBit.TRIGGER_ACK | StatusBit.BUSY))
    one.scan(2)
    one.show(bits=VALID)
    command = one.scan(2)
    assert not one["done"]
    assert command.control & Control.RESULT_ACK, "an old result is acknowledged, not used"


def test_all_values_arrive(language: str) -> None:
    one = wire(language)
    seq = asked(one, 0x12345678)
    values = (1.5, -2.25, 0.0, 123.456, 1e-30, -3e38, 1e-40, math.nan, math.inf, 8388608.0, 1.0, 65535.0, 0.1)
    one.show(
        result_for(seq, 0x12345678, score=0.875, total=65535, time_s=0x7FFFFFFF, bits=0x8121, values=values),
        bits=VALID,
    )
    one.scan()
    result = one["result"]
    assert isinstance(result, dict)
    assert (result["score"], result["total"], result["timeS"]) == (0.875, 65535, 0x7FFFFFFF)
    assert (result["partId"], result["triggerSeq"], result["resultBits"]) == (0x12345678, seq, 0x8121)
    single = [struct.unpack(">f", struct.pack(">f", value))[0] for value in values]
    flushed = [value if math.isfinite(value) and (language == "l5x" or abs(value) > 1.2e-38) else 0 for value in single]
    assert result["value"].items == flushed
    assert one["simulated"] is True


# ---------------------------------------------------------------- time and order


def test_a_late_ack_of_the_program_keeps_the_outcome(language: str) -> None:
    one = wire(language)
    seq = asked(one, 5)
    one.show(result_for(seq, 5), bits=VALID)
    one.scan()
    one.show(bits=int(READY))
    one.scan(500)
    assert (one["done"], one.verdict) == (True, {"ok"})
    one.scan(ack=True)
    assert (one["done"], one.verdict, one["code"]) == (False, set(), 0)


def test_a_trigger_while_busy_is_told_and_starts_nothing(language: str) -> None:
    one = wire(language)
    seq = asked(one, 5)
    one.scan(part=6, trigger=True)
    assert one["missed"]
    assert one.scan(3).part_id == 5
    one.show(result_for(seq, 5), bits=VALID)
    one.scan()
    assert one.verdict == {"ok"}
    one.scan(clear=True)
    assert not one["missed"]


def test_no_trigger_without_ready_and_the_reason_is_told(language: str) -> None:
    one = wire(language, enable=False)
    one.show(bits=int(StatusBit.ONLINE), not_ready_reason=int(Code.NOT_ENABLED))
    one.scan(part=5, trigger=True)
    assert one.scan(100).trigger_seq == 0
    one.scan(120)
    assert (one.verdict, one["code"], one["busy"]) == ({"fault"}, Code.NOT_ENABLED, False)


def test_a_refusal_ends_the_request_with_its_code(language: str) -> None:
    one = wire(language)
    one.scan(part=5, trigger=True)
    seq = one.scan().trigger_seq
    one.show(trigger_seq_ack=seq, trigger_refused=int(Code.TRIGGER_WHILE_BUSY))
    one.scan(2)
    result = one["result"]
    assert (one.verdict, one["code"]) == ({"fault"}, Code.TRIGGER_WHILE_BUSY)
    assert isinstance(result, dict)
    assert (result["judgement"], result["partId"], result["resultSeq"]) == (Judgement.FAULT, 5, 0)


def test_numbers_wrap_to_1_and_begin_behind_what_the_gateway_saw(language: str) -> None:
    one = wire(language)
    one.show(trigger_seq_ack=65534)
    numbers = []
    for part in (1, 2):
        one.scan(part=part, trigger=True)
        numbers.append(one.scan(2).trigger_seq)
        one.show(result_for(numbers[-1], part), bits=VALID, trigger_seq_ack=numbers[-1])
        one.scan()
        one.show(bits=int(READY))
        one.scan(2, ack=True)
    assert numbers == [65535, 1]


def test_nothing_moves_while_the_driver_has_read_nothing_new(language: str) -> None:
    one = wire(language)
    one.block.scan_words(None, one.now + SCAN, part=5, trigger=True)
    for n in range(2, 20):
        one.block.scan_words(None, one.now + n * SCAN)
    assert one.codec.decode_command(one.block.command_bytes()).trigger_seq == 0
    for n in range(20, 260):
        one.block.scan_words(None, one.now + n * SCAN)
    assert (one.verdict, one["code"]) == ({"fault"}, Code.LINK_LOST)


def test_both_heartbeats(language: str) -> None:
    one = wire(language)
    beats = [one.scan().plc_heartbeat for _ in range(105)]
    assert sorted(set(beats)) == list(range(beats[0], beats[0] + len(set(beats))))
    assert 4 <= len(set(beats)) <= 6, "a beat each 200 ms"
    one.beating = False
    one.scan(55)
    assert one["linkOk"]
    one.scan(10)
    assert (one["linkOk"], one["ready"]) == (False, False)
    one.beating = True
    one.scan(2)
    assert one["linkOk"]


def test_a_gateway_that_was_never_seen_to_beat_is_dead(language: str) -> None:
    one = Wire(plc(language, Style.SEQUENCE), order_of(language))
    one.beating = False
    one.scan(5)
    assert not one["linkOk"]


# ---------------------------------------------------------------- the recipe and the rest of the command block


def answers(language: str) -> Iterator[tuple[int, bool, int]]:
    yield CommandResult.DONE, True, 0
    yield Code.UNKNOWN_RECIPE, False, Code.UNKNOWN_RECIPE


def test_a_recipe_change_ends_done_or_with_its_code(language: str) -> None:
    for answer, done, code in answers(language):
        one = wire(language)
        one.show(command_seq_ack=7, command_result=int(CommandResult.DONE))
        one.scan(recipe=3, execute=True)
        command = one.scan(2, recipe=3, execute=True)
        assert (command.command, command.command_param) == (CommandCode.ACTIVATE_RECIPE, 3)
        assert command.command_seq == 8, "not the number the gateway knows already"
        assert one["recipeBusy"], "the answer to an older command is not ours"
        one.show(command_seq_ack=8, command_result=int(CommandResult.RUNNING))
        one.scan(5)
        assert one["recipeBusy"]
        one.show(command_result=int(answer))
        one.scan(2)
        assert (one["recipeBusy"], one["recipeDone"], one["recipeFailed"], one["recipeCode"]) == (
            False, done, not done, code,
        )  # fmt: skip


def test_a_recipe_change_without_an_answer_ends_in_time(language: str) -> None:
    one = wire(language, recipeTimeout=1000)
    one.scan(recipe=3, execute=True)
    one.scan(120)
    assert (one["recipeBusy"], one["recipeFailed"], one["recipeCode"]) == (False, True, Code.COMMAND_TIMEOUT)


def test_the_program_s_own_words_are_left_alone(language: str) -> None:
    one = wire(language)
    own = [0x55 << 8, *[0] * 6, 0, 0, 0, *range(100, 122)]
    one.block.words["command"][:] = own
    words = struct.unpack(">32H", (one.scan(5, clear=True, abort=True), one.block.command_bytes())[1])
    assert words[10:] == tuple(range(100, 122))
    assert words[0] == 0x5500 | Control.ENABLE | Control.CLEAR_FAULT | Control.ABORT


# ---------------------------------------------------------------- word orders


@pytest.mark.parametrize("order", WordOrder)
def test_words_in_every_order(order: WordOrder) -> None:
    from gateway.plc import functions, st

    text = "\n".join(line for function in functions.iec(order) for line in st.function_text(function))
    harness = """
    FUNCTION_BLOCK Both
    VAR_INPUT first : WORD; second : WORD; number : UDINT; END_VAR
    VAR_OUTPUT udint : UDINT; real : REAL; one : WORD; two : WORD; END_VAR
    udint := VisionUdint(first := first, second := second);
    real := VisionReal(first := first, second := second);
    one := VisionWord(value := number, second := FALSE);
    two := VisionWord(value := number, second := TRUE);
    END_FUNCTION_BLOCK
    """
    block = Program(text + harness).instance("Both")
    signature = Codec(order).encode_signature()
    first, second, third, fourth = struct.unpack(">4H", signature[2:10])
    block.scan(0, first=first, second=second, number=0x12345678)
    assert block["udint"] == 0x12345678
    assert (block["one"], block["two"]) == (first, second)
    block.scan(0, first=third, second=fourth)
    assert block["real"] == pytest.approx(123.456, rel=1e-7)


@pytest.mark.parametrize("order", [order for order in WordOrder if order is not WordOrder.CDAB])
def test_words_in_every_order_of_logix(order: WordOrder) -> None:
    """The whole block would take its time to parse: only its moves of words, framed by hand."""
    from gateway.plc.dialect import Logix
    from protocols.modbus.registers import Type

    dialect = Logix(order)
    text = "\n".join(
        (
            "FUNCTION_BLOCK Words",
            "VAR_IN_OUT command : ARRAY[0..1] OF INT; status : ARRAY[0..3] OF INT; END_VAR",
            "VAR_INPUT number : DINT; END_VAR",
            "VAR udint : DINT; real : REAL; raw : DINT; pair : ARRAY[0..1] OF INT; END_VAR",
            *dialect.get("udint", Type.UDINT, 0),
            *dialect.get("real", Type.REAL, 2),
            *dialect.put(0, Type.UDINT, "number"),
            "END_FUNCTION_BLOCK",
        )
    )
    block = Program(text, logix=True).instance("Words")
    words = list(struct.unpack(">4h", Codec(order).encode_signature()[2:10]))
    command = [0, 0]
    block.scan(0, command=command, status=words, number=0x12345678)
    assert block["udint"] == 0x12345678
    assert block["real"] == pytest.approx(123.456, rel=1e-7)
    assert command == words[:2]
