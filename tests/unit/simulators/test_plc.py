import asyncio
from dataclasses import replace

import pytest

from protocols.codec import Codec, StringOrder, WordOrder
from protocols.faults import Code
from protocols.handshake import Style
from protocols.signals import BLANK_COMMAND, CommandCode, CommandResult, Control, Judgement, StatusBit
from simulators import rude
from simulators.plc import Plc, next_due, percentile, wrong_order
from simulators.rude import PHANTOM, SWITCHES, Rude
from tests.unit.simulators.bench import SCAN, Bench

STYLES = pytest.mark.parametrize("style", Style)


def plc_on(bench: Bench, style: Style = Style.SEQUENCE, *mistakes: str, timeout: float = 2.0) -> Plc:
    return Plc(
        bench, style=style, timeout=timeout, codec=bench.codec, clock=bench.clock, rude=rude.named(mistakes, style)
    )


async def settled(bench: Bench, plc: Plc) -> None:
    await bench.scans(plc, 3)
    assert plc.ready


# ---------------------------------------------------------------- a polite PLC


@STYLES
async def test_each_part_gets_its_own_verdict(style: Style) -> None:
    bench = Bench()
    plc = plc_on(bench, style)
    answers = [await bench.inspect(plc, part) for part in range(1, 7)]
    assert [a.part_id for a in answers] == [1, 2, 3, 4, 5, 6]
    assert [a.judgement.name for a in answers] == ["OK", "OK", "NG", "OK", "OK", "NG"]
    await bench.scans(plc, 5)
    assert [r.part_id for r in bench.accepted] == [1, 2, 3, 4, 5, 6]
    assert bench.acknowledged == [1, 2, 3, 4, 5, 6]
    assert plc.watch.ok
    assert plc.watch.results == 6


@STYLES
async def test_the_plc_measures_from_trigger_written_to_result_seen(style: Style) -> None:
    bench = Bench(delay=0.035)
    plc = plc_on(bench, style)
    await settled(bench, plc)
    answer = await bench.inspect(plc, 1)
    # Finished 35 ms after the trigger, seen at the scan behind it.
    assert answer.response == pytest.approx(0.04)


async def test_an_answer_without_a_result_has_no_response_time() -> None:
    bench = Bench()
    bench.role.condition(Code.CAMERA_LINK, True)
    answer = await bench.inspect(plc_on(bench, timeout=0.2), 1)
    assert (answer.judgement, answer.reason, answer.response) == (Judgement.FAULT, Code.CAMERA_LINK, None)


async def test_a_plc_begins_with_zeros_and_then_writes_at_every_scan() -> None:
    bench = Bench()
    plc = plc_on(bench)
    await bench.scans(plc, 10)
    assert bench.written[0] == BLANK_COMMAND
    assert len(bench.written) == 10
    assert all(command.control == Control.ENABLE for command in bench.written[1:])


async def test_words_and_text_go_over_the_wire_in_the_order_that_is_set() -> None:
    bench = Bench(codec=Codec(WordOrder.CDAB, StringOrder.LITTLE))
    plc = plc_on(bench)
    answer = await bench.inspect(plc, 0x12345678, "AB-1")
    assert bench.accepted[0].part_id == 0x12345678
    assert bench.accepted[0].serial == "AB-1"
    assert answer.result is not None
    assert answer.result.score == 0.5


async def test_a_torn_block_is_not_used() -> None:
    bench = Bench()
    plc = plc_on(bench)
    await settled(bench, plc)
    asking = asyncio.create_task(plc.inspect(1))
    await asyncio.sleep(0)
    await bench.scans(plc, 2)
    bench.torn = True
    await bench.scans(plc, 20)
    assert not asking.done()
    assert plc.torn > 0
    assert plc.watch.counts["torn"] == plc.torn
    bench.torn = False
    await bench.scans(plc, 2)
    assert (await asking).judgement is Judgement.OK


async def test_a_wire_that_was_cut_comes_back_and_asks_nothing_twice() -> None:
    bench = Bench()
    plc = plc_on(bench)
    await bench.inspect(plc, 1)
    bench.down = True
    await bench.scans(plc, 5)
    assert (plc.connected, plc.trouble) == (False, "bench: the cable is out")
    bench.down = False
    await bench.scans(plc, 60)
    assert (plc.connected, plc.trouble, plc.connections) == (True, "", 2)
    assert (await bench.inspect(plc, 2)).judgement is Judgement.OK
    assert [r.part_id for r in bench.accepted] == [1, 2]
    assert plc.watch.ok


async def test_without_a_gateway_the_answer_still_comes_in_time() -> None:
    bench = Bench()
    plc = plc_on(bench, timeout=0.3)
    bench.down = True
    began = bench.now
    answer = await bench.inspect(plc, 1)
    assert answer.judgement is Judgement.FAULT
    assert bench.now - began < 0.3 + 3 * SCAN


async def test_one_part_at_a_time() -> None:
    bench = Bench()
    plc = plc_on(bench)
    await settled(bench, plc)
    first = asyncio.create_task(plc.inspect(1))
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="part 2"):
        await plc.inspect(2)
    await bench.scans(plc, 10)
    assert (await first).part_id == 1


async def test_a_command_is_answered_by_its_number() -> None:
    bench = Bench()
    plc = plc_on(bench)
    await settled(bench, plc)
    for command, wanted in ((CommandCode.GO_OFFLINE, CommandResult.DONE), (99, Code.UNKNOWN_RECIPE)):
        giving = asyncio.create_task(plc.execute(int(command)))
        await asyncio.sleep(0)
        await bench.scans(plc, 3)
        assert await giving == wanted


async def test_waiting_for_what_never_comes_ends() -> None:
    assert not await plc_on(Bench()).until(lambda _: False, 0.0)


# ---------------------------------------------------------------- pure parts


@pytest.mark.parametrize(
    ("now", "due", "missed"),
    [(0.001, 0.01, 0), (0.0099, 0.01, 0), (0.012, 0.02, 1), (0.0199, 0.02, 1), (0.095, 0.1, 9)],
)
def test_scans_stay_on_their_grid(now: float, due: float, missed: int) -> None:
    at, left_out = next_due(0.0, now, 0.01)
    assert at == pytest.approx(due)
    assert left_out == missed


def test_a_percentile_is_a_value_that_occurred() -> None:
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([3.0], 0.99) == 3.0
    assert percentile([], 0.5) != percentile([], 0.5)  # NaN


def test_the_signature_block_tells_the_order() -> None:
    own = Codec(WordOrder.ABCD)
    assert wrong_order(own.encode_signature(), own) == ""
    assert "CDAB" in wrong_order(Codec(WordOrder.CDAB).encode_signature(), own)
    assert "little" in wrong_order(Codec(string_order=StringOrder.LITTLE).encode_signature(), own)
    assert "address" in wrong_order(bytes(20), own)


# ---------------------------------------------------------------- rude ones


async def run_rude(name: str, style: Style, parts: int = 6, give_up: float = 0.5) -> tuple[Bench, Plc, list[str]]:
    bench = Bench()
    plc = plc_on(bench, style, name, timeout=give_up)
    await settled(bench, plc)
    verdicts = []
    for part in range(1, parts + 1):
        verdicts.append((await bench.inspect(plc, part)).judgement.name)
        await bench.scans(plc, 25)
    assert plc.watch.ok, plc.watch.violations
    return bench, plc, verdicts


RIGHT = ["OK", "OK", "NG", "OK", "OK", "NG"]
TOLERATED = [
    (name, style)
    for name, switch in SWITCHES.items()
    for style in sorted(switch.styles, key=lambda style: style.value)
    if name not in ("power-cycle", "never-ack", "heartbeat-high", "heartbeat-low")
]


@pytest.mark.parametrize(("name", "style"), TOLERATED)
async def test_mistakes_that_cost_no_part(name: str, style: Style) -> None:
    bench, _, verdicts = await run_rude(name, style)
    assert verdicts == RIGHT
    own = [r.part_id for r in bench.accepted if not r.part_id & PHANTOM]
    assert own == [1, 2, 3, 4, 5, 6], "a part was inspected twice or not at all"


async def test_late_drop_holds_the_trigger_bit() -> None:
    bench, _, _ = await run_rude("late-drop", Style.BITS, parts=1)
    held = sum(bool(command.control & Control.TRIGGER) for command in bench.written)
    assert held >= SWITCHES["late-drop"].fields["hold_trigger"] / SCAN


@STYLES
async def test_early_ack_comes_before_the_result_and_is_ignored(style: Style) -> None:
    bench, _, _ = await run_rude("early-ack", style, parts=2)
    assert bench.ignored
    assert bench.acknowledged == [1, 2]


@STYLES
async def test_a_power_cycle_hits_mid_handshake_and_forgets_everything(style: Style) -> None:
    bench, plc, verdicts = await run_rude("power-cycle", style, parts=6)
    assert verdicts == ["OK", "OK", "NG", "OK", "FAULT", "NG"]
    assert plc.role.power_cycles == 1
    zeros = [n for n, command in enumerate(bench.written) if command.blank]
    assert len(zeros) == 1 + 5  # at the start, then 50 ms
    assert [r.part_id for r in bench.accepted] == [1, 2, 3, 4, 5, 6], "part 5 was under way"
    assert bench.acknowledged == [1, 2, 3, 4, 5, 6], "its result has to be taken off the queue"
    if style is Style.SEQUENCE:
        assert bench.accepted[-1].trigger_seq == 1


@STYLES
async def test_early_trigger_is_refused_while_busy(style: Style) -> None:
    bench, _, _ = await run_rude("early-trigger", style, parts=3)
    assert [r.code for r in bench.refused] == [Code.TRIGGER_WHILE_BUSY] * 3


async def test_early_trigger_does_not_look_at_ready() -> None:
    bench = Bench()
    bench.role.condition(Code.STARTING, True)
    answer = await bench.inspect(plc_on(bench, Style.SEQUENCE, "early-trigger"), 1)
    assert (answer.reason, answer.failure) == (Code.STARTING, "trigger refused")


@STYLES
@pytest.mark.parametrize(("name", "at_least"), [("storm", 1), ("burst", 20)])
async def test_a_storm_is_refused_trigger_by_trigger(name: str, at_least: int, style: Style) -> None:
    bench, _, _ = await run_rude(name, style, parts=3)
    assert len(bench.refused) >= 3 * at_least
    assert {r.code for r in bench.refused} == {Code.TRIGGER_WHILE_BUSY}


async def test_wrong_ack_is_ignored_and_the_right_one_follows() -> None:
    bench, _, _ = await run_rude("wrong-ack", Style.SEQUENCE, parts=2)
    assert bench.ignored == [8, 9]
    assert bench.acknowledged == [1, 2]


async def test_never_ack_loses_results_and_the_gateway_counts_them() -> None:
    bench, plc, verdicts = await run_rude("never-ack", Style.SEQUENCE, parts=12, give_up=0.1)
    assert verdicts[0] == "OK"
    assert bench.acknowledged == []
    assert plc.outputs.status.lost == 4
    assert plc.outputs.status.bits & StatusBit.OVERRUN


@STYLES
@pytest.mark.parametrize(("name", "value"), [("heartbeat-high", 65535), ("heartbeat-low", 0)])
async def test_a_heartbeat_that_sticks_makes_the_gateway_not_ready(name: str, value: int, style: Style) -> None:
    bench = Bench()
    plc = plc_on(bench, style, name)
    await bench.scans(plc, 230)
    assert bench.written[-1].plc_heartbeat == value
    assert not plc.ready
    assert plc.outputs.status.not_ready_reason == Code.PLC_HEARTBEAT_LOST


async def test_duplicate_is_answered_from_memory() -> None:
    bench, plc, _ = await run_rude("duplicate", Style.SEQUENCE, parts=3)
    assert [r.code for r in bench.refused] == [Code.REPEATED_SEQ] * 3
    assert len(bench.accepted) == 3
    assert plc.watch.repeats == 3


async def test_skip_leaves_numbers_out() -> None:
    bench, _, _ = await run_rude("skip", Style.SEQUENCE, parts=3)
    assert [r.trigger_seq for r in bench.accepted] == [4, 8, 12]


async def test_wrap_goes_from_65535_to_1() -> None:
    bench, _, _ = await run_rude("wrap", Style.SEQUENCE, parts=6)
    assert [r.trigger_seq for r in bench.accepted] == [65533, 65534, 65535, 1, 2, 3]


def test_mistakes_combine_and_unknown_ones_are_named() -> None:
    both = rude.named(["skip", "wrap"], Style.SEQUENCE)
    assert both == replace(Rude(), skip=3, first_seq=65532)
    with pytest.raises(ValueError, match="no rudeness is called polite"):
        rude.named(["polite"], Style.SEQUENCE)
    with pytest.raises(ValueError, match="bits"):
        rude.named(["skip"], Style.BITS)


async def test_several_mistakes_at_once() -> None:
    bench = Bench()
    plc = plc_on(bench, Style.SEQUENCE, "storm", "wrong-ack", "skip", "early-ack")
    verdicts = []
    for part in range(1, 7):
        verdicts.append((await bench.inspect(plc, part)).judgement.name)
        await bench.scans(plc, 10)
    assert verdicts == RIGHT
    assert plc.watch.ok, plc.watch.violations
