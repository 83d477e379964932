"""The variables of FB_VisionStation: inputs, outputs, what it keeps, and its times."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.plc.names import RESULT_TYPE, STATUS_TYPE
from gateway.settings import CycleConfig
from protocols.modbus.registers import COMMAND_WORDS, OUTPUT_WORDS
from protocols.plc_role import ACK_STANDS

ACK_MS = round(ACK_STANDS * 1000)
READY_MS = 200
SIMULATED = 9001
"""The one code that is the block's own: a verdict on a simulated picture, which allowSimulated does not allow."""


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
        Variable(i, "abort", "BOOL", "ends the running inspection as fault; drops a trigger that still waits"),
        Variable(i, "recipe", "UINT", "recipe number"),
        Variable(i, "execute", "BOOL", "0-1 activates recipe"),
        Variable(i, "useBits", "BOOL", "FALSE: sequence style; TRUE: bit style (Trigger, ResultAck)"),
        Variable(i, "exchanged", "BOOL", "TRUE in a scan with newly read status words; leave TRUE if unknown", 1),
        Variable(i, "allowSimulated", "BOOL", "FALSE: a verdict on a simulated picture is a fault"),
        Variable(
            i, "readyTimeout", "TIME", "a trigger waits so long for ready, and for two reads; then fault", READY_MS
        ),
        Variable(i, "timeout", "TIME", "from trigger to done at the latest", times.request),
        Variable(i, "beatTime", "TIME", "period of our heartbeat", times.beat),
        Variable(i, "gatewayTimeout", "TIME", "without a beat for so long the gateway is dead", times.gateway),
        Variable(i, "recipeTimeout", "TIME", "for a recipe change", times.recipe),
        Variable(o, "ready", "BOOL", "a trigger now is carried out at once, by the recipe commanded last"),
        Variable(o, "busy", "BOOL", "a request is running"),
        Variable(o, "done", "BOOL", "the outcome of part is here; TRUE until ack or the next trigger"),
        Variable(o, "ok", "BOOL", "part is good; nothing else means good"),
        Variable(o, "ng", "BOOL", "part is not good"),
        Variable(o, "recheck", "BOOL", "cannot tell"),
        Variable(o, "fault", "BOOL", "could not look, or no answer"),
        Variable(o, "code", "UINT", f"reason of the verdict (rule or fault code; {SIMULATED}: simulated); 0 = none"),
        Variable(o, "exposureDone", "BOOL", "the picture of part is taken, it may move; until the next trigger"),
        Variable(o, "simulated", "BOOL", "the verdict is of a simulated camera"),
        Variable(o, "missed", "BOOL", "trigger rose while busy; TRUE until clear"),
        Variable(o, "linkOk", "BOOL", "the gateway's heartbeat moves"),
        Variable(o, "recipeBusy", "BOOL", "the recipe is being changed"),
        Variable(o, "recipeDone", "BOOL", "it was changed; falls when the gateway starts anew with another one"),
        Variable(o, "recipeFailed", "BOOL", "it was not, see recipeCode"),
        Variable(o, "recipeCode", "UINT", "fault code; 0 = none"),
        Variable(o, "gateway", STATUS_TYPE, "the status words, decoded"),
        Variable(o, "result", RESULT_TYPE, "the result of part, decoded"),
        Variable(io, "command", "WORD", "copy of the command block, to be written to the gateway", None, COMMAND_WORDS),
        Variable(io, "status", "WORD", "copy of the status block, as read from the gateway", None, OUTPUT_WORDS),
        Variable(v, "ackTime", "TIME", "an acknowledged result shown for longer is acknowledged anew", ACK_MS),
        *(Variable(v, name, kind) for name, kind in _LOCALS.items()),
    )


_LOCALS = {
    **dict.fromkeys(("beatTimer", "aliveTimer", "ackTimer", "requestTimer", "readyTimer", "recipeTimer"), "TON"),
    "state": "INT",
    **dict.fromkeys(("bits", "asked", "fires", "overdue", "own", "usable", "refused", "take"), "BOOL"),
    **dict.fromkeys(("bound", "recipeFits"), "BOOL"),
    **dict.fromkeys(("readyBit", "triggerAckBit", "exposureBit", "validBit", "triggerBit", "resultAckBit"), "BOOL"),
    **dict.fromkeys(("triggerWas", "edge", "executeWas", "recipeSent", "recipeAnswered", "looked", "moved"), "BOOL"),
    **dict.fromkeys(("shownSeq", "shownCopy", "shownTrigger", "seenResult", "missedBefore", "failCode"), "UINT"),
    **dict.fromkeys(("triggerSeq", "resultAckSeq", "commandSeq", "beat", "lastBeat", "lastBoot"), "UINT"),
    **dict.fromkeys(("commandWord", "paramWord", "askedRecipe", "recipeBoot", "reads"), "UINT"),
    **dict.fromkeys(("askedPart", "sentPart", "shownPart"), "UDINT"),
}
