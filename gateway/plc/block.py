"""The text of FB_VisionStation, one for all languages; the chart in its middle is the tables'."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.plc import chart
from gateway.plc.dialect import Dialect, get_member
from gateway.plc.names import members, word_of
from gateway.plc.variables import SIMULATED
from protocols.faults import Code
from protocols.handshake import PlcState, Style
from protocols.modbus.registers import Block, Type
from protocols.signals import CommandCode, CommandResult, Control, Judgement, ResultBit, StatusBit

NAME = "FB_VisionStation"
IDLE, RUNNING, RELEASE = (chart.NUMBER[state] for state in (PlcState.IDLE, PlcState.RUNNING, PlcState.RELEASE))
READS = 2
"""New status words that a waiting trigger has seen at the least, before it is given up as not ready."""


def prescan(dialect: Dialect) -> Iterator[str]:
    """Where variables outlive a restart of the PLC: what belongs to a request ends with it; the numbers go on."""
    yield from dialect.text((*(f"{name} := FALSE;" for name in _OF_A_REQUEST), f"code := 0; state := {IDLE};"))


_OF_A_REQUEST = (
    *("looked", "linkOk", "asked", "busy", "ready", "exposureDone", "triggerBit", "resultAckBit", "recipeBusy"),
    *("done", "ok", "ng", "recheck", "fault", "simulated"),
)


def body(dialect: Dialect) -> Iterator[str]:
    """The block's statements in a language."""
    yield "(* 1. What the gateway shows. *)"
    yield from _look(dialect)
    yield from dialect.text(_TIMERS)
    yield "(* 2. What the program wants. *)"
    yield from dialect.text(_REQUEST)
    yield "(* 3. One move of the handshake, from the tables of the PLC's side. *)"
    yield from dialect.text(_chart())
    yield "(* 4. The outcome. *)"
    yield from _outcome(dialect)
    yield "(* 5. The recipe. *)"
    yield from dialect.text(_RECIPE)
    yield "(* 6. What the gateway is told. *)"
    yield from dialect.text(_OUTPUTS)
    yield from _tell(dialect)


def _look(dialect: Dialect) -> Iterator[str]:
    for member in members(Block.STATUS):
        yield from get_member(dialect, "gateway", member)
    word = word_of("STATUS", Block.STATUS)
    for name, bit in (
        ("readyBit", StatusBit.READY),
        ("triggerAckBit", StatusBit.TRIGGER_ACK),
        ("exposureBit", StatusBit.EXPOSURE_DONE),
        ("validBit", StatusBit.RESULT_VALID),
    ):
        yield from dialect.get_bit(name, word, bit.bit_length() - 1)
    for name, kind, field in (
        ("shownSeq", Type.UINT, "RESULT_SEQ"),
        ("shownCopy", Type.UINT, "RESULT_SEQ_COPY"),
        ("shownTrigger", Type.UINT, "TRIGGER_SEQ"),
        ("shownPart", Type.UDINT, "PART_ID"),
    ):
        yield from dialect.get(name, kind, word_of(field, Block.RESULT))


_TIMERS = f"""\
moved := (gateway.heartbeat <> lastBeat) OR (gateway.bootId <> lastBoot);
lastBeat := gateway.heartbeat;
lastBoot := gateway.bootId;
aliveTimer(IN := NOT moved, PT := gatewayTimeout);
IF moved AND looked THEN linkOk := TRUE; END_IF;
IF aliveTimer.Q THEN linkOk := FALSE; END_IF;
IF NOT looked THEN triggerWas := trigger; executeWas := execute; looked := TRUE; END_IF;
beatTimer(IN := NOT beatTimer.Q, PT := beatTime);
IF beatTimer.Q THEN
  IF beat >= 65535 THEN beat := 1; ELSE beat := beat + 1; END_IF;
END_IF;
edge := trigger AND NOT triggerWas;
triggerWas := trigger;
fires := edge AND (NOT asked OR (state = {RELEASE}));
requestTimer(IN := asked AND NOT fires, PT := timeout);
readyTimer(IN := asked AND NOT fires AND (state = {IDLE}), PT := readyTimeout);
recipeTimer(IN := recipeBusy, PT := recipeTimeout);
ackTimer(IN := validBit AND (shownSeq = resultAckSeq), PT := ackTime);
""".splitlines()

_REQUEST = f"""\
IF ack AND done THEN
  done := FALSE; ok := FALSE; ng := FALSE; recheck := FALSE; fault := FALSE; simulated := FALSE; code := 0;
END_IF;
IF NOT asked AND (state = {IDLE}) AND NOT resultAckBit AND NOT validBit THEN
  bits := useBits;
END_IF;
IF clear THEN missed := FALSE; END_IF;
IF edge AND NOT fires THEN missed := TRUE; END_IF;
IF exchanged AND (reads < {READS}) THEN reads := reads + 1; END_IF;
IF fires THEN
  asked := TRUE;
  askedPart := part;
  reads := 0;
  state := {IDLE};
  exposureDone := FALSE;
  done := FALSE; ok := FALSE; ng := FALSE; recheck := FALSE; fault := FALSE; simulated := FALSE; code := 0;
  result.judgement := {int(Judgement.NONE)};
END_IF;
""".splitlines()


def _chart() -> Iterator[str]:
    yield "overdue := asked AND requestTimer.Q;"
    yield f"IF readyTimer.Q AND ((reads >= {READS}) OR NOT linkOk) THEN overdue := asked; END_IF;"
    yield _FITS
    yield "usable := validBit AND linkOk AND (shownSeq = shownCopy) AND (shownSeq <> 0);"
    yield f"own := asked AND (state <> {IDLE}) AND (shownPart = askedPart);"
    yield "IF bits THEN own := own AND (shownSeq <> seenResult); END_IF;"
    yield "IF NOT bits THEN own := own AND (shownTrigger = triggerSeq); END_IF;"
    yield "refused := (gateway.triggerSeqAck = triggerSeq) AND (gateway.triggerRefused <> 0);"
    yield f"IF gateway.triggerRefused = {int(Code.REPEATED_SEQ)} THEN refused := FALSE; END_IF;"
    yield "take := FALSE;"
    yield "failCode := 0;"
    yield from _DROP
    yield "IF exchanged OR overdue THEN"
    for style, condition in ((Style.BITS, "bits"), (Style.SEQUENCE, "NOT bits")):
        yield f"  IF {condition} THEN"
        yield from (f"    {line}" for line in chart.case(style))
        yield "  END_IF;"
    yield "END_IF;"


def _outcome(dialect: Dialect) -> Iterator[str]:
    yield "IF take THEN"
    for member in members(Block.RESULT):
        yield from (f"  {line}" for line in get_member(dialect, "result", member))
    yield from dialect.get_bit("  simulated", word_of("RESULT_BITS", Block.RESULT), _number(ResultBit.SIMULATED))
    yield from dialect.text(_VERDICT)


_FITS = f"recipeFits := (commandWord <> {int(CommandCode.ACTIVATE_RECIPE)}) OR (gateway.recipeActive = paramWord);"

_DROP = f"""\
IF asked AND (state = {IDLE}) AND (abort OR NOT enable) THEN
  state := {chart.NUMBER[PlcState.FAILED]};
  IF abort THEN failCode := {int(Code.ABORTED)}; ELSE failCode := {int(Code.NOT_ENABLED)}; END_IF;
END_IF;
""".splitlines()

_VERDICT = f"""\
  ok := (result.judgement = {int(Judgement.OK)});
  ng := (result.judgement = {int(Judgement.NG)});
  recheck := (result.judgement = {int(Judgement.RECHECK)});
  fault := NOT (ok OR ng OR recheck);
  code := result.reason;
  IF NOT fault AND bound AND (result.recipe <> askedRecipe) THEN
    fault := TRUE;
    code := {int(Code.UNKNOWN_RECIPE)};
  END_IF;
  IF NOT fault AND simulated AND NOT allowSimulated THEN fault := TRUE; code := {SIMULATED}; END_IF;
  IF fault THEN ok := FALSE; ng := FALSE; recheck := FALSE; END_IF;
  done := TRUE;
END_IF;
IF state = {chart.NUMBER[PlcState.FAILED]} THEN
  triggerBit := FALSE;
  result.resultSeq := 0;
  result.partId := askedPart;
  result.judgement := {int(Judgement.FAULT)};
  result.reason := failCode;
  ok := FALSE; ng := FALSE; recheck := FALSE; simulated := FALSE; fault := TRUE;
  code := failCode;
  done := TRUE;
END_IF;
IF state >= {chart.NUMBER[PlcState.DONE]} THEN
  asked := FALSE;
  state := {IDLE};
END_IF;
""".splitlines()

_RECIPE = f"""\
recipeAnswered := recipeSent AND linkOk AND (gateway.commandSeqAck = commandSeq);
IF gateway.commandResult < {int(CommandResult.DONE)} THEN recipeAnswered := FALSE; END_IF;
IF execute AND NOT executeWas AND NOT recipeBusy THEN
  recipeBusy := TRUE; recipeSent := FALSE; recipeDone := FALSE; recipeFailed := FALSE; recipeCode := 0;
ELSIF recipeBusy AND linkOk AND NOT recipeSent THEN
  recipeSent := TRUE;
  commandWord := {int(CommandCode.ACTIVATE_RECIPE)};
  paramWord := recipe;
  IF commandSeq = 0 THEN commandSeq := gateway.commandSeqAck; END_IF;
  IF commandSeq >= 65535 THEN commandSeq := 1; ELSE commandSeq := commandSeq + 1; END_IF;
ELSIF recipeBusy AND recipeAnswered THEN
  recipeBusy := FALSE;
  recipeDone := (gateway.commandResult = {int(CommandResult.DONE)});
  recipeFailed := NOT recipeDone;
  recipeBoot := gateway.bootId;
  IF recipeFailed THEN recipeCode := gateway.commandResult; END_IF;
ELSIF recipeBusy AND recipeTimer.Q THEN
  recipeBusy := FALSE; recipeFailed := TRUE; recipeCode := {int(Code.COMMAND_TIMEOUT)};
END_IF;
executeWas := execute;
IF (gateway.bootId <> recipeBoot) AND (gateway.recipeActive <> paramWord) THEN recipeDone := FALSE; END_IF;
{_FITS}
""".splitlines()

_OUTPUTS = f"""\
IF asked AND (state = {RUNNING}) AND exposureBit AND linkOk THEN exposureDone := TRUE; END_IF;
IF take THEN exposureDone := TRUE; END_IF;
busy := asked;
ready := readyBit AND linkOk AND recipeFits AND enable AND NOT asked;
""".splitlines()


def _tell(dialect: Dialect) -> Iterator[str]:
    bits = (
        (Control.ENABLE, "enable"),
        (Control.TRIGGER, "triggerBit"),
        (Control.RESULT_ACK, "resultAckBit"),
        (Control.CLEAR_FAULT, "clear"),
        (Control.ABORT, "abort"),
    )
    yield from dialect.put_bits(word_of("CONTROL", Block.COMMAND), ((_number(bit), name) for bit, name in bits))
    for field, kind, source in (
        ("TRIGGER_SEQ", Type.UINT, "triggerSeq"),
        ("RESULT_ACK_SEQ", Type.UINT, "resultAckSeq"),
        ("PLC_HEARTBEAT", Type.UINT, "beat"),
        ("COMMAND", Type.UINT, "commandWord"),
        ("COMMAND_PARAM", Type.UINT, "paramWord"),
        ("COMMAND_SEQ", Type.UINT, "commandSeq"),
        ("PART_ID", Type.UDINT, "sentPart"),
    ):
        yield from dialect.put(word_of(field, Block.COMMAND), kind, source)


def _number(bit: Control | ResultBit) -> int:
    return bit.bit_length() - 1
