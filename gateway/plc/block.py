"""FB_VisionStation: its variables and its text, one for all languages; the chart in its middle is the tables'."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from gateway.plc import chart
from gateway.plc.dialect import Dialect, get_member
from gateway.plc.names import RESULT_TYPE, STATUS_TYPE, members, word_of
from gateway.settings import CycleConfig
from protocols.faults import Code
from protocols.handshake import PlcState, Style
from protocols.modbus.registers import COMMAND_WORDS, OUTPUT_WORDS, Block, Type
from protocols.plc_role import ACK_STANDS
from protocols.signals import CommandCode, CommandResult, Control, Judgement, ResultBit, StatusBit

NAME = "FB_VisionStation"


class Section(Enum):
    """Where a variable of the block stands."""

    INPUT = "VAR_INPUT"
    OUTPUT = "VAR_OUTPUT"
    IN_OUT = "VAR_IN_OUT"
    LOCAL = "VAR"


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the block; `type` as in IEC 61131-3, TIME defaults in milliseconds."""

    section: Section
    name: str
    type: str
    meaning: str = ""
    default: int | None = None
    length: int = 0
    """Elements of an array; 0 for a single value."""


@dataclass(frozen=True, slots=True)
class Times:
    """The block's times in milliseconds, from the station's configuration."""

    request: int = 2000
    beat: int = 200
    gateway: int = 600
    recipe: int = 35_000

    @classmethod
    def of(cls, cycle: CycleConfig) -> Times:
        """Long enough for what the gateway promises: its deadline, three of its beats, its command time-out."""
        return cls(
            request=max(2000, round(2 * cycle.deadline_ms) + 1000),
            beat=max(10, min(200, round(cycle.plc_heartbeat_timeout_ms / 5))),
            gateway=round(3 * cycle.heartbeat_ms),
            recipe=round(cycle.command_timeout_s * 1000) + 5000,
        )


def variables(times: Times) -> tuple[Variable, ...]:
    """All variables of the block, section by section."""
    i, o, io, v = Section.INPUT, Section.OUTPUT, Section.IN_OUT, Section.LOCAL
    return (
        Variable(i, "enable", "BOOL", "the station shall inspect"),
        Variable(i, "trigger", "BOOL", "0-1 asks for one inspection of part"),
        Variable(i, "part", "UDINT", "number of the part; give every part its own"),
        Variable(i, "ack", "BOOL", "the program has taken the outcome: done and the verdict go off"),
        Variable(i, "clear", "BOOL", "0-1 clears the gateway's FAULT_CODE"),
        Variable(i, "abort", "BOOL", "0-1 ends the running inspection as fault"),
        Variable(i, "recipe", "UINT", "recipe number"),
        Variable(i, "execute", "BOOL", "0-1 activates recipe"),
        Variable(i, "useBits", "BOOL", "FALSE: sequence style; TRUE: bit style (Trigger, ResultAck)"),
        Variable(i, "exchanged", "BOOL", "TRUE in a scan with newly read status words; leave TRUE if unknown", 1),
        Variable(i, "timeout", "TIME", "from trigger to done at the latest", times.request),
        Variable(i, "beatTime", "TIME", "period of our heartbeat", times.beat),
        Variable(i, "gatewayTimeout", "TIME", "without a beat for so long the gateway is dead", times.gateway),
        Variable(i, "recipeTimeout", "TIME", "for a recipe change", times.recipe),
        Variable(o, "ready", "BOOL", "a trigger now is carried out at once"),
        Variable(o, "busy", "BOOL", "a request is running"),
        Variable(o, "done", "BOOL", "the outcome of part is here; TRUE until ack or the next trigger"),
        Variable(o, "ok", "BOOL", "part is good; nothing else means good"),
        Variable(o, "ng", "BOOL", "part is not good"),
        Variable(o, "recheck", "BOOL", "cannot tell"),
        Variable(o, "fault", "BOOL", "could not look, or no answer"),
        Variable(o, "code", "UINT", "reason of the verdict (rule or fault code); 0 = none"),
        Variable(o, "exposureDone", "BOOL", "the picture is taken, the part may move"),
        Variable(o, "simulated", "BOOL", "the verdict is of a simulated camera"),
        Variable(o, "missed", "BOOL", "trigger rose while busy; TRUE until clear"),
        Variable(o, "linkOk", "BOOL", "the gateway's heartbeat moves"),
        Variable(o, "recipeBusy", "BOOL", "the recipe is being changed"),
        Variable(o, "recipeDone", "BOOL", "it was changed"),
        Variable(o, "recipeFailed", "BOOL", "it was not, see recipeCode"),
        Variable(o, "recipeCode", "UINT", "fault code; 0 = none"),
        Variable(o, "gateway", STATUS_TYPE, "the status words, decoded"),
        Variable(o, "result", RESULT_TYPE, "the result of part, decoded"),
        Variable(io, "command", "WORD", "copy of the command block, to be written to the gateway", None, COMMAND_WORDS),
        Variable(io, "status", "WORD", "copy of the status block, as read from the gateway", None, OUTPUT_WORDS),
        Variable(v, "ackTime", "TIME", "an acknowledged result shown for longer is acknowledged anew", ACK_MS),
        *(Variable(v, name, kind) for name, kind in _LOCALS.items()),
    )


ACK_MS = round(ACK_STANDS * 1000)
_LOCALS = {
    **dict.fromkeys(("beatTimer", "aliveTimer", "ackTimer", "requestTimer", "recipeTimer"), "TON"),
    "state": "INT",
    **dict.fromkeys(("bits", "asked", "overdue", "own", "usable", "refused", "take"), "BOOL"),
    **dict.fromkeys(("readyBit", "triggerAckBit", "exposureBit", "validBit", "triggerBit", "resultAckBit"), "BOOL"),
    **dict.fromkeys(("triggerWas", "executeWas", "recipeSent", "recipeAnswered", "looked", "moved"), "BOOL"),
    **dict.fromkeys(("shownSeq", "shownCopy", "shownTrigger", "seenResult", "missedBefore", "failCode"), "UINT"),
    **dict.fromkeys(("triggerSeq", "resultAckSeq", "commandSeq", "beat", "lastBeat", "lastBoot"), "UINT"),
    **dict.fromkeys(("commandWord", "paramWord"), "UINT"),
    **dict.fromkeys(("askedPart", "sentPart", "shownPart"), "UDINT"),
}


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


_TIMERS = """\
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
requestTimer(IN := asked, PT := timeout);
recipeTimer(IN := recipeBusy, PT := recipeTimeout);
ackTimer(IN := validBit AND (shownSeq = resultAckSeq), PT := ackTime);
""".splitlines()

_REQUEST = f"""\
IF ack AND done THEN
  done := FALSE; ok := FALSE; ng := FALSE; recheck := FALSE; fault := FALSE; simulated := FALSE; code := 0;
END_IF;
IF NOT asked AND (state = {chart.NUMBER[PlcState.IDLE]}) AND NOT resultAckBit AND NOT validBit THEN
  bits := useBits;
END_IF;
IF clear THEN missed := FALSE; END_IF;
IF trigger AND NOT triggerWas THEN
  IF asked THEN
    missed := TRUE;
  ELSE
    asked := TRUE;
    askedPart := part;
    state := {chart.NUMBER[PlcState.IDLE]};
    done := FALSE; ok := FALSE; ng := FALSE; recheck := FALSE; fault := FALSE; simulated := FALSE; code := 0;
    result.judgement := {int(Judgement.NONE)};
  END_IF;
END_IF;
triggerWas := trigger;
""".splitlines()


def _chart() -> Iterator[str]:
    yield "overdue := asked AND requestTimer.Q;"
    yield "usable := validBit AND linkOk AND (shownSeq = shownCopy) AND (shownSeq <> 0);"
    yield "own := asked AND (shownPart = askedPart);"
    yield "IF bits THEN own := own AND (shownSeq <> seenResult); END_IF;"
    yield "IF NOT bits THEN own := own AND (shownTrigger = triggerSeq); END_IF;"
    yield "refused := (gateway.triggerSeqAck = triggerSeq) AND (gateway.triggerRefused <> 0);"
    yield f"IF gateway.triggerRefused = {int(Code.REPEATED_SEQ)} THEN refused := FALSE; END_IF;"
    yield "take := FALSE;"
    yield "failCode := 0;"
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


_VERDICT = f"""\
  ok := (result.judgement = {int(Judgement.OK)});
  ng := (result.judgement = {int(Judgement.NG)});
  recheck := (result.judgement = {int(Judgement.RECHECK)});
  fault := NOT (ok OR ng OR recheck);
  code := result.reason;
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
  state := {chart.NUMBER[PlcState.IDLE]};
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
  IF recipeFailed THEN recipeCode := gateway.commandResult; END_IF;
ELSIF recipeBusy AND recipeTimer.Q THEN
  recipeBusy := FALSE; recipeFailed := TRUE; recipeCode := {int(Code.COMMAND_TIMEOUT)};
END_IF;
executeWas := execute;
""".splitlines()

_OUTPUTS = """\
busy := asked;
ready := readyBit AND linkOk AND enable AND NOT asked;
exposureDone := exposureBit AND linkOk;
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
