"""The exported FB_VisionStation where a machine could be misled: what stands from before, what waits, whose verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.plc import chart
from protocols.faults import Code
from protocols.handshake import PlcState, Style
from protocols.signals import (
    CommandResult,
    Control,
    Judgement,
    ResultBit,
    StatusBit,
)
from tests.block_wire import READY, SCAN, VALID, Wire, asked, result_for, wire
from tests.plc_export import LANGUAGES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ---------------------------------------------------------------- a new trigger, and what is left of the part before


BUSY = int(StatusBit.ONLINE | StatusBit.BUSY)
EXPOSED = int(StatusBit.EXPOSURE_DONE)


def running_bits(language: str, part: int) -> Wire:
    """Bit style: a request that the gateway has acknowledged."""
    one = wire(language, Style.BITS)
    one.scan(part=part, trigger=True)
    one.scan()
    one.show(bits=BUSY | StatusBit.TRIGGER_ACK)
    one.scan(2)
    assert one["state"] == chart.NUMBER[PlcState.RUNNING]
    return one


def releasing(language: str) -> Wire:
    """Bit style: the verdict of part 7 is out, its result is not yet released."""
    one = running_bits(language, 7)
    one.show(result_for(3, 7), bits=VALID | EXPOSED)
    one.scan()
    assert (one["done"], one["busy"], one.verdict) == (True, True, {"ok"})
    return one


@pytest.mark.parametrize("style", Style)
def test_exposure_done_is_of_this_part_and_stays(language: str, style: Style) -> None:
    one = wire(language, style)
    one.show(bits=int(READY) | EXPOSED, trigger_seq_ack=5)
    one.scan(2)
    assert not one["exposureDone"], "of a part that nobody here has asked for"
    one.scan(part=6, trigger=True)
    seq = one.scan(2).trigger_seq
    assert not one["exposureDone"], "of the part before"
    one.show(bits=BUSY | StatusBit.TRIGGER_ACK, trigger_seq_ack=seq)
    one.scan(2)
    assert not one["exposureDone"]
    one.show(bits=BUSY | StatusBit.TRIGGER_ACK | EXPOSED)
    one.scan()
    assert one["exposureDone"]
    one.show(result_for(seq, 6), bits=VALID)
    one.scan()
    one.show(bits=int(READY))
    one.scan(5, ack=True)
    assert one["exposureDone"], "until the next trigger"
    one.scan(part=8, trigger=True)
    assert not one["exposureDone"]


def test_a_result_without_its_exposure_seen_lets_the_part_move(language: str) -> None:
    one = wire(language)
    seq = asked(one, 5)
    one.show(result_for(seq, 5), bits=VALID)
    one.scan()
    assert one["exposureDone"]


@pytest.mark.parametrize("ack", [False, True])
def test_a_trigger_while_the_old_result_is_released_waits_for_it(language: str, ack: bool) -> None:
    one = releasing(language)
    one.scan(part=8, trigger=True, ack=ack)
    assert (one["done"], one.verdict, one["code"], one["missed"]) == (False, set(), 0, False)
    command = one.scan(3, ack=False)
    assert command.control & Control.RESULT_ACK, "the old result is released first"
    one.show(bits=int(READY))
    for _ in range(4):
        command = one.scan()
        assert (one["done"], one.verdict) == (False, set()), "the old verdict never comes back"
    assert (command.control & Control.TRIGGER, command.part_id) == (Control.TRIGGER, 8)
    one.show(bits=BUSY | StatusBit.TRIGGER_ACK)
    one.scan(2)
    one.show(replace(result_for(4, 8, Judgement.NG), result_seq=10), bits=VALID)
    one.scan(2)
    assert (one["done"], one.verdict) == (True, {"ng"})


def test_a_trigger_on_a_result_that_is_never_released_ends_as_fault(language: str) -> None:
    one = releasing(language)
    one.scan(part=8, trigger=True)
    one.scan(40)
    result = one["result"]
    assert isinstance(result, dict)
    assert (one["done"], one.verdict, result["partId"], one["busy"]) == (True, {"fault"}, 8, False)


@pytest.mark.parametrize("style", Style)
def test_the_same_part_again_while_its_late_result_stands(language: str, style: Style) -> None:
    """Nothing was sent yet: what is shown is the answer to the request before, and must make room."""
    one = wire(language, style)
    one.scan(part=5, trigger=True)
    seq = one.scan().trigger_seq
    one.show(bits=BUSY | StatusBit.TRIGGER_ACK, trigger_seq_ack=seq)
    one.scan(2)
    one.beating = False
    one.scan(250)
    assert one.verdict == {"fault"}
    one.beating = True
    one.show(result_for(seq, 5), bits=VALID)
    one.scan(part=5, trigger=True)
    command = one.scan(4)
    assert (command.result_ack_seq == 9) if style is Style.SEQUENCE else command.control & Control.RESULT_ACK
    assert one["busy"]
    one.show(bits=int(READY))
    command = one.scan(4)
    assert (command.trigger_seq == seq + 1) if style is Style.SEQUENCE else command.control & Control.TRIGGER
    assert not one["done"]


# ---------------------------------------------------------------- a trigger that cannot be carried out at once


@pytest.mark.parametrize("style", Style)
def test_a_trigger_waits_for_ready_no_longer_than_ready_timeout(language: str, style: Style) -> None:
    one = wire(language, style)
    one.show(bits=int(StatusBit.ONLINE), not_ready_reason=int(Code.STARTING))
    one.scan(part=11, trigger=True)
    one.scan(10)
    assert one["busy"]
    one.scan(15)
    assert (one["done"], one.verdict, one["code"]) == (True, {"fault"}, Code.STARTING)
    one.show(bits=int(READY), not_ready_reason=0)
    command = one.scan(50)
    assert (command.trigger_seq, command.control & Control.TRIGGER) == (0, 0), "never carried out late"


def test_a_slow_reader_has_two_reads_and_a_dead_link_has_not(language: str) -> None:
    one = wire(language)
    one.block.scan_words(None, one.now + 0.01, part=11, trigger=True)
    one.block.scan_words(None, one.now + 0.3)
    assert one["busy"], "200 ms are over, but nothing was read since"
    one.now += 0.31
    one.scan()
    assert one.scan().trigger_seq == 1

    dead = wire(language)
    dead.block.scan_words(None, dead.now + 0.01, part=11, trigger=True)
    for n in range(2, 80):
        dead.block.scan_words(None, dead.now + n * SCAN)
    assert (dead.verdict, dead["code"]) == ({"fault"}, Code.LINK_LOST)


@pytest.mark.parametrize(
    ("inputs", "code"),
    [({"abort": True}, Code.ABORTED), ({"enable": False}, Code.NOT_ENABLED), ({"abort": True, "enable": False}, 3010)],
)
@pytest.mark.parametrize("style", Style)
def test_abort_and_disable_drop_a_waiting_trigger(
    language: str, style: Style, inputs: dict[str, bool], code: int
) -> None:
    one = wire(language, style, readyTimeout=5000)
    one.show(bits=int(StatusBit.ONLINE))
    one.scan(part=11, trigger=True)
    one.scan(5)
    one.show(bits=int(READY))
    one.scan(**inputs)
    assert (one["done"], one.verdict, one["code"], one["busy"]) == (True, {"fault"}, code, False)
    command = one.scan(20)
    assert (command.trigger_seq, command.control & Control.TRIGGER) == (0, 0)


def test_a_request_that_was_sent_is_the_gateway_s_to_abort(language: str) -> None:
    one = wire(language)
    seq = asked(one, 5)
    assert one.scan(abort=True, enable=False).control & Control.ABORT
    assert one["busy"]
    one.show(result_for(seq, 5, Judgement.FAULT, reason=int(Code.ABORTED)), bits=VALID)
    one.scan()
    assert (one.verdict, one["code"]) == ({"fault"}, Code.ABORTED)


# ---------------------------------------------------------------- whose verdict it is: the recipe and the camera


def commanded(language: str, recipe: int = 2, style: Style = Style.SEQUENCE) -> Wire:
    """A recipe was activated by the block, and the gateway says so."""
    one = wire(language, style)
    one.show(recipe_active=1)
    one.scan(recipe=recipe, execute=True)
    seq = one.scan().command_seq
    one.show(command_seq_ack=seq, command_result=int(CommandResult.DONE), recipe_active=recipe)
    one.scan(2)
    assert (one["recipeDone"], one["ready"]) == (True, True)
    return one


def test_not_ready_while_another_recipe_than_the_commanded_one_is_active(language: str) -> None:
    one = commanded(language)
    one.show(boot_id=8, recipe_active=1, command_result=0)
    one.scan(2)
    assert (one["recipeDone"], one["ready"]) == (False, False), "the gateway started anew with another recipe"
    one.scan(part=20, trigger=True)
    assert one.scan(40).trigger_seq == 0
    assert (one.verdict, one["code"]) == ({"fault"}, Code.UNKNOWN_RECIPE)


def test_a_recipe_that_is_being_changed_is_not_ready_at_once(language: str) -> None:
    one = wire(language)
    one.show(recipe_active=1)
    one.scan(2)
    assert one["ready"], "nobody has commanded a recipe: any one will do"
    one.scan(recipe=2, execute=True)
    assert one.scan().command_param == 2
    assert not one["ready"]


def test_a_gateway_that_starts_anew_with_the_same_recipe_is_still_set(language: str) -> None:
    one = commanded(language)
    one.show(boot_id=8)
    one.scan(2)
    assert (one["recipeDone"], one["ready"]) == (True, True)


@pytest.mark.parametrize("judgement", [1, 2, 3])
def test_a_verdict_of_another_recipe_is_a_fault(language: str, judgement: int) -> None:
    one = commanded(language)
    seq = asked(one, 20)
    one.show(result_for(seq, 20, judgement, recipe=1), bits=VALID)
    one.scan()
    assert (one["done"], one.verdict, one["code"]) == (True, {"fault"}, Code.UNKNOWN_RECIPE)


@pytest.mark.parametrize("style", Style)
def test_a_verdict_of_the_recipe_commanded_before_the_trigger_counts(language: str, style: Style) -> None:
    """A change that is commanded while the part is looked at is of the parts after it."""
    one = commanded(language, style=style)
    one.scan(execute=False)
    one.scan(part=20, trigger=True)
    seq = one.scan(2).trigger_seq
    one.show(bits=BUSY | StatusBit.TRIGGER_ACK, trigger_seq_ack=seq)
    one.scan(3)
    one.scan(3, recipe=7, execute=True)
    one.show(result_for(seq, 20, recipe=2), bits=VALID)
    one.scan()
    assert (one.verdict, one["code"]) == ({"ok"}, 0)


@pytest.mark.parametrize(("allowed", "wanted"), [(False, ({"fault"}, 9001)), (True, ({"ok"}, 0))])
def test_a_simulated_camera_is_good_for_nothing_unless_allowed(
    language: str, allowed: bool, wanted: tuple[set[str], int]
) -> None:
    one = wire(language, allowSimulated=allowed)
    seq = asked(one, 5)
    one.show(result_for(seq, 5, bits=int(ResultBit.SIMULATED)), bits=VALID)
    one.scan()
    result = one["result"]
    assert isinstance(result, dict)
    assert ((one.verdict, one["code"]), one["simulated"]) == (wanted, True)
    assert (result["judgement"], result["partId"]) == (Judgement.OK, 5), "the result's own data stays"


def test_a_fault_of_a_simulated_camera_keeps_its_reason(language: str) -> None:
    one = wire(language)
    seq = asked(one, 5)
    one.show(result_for(seq, 5, Judgement.FAULT, reason=1002, bits=int(ResultBit.SIMULATED)), bits=VALID)
    one.scan()
    assert (one.verdict, one["code"]) == ({"fault"}, 1002)


# ---------------------------------------------------------------- Logix: tags outlive a power cycle


def test_the_prescan_ends_what_stood_when_the_power_went() -> None:
    one = wire("l5x")
    seq = asked(one, 12)
    one.show(result_for(seq, 12), bits=VALID)
    one.scan()
    one.scan(recipe=2, execute=True)
    one.show(bits=int(READY), recipe_active=2)
    one.scan(3)
    assert (one["done"], one.verdict, one["linkOk"], one["exposureDone"]) == (True, {"ok"}, True, True)
    before = one.scan()
    one.now += 3600
    one.block.prescan(one.now)
    assert (one["done"], one.verdict, one["linkOk"], one["exposureDone"]) == (False, set(), False, False)
    assert (one["ready"], one["busy"], one["recipeBusy"]) == (False, False, False)
    after = one.scan(20, part=13, trigger=True)
    assert (after.trigger_seq, one["busy"]) == (seq, False), "an input that is TRUE at power-up is no edge"
    assert (after.result_ack_seq, after.command_seq) == (before.result_ack_seq, before.command_seq)
    one.scan(trigger=False)
    one.scan(part=13, trigger=True)
    assert one.scan().trigger_seq == seq + 1, "the numbers go on"


@pytest.mark.parametrize("style", Style)
def test_a_request_that_ran_when_the_power_went_is_gone(style: Style) -> None:
    one = wire("l5x", style)
    one.scan(part=12, trigger=True)
    command = one.scan()
    assert command.trigger_seq or command.control & Control.TRIGGER
    one.now += 3600
    one.block.prescan(one.now)
    command = one.scan(3)
    assert (one["busy"], one["done"], command.control & (Control.TRIGGER | Control.RESULT_ACK)) == (False, False, 0)
