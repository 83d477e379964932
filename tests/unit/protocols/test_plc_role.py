"""The PLC's side of the cycle: what it must not fall for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.faults import Code
from protocols.handshake import Style
from protocols.plc_role import PlcRole
from protocols.signals import Control, Judgement, Outputs, Result, Status, StatusBit

READY = int(StatusBit.ONLINE | StatusBit.READY)
VALID = int(StatusBit.RESULT_VALID)


class Rig:
    """A PLC and the outputs it reads; the gateway's heartbeat moves with every scan."""

    def __init__(self, style: Style = Style.SEQUENCE) -> None:
        self.plc = PlcRole(style, timeout=1.0)
        self.now = 10.0
        self.outputs = Outputs(Status(bits=READY))

    def scan(self, *, beat: bool = True, **status: int) -> None:
        self.now += 0.01
        moved = self.outputs.status.heartbeat + beat
        self.outputs = replace(self.outputs, status=replace(self.outputs.status, **{"heartbeat": moved, **status}))
        self.plc.scan(self.outputs, self.now)

    def result(self, **fields: int) -> None:
        self.outputs = replace(self.outputs, result=Result(**fields))  # type: ignore[arg-type]


def test_takes_its_own_result_and_acknowledges_by_number() -> None:
    rig = Rig()
    rig.scan()
    rig.plc.request(5, rig.now)
    rig.scan()
    assert (rig.plc.command.trigger_seq, rig.plc.command.part_id) == (1, 5)
    rig.scan(trigger_seq_ack=1, bits=0)
    rig.result(result_seq=9, trigger_seq=1, part_id=5, judgement=1)
    rig.scan(bits=VALID)
    assert rig.plc.outcome is not None
    assert rig.plc.outcome.good
    assert rig.plc.command.result_ack_seq == 9
    assert not rig.plc.busy


@pytest.mark.parametrize("wrong", [{"trigger_seq": 2}, {"part_id": 6}])
def test_discards_a_result_of_another_trigger_or_part(wrong: dict[str, int]) -> None:
    rig = Rig()
    rig.scan()
    rig.plc.request(5, rig.now)
    rig.scan()
    rig.result(**{"result_seq": 9, "trigger_seq": 1, "part_id": 5, "judgement": 1, **wrong})
    rig.scan(trigger_seq_ack=1, bits=VALID)
    assert rig.plc.outcome is None
    assert rig.plc.command.result_ack_seq == 9


def test_does_not_trigger_while_the_gateway_s_heartbeat_stands_still() -> None:
    rig = Rig()
    rig.scan()
    rig.now += 1.0
    rig.plc.request(5, rig.now)
    for _ in range(3):
        rig.scan(beat=False)
    assert rig.plc.command.trigger_seq == 0
    rig.scan()
    assert rig.plc.command.trigger_seq == 1


def test_unknown_judgement_is_not_good() -> None:
    rig = Rig()
    rig.scan()
    rig.plc.request(5, rig.now)
    rig.scan()
    rig.result(result_seq=1, trigger_seq=1, part_id=5, judgement=77)
    rig.scan(bits=VALID, trigger_seq_ack=1)
    assert rig.plc.outcome is not None
    assert rig.plc.outcome.judgement is Judgement.FAULT


def test_refusal_carries_its_code() -> None:
    rig = Rig()
    rig.scan()
    rig.plc.request(5, rig.now)
    rig.scan()
    rig.scan(trigger_seq_ack=1, trigger_refused=int(Code.TRIGGER_WHILE_BUSY), bits=0)
    assert rig.plc.outcome is not None
    assert (rig.plc.outcome.reason, rig.plc.outcome.good) == (Code.TRIGGER_WHILE_BUSY, False)


def test_gives_up_after_the_time_out_with_the_reason_told() -> None:
    rig = Rig()
    rig.scan(bits=0, not_ready_reason=int(Code.CAMERA_LINK))
    rig.plc.request(5, rig.now)
    rig.now += 1.0
    rig.scan()
    assert rig.plc.outcome is not None
    assert rig.plc.outcome.reason == Code.CAMERA_LINK


def test_bits_are_four_phase() -> None:
    rig = Rig(Style.BITS)
    rig.scan()
    rig.plc.request(5, rig.now)
    rig.scan()
    assert rig.plc.command.control == Control.ENABLE | Control.TRIGGER
    rig.scan(bits=int(StatusBit.TRIGGER_ACK))
    assert rig.plc.command.control == Control.ENABLE
    rig.result(result_seq=1, trigger_seq=1, part_id=5, judgement=2)
    rig.scan(bits=VALID)
    assert rig.plc.command.control == Control.ENABLE | Control.RESULT_ACK
    assert rig.plc.busy
    rig.scan(bits=READY)
    assert rig.plc.command.control == Control.ENABLE
    assert not rig.plc.busy


def test_a_second_request_while_busy_is_a_mistake_of_the_program() -> None:
    rig = Rig()
    rig.plc.request(5, rig.now)
    with pytest.raises(ValueError, match="still being inspected"):
        rig.plc.request(6, rig.now)


def test_the_user_bits_of_control_stay() -> None:
    rig = Rig(Style.BITS)
    rig.plc.write(control=0x8100 | Control.ENABLE)
    rig.scan()
    rig.plc.request(5, rig.now)
    rig.scan()
    assert rig.plc.command.control == 0x8100 | Control.ENABLE | Control.TRIGGER
    rig.scan(bits=READY | StatusBit.TRIGGER_ACK)
    assert rig.plc.command.control == 0x8100 | Control.ENABLE


@pytest.mark.parametrize("style", Style)
def test_the_same_part_again_acknowledges_its_late_result_before_it_triggers(style: Style) -> None:
    rig = Rig(style)
    rig.scan()
    rig.plc.request(5, rig.now)
    rig.scan()
    rig.scan(bits=int(StatusBit.TRIGGER_ACK), trigger_seq_ack=1)
    rig.now += 1.0
    rig.scan()
    assert not rig.plc.busy
    rig.result(result_seq=9, trigger_seq=1, part_id=5, judgement=1)
    rig.plc.request(5, rig.now)
    rig.scan(bits=VALID)
    assert rig.plc.command.result_ack_seq == 9 or rig.plc.command.control & Control.RESULT_ACK
    assert rig.plc.outcome is None
    for _ in range(3):
        rig.scan(bits=READY)
    assert rig.plc.command.trigger_seq == 2 or rig.plc.command.control & Control.TRIGGER
