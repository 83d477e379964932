"""The PLC's state chart as Structured Text, from the tables of `protocols.handshake`: one expression for each guard."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.faults import Code
from protocols.handshake import PLC_BITS, PLC_SEQUENCE, PlcMove, PlcState, Style

NUMBER: dict[PlcState, int] = {state: number for number, state in enumerate(PlcState)}
"""The states in the variable `state`; 0 is IDLE."""

GUARDS: dict[str, str] = {
    "requested_and_ready": "asked AND readyBit AND linkOk AND recipeFits",
    "requested_and_ready_for_bits": (
        "asked AND readyBit AND linkOk AND recipeFits AND NOT resultAckBit AND NOT validBit AND NOT triggerAckBit"
    ),
    "overdue": "overdue",
    "own_result": "usable AND own",
    "foreign_result": "usable AND NOT own AND (resultAckSeq <> shownSeq)",
    "own_result_bits": "usable AND own AND NOT resultAckBit",
    "foreign_result_bits": "usable AND NOT own AND NOT resultAckBit",
    "ack_taken": "resultAckBit AND NOT validBit",
    "ack_stands": "ackTimer.Q",
    "accepted_seq": "(gateway.triggerSeqAck = triggerSeq) AND NOT refused",
    "refused_seq": "refused",
    "trigger_ack": "triggerAckBit",
    "refused_bit": "gateway.missed <> missedBefore",
}
"""What each guard of the tables is in the block's variables; `protocols.plc_role` is the same, without a recipe."""

_SEND = ("sentPart := askedPart;", "bound := commandWord <> 0;", "askedRecipe := paramWord;")
ACTIONS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "write_trigger_seq": (
        *_SEND,
        "IF triggerSeq = 0 THEN triggerSeq := gateway.triggerSeqAck; END_IF;",
        "IF triggerSeq >= 65535 THEN triggerSeq := 1; ELSE triggerSeq := triggerSeq + 1; END_IF;",
    ),
    "raise_trigger": (
        *_SEND,
        "missedBefore := gateway.missed;",
        "seenResult := shownSeq;",
        "triggerBit := TRUE;",
    ),
    "lower_trigger": ("triggerBit := FALSE;",),
    "take_refusal": ("failCode := gateway.triggerRefused;",),
    "acknowledge_seq": ("resultAckSeq := shownSeq;",),
    "take_and_acknowledge_seq": ("take := TRUE;", "resultAckSeq := shownSeq;"),
    "clear_ack_seq": ("resultAckSeq := 0;",),
    "raise_result_ack": ("resultAckBit := TRUE;",),
    "take_and_raise_result_ack": ("take := TRUE;", "resultAckBit := TRUE;"),
    "lower_result_ack": ("resultAckBit := FALSE;",),
    "give_up": (
        "failCode := gateway.notReadyReason;",
        f"IF NOT (recipeFits OR (state <> {NUMBER[PlcState.IDLE]})) THEN",
        f"  IF failCode = 0 THEN failCode := {int(Code.UNKNOWN_RECIPE)}; END_IF;",
        "END_IF;",
        f"IF failCode = 0 THEN failCode := {int(Code.DEADLINE_MISSED)}; END_IF;",
        f"IF NOT linkOk THEN failCode := {int(Code.LINK_LOST)}; END_IF;",
    ),
}
"""What each action of the tables does; `take` and `failCode` are carried out behind the chart."""

TABLES: dict[Style, tuple[PlcMove, ...]] = {Style.SEQUENCE: PLC_SEQUENCE, Style.BITS: PLC_BITS}


def case(style: Style) -> Iterator[str]:
    """One style's table as a CASE statement: in each state the first row whose guard holds is taken."""
    yield "CASE state OF"
    for state, number in NUMBER.items():
        rows = [move for move in TABLES[style] if move.state is state]
        if rows:
            yield f"  {number}: (* {state.value} *)"
            yield from _rows(rows)
    yield "END_CASE;"


def _rows(rows: list[PlcMove]) -> Iterator[str]:
    for index, move in enumerate(rows):
        word = "ELSIF" if index else "IF"
        yield f"    {word} {GUARDS[move.guard]} THEN (* {move.guard}: {move.action} *)"
        yield from (f"      {statement}" for statement in ACTIONS[move.action])
        yield f"      state := {NUMBER[move.to]};"
    yield "    END_IF;"
