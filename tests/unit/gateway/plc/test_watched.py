"""What `gateway plc watch` says of the registers."""

from __future__ import annotations

import io
from dataclasses import replace

from gateway.plc.watch import Plain
from gateway.plc.watched import Watched, explained
from protocols.codec import Codec, StringOrder, WordOrder
from protocols.faults import CATALOGUE, Code
from protocols.modbus.registers import FIELDS, SHOWN_WORDS
from protocols.signals import Command, Control, Result, Status, StatusBit

CODEC = Codec(WordOrder.CDAB, StringOrder.LITTLE)
BEATING = Status(bits=StatusBit.ONLINE, not_ready_reason=Code.NOT_ENABLED, heartbeat=1)
READY = Status(bits=StatusBit.ONLINE | StatusBit.READY)


def shown(status: Status, result: Result | None = None) -> bytes:
    return CODEC.encode_status(status) + CODEC.encode_result(result or Result()) + CODEC.encode_signature()


def watched(status: Status, command: Command | None = None, now: float = 0.0) -> Watched:
    made = Watched(CODEC, shown_words=SHOWN_WORDS)
    made.take(CODEC.encode_command(command or Command()), shown(status), now)
    return made


def row(made: Watched, key: str, now: float = 0.0) -> str:
    return made.row(key, now).shown


def test_every_field_is_decoded_in_the_plc_s_orders() -> None:
    made = Watched(CODEC, shown_words=SHOWN_WORDS)
    command = Command(Control.ENABLE | 0x0100, part_id=123_456_789, serial="ABC", command=1)
    result = Result(7, 3, 99_999, 2, score=0.5, reason=int(Code.NONE))
    made.take(CODEC.encode_command(command), shown(READY, result), 0.0)
    assert row(made, "command.CONTROL") == "ENABLE 0x0100"
    assert row(made, "command.PART_ID") == "123456789"
    assert row(made, "command.SERIAL") == "'ABC'"
    assert row(made, "command.COMMAND") == "1 activate_recipe"
    assert row(made, "status.STATUS") == "ONLINE READY"
    assert row(made, "result.PART_ID") == "99999"
    assert row(made, "result.JUDGEMENT") == "2 NG"
    assert row(made, "result.SCORE") == "0.5"
    assert row(made, "signature.SIGNATURE_REAL") == "123.456"
    assert row(made, "signature.SIGNATURE_STRING") == "'ABCDEFGH'"
    assert [one.field for one in made.rows(0.0)] == list(FIELDS)


def test_age_and_writer() -> None:
    made = watched(READY)
    assert made.row("status.STATUS", 5.0).age is None
    assert made.take(CODEC.encode_command(Command(trigger_seq=4)), shown(READY), 6.0) == ["command.TRIGGER_SEQ"]
    one = made.row("command.TRIGGER_SEQ", 8.5)
    assert (one.raw, one.age, one.writer) == ("0004", 2.5, "PLC")
    assert made.row("status.STATUS", 8.5).writer == "gateway"


def test_ready_needs_no_words() -> None:
    assert watched(READY).why(0.5) == []


def test_why_ready_is_low_says_code_cause_remedy_and_what_the_plc_does() -> None:
    told = watched(BEATING, Command(Control.TRIGGER)).why(0.0)
    info = CATALOGUE[Code.NOT_ENABLED]
    assert told[0] == f"Ready is low: 3009 {info.text}. Cause: {info.cause}. Remedy: {info.remedy}."
    assert any("Enable (CONTROL bit 0) is 0" in sentence for sentence in told)
    assert any("Trigger bit is 1" in sentence for sentence in told)


def test_every_code_can_be_explained_and_an_unknown_one_is_told() -> None:
    assert all(explained(code).startswith(f"{code} ") for code in CATALOGUE)
    assert explained(9999) == "9999, which this version does not know."


def test_a_plc_whose_heartbeat_stops_is_told_and_one_that_never_beat_is_not() -> None:
    made = watched(BEATING)
    made.take(CODEC.encode_command(Command()), shown(replace(BEATING, heartbeat=2)), 4.0)
    assert not any("PLC_HEARTBEAT" in sentence for sentence in made.why(4.5))
    made.take(CODEC.encode_command(Command(plc_heartbeat=8)), shown(replace(BEATING, heartbeat=3)), 5.0)
    made.take(CODEC.encode_command(Command(plc_heartbeat=8)), shown(replace(BEATING, heartbeat=4)), 7.0)
    assert any("PLC_HEARTBEAT has stood at 8" in sentence for sentence in made.why(7.0))


def test_a_gateway_whose_heartbeat_stands_is_not_believed() -> None:
    made = watched(READY)
    assert made.why(0.9) == []
    assert made.why(3.0)[0].startswith("The gateway's HEARTBEAT has stood still for 3 s")


def test_a_result_that_waits_and_a_refusal_are_told() -> None:
    waiting = Status(bits=READY.bits | StatusBit.RESULT_VALID, pending=2, trigger_refused=3003, trigger_seq_ack=5)
    told = watched(waiting, Command(trigger_seq=5, result_ack_seq=1)).why(0.0)
    assert any(sentence.startswith("2 result(s) wait for the acknowledgement") for sentence in told)
    assert any("The last trigger was refused: 3003" in sentence for sentence in told)


def test_plain_lines_tell_each_change_once_and_no_beat() -> None:
    out, made = io.StringIO(), Watched(CODEC, shown_words=SHOWN_WORDS)
    view = Plain(out)
    for now, status, command in (
        (0.0, BEATING, Command()),
        (0.2, replace(BEATING, heartbeat=2), Command()),
        (0.4, replace(READY, heartbeat=3), Command(Control.ENABLE)),
        (2.4, replace(READY, heartbeat=3), Command(Control.ENABLE)),
    ):
        view.show("gateway", made, made.take(CODEC.encode_command(command), shown(status), now), now)
    lines = [line[9:] for line in out.getvalue().splitlines()]
    assert len([line for line in lines if " HEARTBEAT " in line and "(gateway)" in line]) == 1
    assert len([line for line in lines if "Ready is low" in line]) == 1
    assert [line for line in lines if "CONTROL" in line][-1].endswith("ENABLE (PLC)")
    assert "  Ready" in lines
    assert "HEARTBEAT stands still" in lines


def test_a_lost_connection_is_told_once() -> None:
    out = io.StringIO()
    view = Plain(out)
    view.lost("gone")
    view.lost("gone")
    assert len(out.getvalue().splitlines()) == 1
