"""The StatusCode of what a station shows, by one table. Pure. Codes and meanings: OPC 10000-4 §7.39, OPC 10000-8 §6.4.

A value is Good only while it is what its name says. A Bad status takes the value away; Uncertain leaves it readable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from protocols.faults import CATALOGUE, Code, FaultClass
from protocols.opcua.plain_map import Part
from protocols.signals import Judgement, Outputs, ResultBit, StatusBit

_VALID, _SIMULATED, _RESULT_SIMULATED = int(StatusBit.RESULT_VALID), int(StatusBit.SIMULATED), int(ResultBit.SIMULATED)


class Quality(IntEnum):
    """The StatusCodes in use, by their numbers."""

    GOOD = 0x0000_0000
    UNCERTAIN_LAST_USABLE_VALUE = 0x4090_0000
    UNCERTAIN_SIMULATED_VALUE = 0x4209_0000
    BAD_NO_COMMUNICATION = 0x8031_0000
    BAD_WAITING_FOR_INITIAL_DATA = 0x8032_0000
    BAD_DEVICE_FAILURE = 0x808B_0000
    BAD_SENSOR_FAILURE = 0x808C_0000
    BAD_OUT_OF_SERVICE = 0x808D_0000
    BAD_NO_DATA = 0x809B_0000

    @property
    def bad(self) -> bool:
        return self >= 0x8000_0000

    @property
    def text(self) -> str:
        """As OPC UA writes it: BadNoData."""
        return self.name.title().replace("_", "")


Q = Quality


@dataclass(frozen=True, slots=True)
class Qualities:
    """One StatusCode for each part of what is shown."""

    status: Quality
    outcome: Quality
    measured: Quality

    def of(self, part: Part) -> Quality:
        """That of one part; Command is the PLC's own and always Good."""
        match part:
            case Part.COMMAND:
                return Q.GOOD
            case Part.STATUS:
                return self.status
            case Part.OUTCOME:
                return self.outcome
            case Part.MEASURED:
                return self.measured


@dataclass(frozen=True, slots=True)
class Rule:
    """Where it holds, this StatusCode; `when` is for the documentation."""

    holds: Callable[[Outputs], bool]
    quality: Quality
    when: str


NEVER_SHOWN = Qualities(Q.BAD_WAITING_FOR_INITIAL_DATA, Q.BAD_WAITING_FOR_INITIAL_DATA, Q.BAD_WAITING_FOR_INITIAL_DATA)
"""Before the station has told anything."""
CUT_OFF = Qualities(Q.BAD_NO_COMMUNICATION, Q.BAD_NO_COMMUNICATION, Q.BAD_NO_COMMUNICATION)
"""The station can no longer be seen from here."""


def _reason(outputs: Outputs) -> Code | None:
    code = outputs.status.not_ready_reason
    return Code(code) if code in CATALOGUE else None


def _fault(outputs: Outputs, *thousands: int) -> bool:
    """Ready is low for a fault of one of these ranges of the catalogue; to start and to stop is none."""
    code = _reason(outputs)
    if code is None or code in (Code.STARTING, Code.STOPPING):
        return False
    return CATALOGUE[code].cls is FaultClass.FAULT and code // 1000 in thousands


def _camera(outputs: Outputs) -> bool:
    return _fault(outputs, 1)


def _ours(outputs: Outputs) -> bool:
    """On our side of the wire: camera, model, store, system, configuration; not PLC and equipment."""
    return _fault(outputs, 1, 2, 4, 5, 7)


def _valid(outputs: Outputs) -> bool:
    return bool(outputs.status.bits & _VALID) and outputs.result.result_seq != 0


def _simulated(outputs: Outputs) -> bool:
    return bool(outputs.status.bits & _SIMULATED or outputs.result.bits & _RESULT_SIMULATED)


def _unseen(outputs: Outputs) -> bool:
    return outputs.result.judgement == Judgement.FAULT


RULES: tuple[Rule, ...] = (
    Rule(
        lambda o: _valid(o) and _ours(o),
        Q.UNCERTAIN_LAST_USABLE_VALUE,
        "RESULT_VALID, but a fault of ours keeps Ready low (NOT_READY_REASON 1xxx, 2xxx, 4xxx, 5xxx, 7xxx)",
    ),
    Rule(lambda o: _valid(o) and _simulated(o), Q.UNCERTAIN_SIMULATED_VALUE, "RESULT_VALID, from a simulated camera"),
    Rule(_valid, Q.GOOD, "RESULT_VALID"),
    Rule(
        lambda o: _reason(o) in (Code.OFFLINE, Code.STOPPING),
        Q.BAD_OUT_OF_SERVICE,
        "no valid result; the station was taken offline (3012) or stops (5005)",
    ),
    Rule(_camera, Q.BAD_SENSOR_FAILURE, "no valid result; a fault of the camera (1xxx) keeps Ready low"),
    Rule(_ours, Q.BAD_DEVICE_FAILURE, "no valid result; another fault of ours keeps Ready low"),
    Rule(
        lambda o: o.result.result_seq == 0,
        Q.BAD_WAITING_FOR_INITIAL_DATA,
        "no result yet (RESULT_SEQ would be 0)",
    ),
    Rule(
        lambda o: True,
        Q.UNCERTAIN_LAST_USABLE_VALUE,
        "no valid result; the block holds the last one: taken already, or not yet valid",
    ),
)
"""Of the result: the first that holds. Status is Good as long as the station is seen."""

MEASURED_RULES: tuple[Rule, ...] = (
    Rule(lambda o: _unseen(o) and o.result.reason // 1000 == 1, Q.BAD_SENSOR_FAILURE, "JUDGEMENT 4 with REASON 1xxx"),
    Rule(_unseen, Q.BAD_DEVICE_FAILURE, "JUDGEMENT 4 with another REASON"),
)
"""Of what was seen in the picture, before the rules of the result: a FAULT has seen nothing."""


def qualities(outputs: Outputs | None, *, stale: bool = False) -> Qualities:
    """The StatusCodes of these outputs; None: nothing was published yet. `stale`: the station cannot be seen."""
    if stale:
        return CUT_OFF
    if outputs is None:
        return NEVER_SHOWN
    outcome = next(rule.quality for rule in RULES if rule.holds(outputs))
    if outcome.bad:
        return Qualities(Q.GOOD, outcome, outcome)
    measured = next((rule.quality for rule in MEASURED_RULES if rule.holds(outputs)), outcome)
    return Qualities(Q.GOOD, outcome, measured)
