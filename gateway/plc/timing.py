"""One request as a timing diagram: both roles play it from their tables, and what they show is recorded. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from protocols.handshake import Accepted, CycleSettings, PlcMove, Style
from protocols.plc_role import PlcRole
from protocols.signals import Command, Control, Judgement, Outputs, Result, StatusBit
from protocols.vision_role import VisionRole

SCAN = 0.01
"""Seconds between two steps of the picture."""
EXPOSED_AFTER, JUDGED_AFTER = 2, 5
_LIMIT = 60
_PART = 7


@dataclass(frozen=True, slots=True)
class Signal:
    """One lane: who writes it, and its value at every step."""

    name: str
    writer: str
    levels: tuple[int, ...]
    number: bool
    """A number to be written into the lane, not a level."""


@dataclass(frozen=True, slots=True)
class Step:
    """One move of the PLC: at which step, and the row of its table."""

    at: int
    move: PlcMove


@dataclass(frozen=True, slots=True)
class Recording:
    """A request from rest to rest."""

    style: Style
    signals: tuple[Signal, ...]
    steps: tuple[Step, ...]


class _Plc(PlcRole):
    """The PLC's side, with its moves noted."""

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self.moves: list[PlcMove] = []

    def _act(self, move: PlcMove, outputs: Outputs) -> None:
        self.moves.append(move)
        super()._act(move, outputs)


Look = Callable[[Command, Outputs], int]


def _control(bit: Control) -> Look:
    return lambda command, shown: int(bool(command.control & bit))


def _status(bit: StatusBit) -> Look:
    return lambda command, shown: int(bool(shown.status.bits & bit))


_PLC: dict[Style, dict[str, Look]] = {
    Style.SEQUENCE: {
        "TRIGGER_SEQ": lambda command, shown: command.trigger_seq,
        "RESULT_ACK_SEQ": lambda command, shown: command.result_ack_seq,
    },
    Style.BITS: {"TRIGGER": _control(Control.TRIGGER), "RESULT_ACK": _control(Control.RESULT_ACK)},
}
_GATEWAY: dict[Style, dict[str, Look]] = {
    Style.SEQUENCE: {
        "READY": _status(StatusBit.READY),
        "TRIGGER_SEQ_ACK": lambda command, shown: shown.status.trigger_seq_ack,
        "BUSY": _status(StatusBit.BUSY),
        "EXPOSURE_DONE": _status(StatusBit.EXPOSURE_DONE),
        "RESULT_VALID": _status(StatusBit.RESULT_VALID),
        "RESULT_SEQ": lambda command, shown: shown.result.result_seq,
    },
    Style.BITS: {
        "READY": _status(StatusBit.READY),
        "TRIGGER_ACK": _status(StatusBit.TRIGGER_ACK),
        "BUSY": _status(StatusBit.BUSY),
        "EXPOSURE_DONE": _status(StatusBit.EXPOSURE_DONE),
        "RESULT_VALID": _status(StatusBit.RESULT_VALID),
        "RESULT_SEQ": lambda command, shown: shown.result.result_seq,
    },
}


def record(style: Style) -> Recording:
    """The second of two requests, so that the numbers are not zero."""
    play = _Play(style)
    play.request(_PART - 1)
    play.rest()
    first = len(play.frames) - 1
    play.request(_PART)
    play.rest()
    frames = play.frames[first:]
    lanes = (*((look, "PLC") for look in _PLC[style].items()), *((look, "gateway") for look in _GATEWAY[style].items()))
    signals = tuple(
        Signal(name, writer, tuple(look(*frame) for frame in frames), name.endswith(("SEQ", "SEQ_ACK")))
        for (name, look), writer in lanes
    )
    steps = tuple(Step(at - first, move) for at, move in play.moves if at >= first)
    return Recording(style, signals, steps)


class _Play:
    """Both roles, joined directly; the worker answers after a fixed number of steps."""

    def __init__(self, style: Style) -> None:
        self.now = 0.0
        self.gateway = VisionRole(CycleSettings(min_trigger_interval=0.0))
        self.plc = _Plc(style)
        self.running: list[tuple[int, Accepted]] = []
        self.frames: list[tuple[Command, Outputs]] = []
        self.moves: list[tuple[int, PlcMove]] = []
        self._sent = Command()
        self.rest()

    def rest(self) -> None:
        """A few steps in which nothing is asked for."""
        for _ in range(3):
            self.scan()

    def request(self, part: int) -> None:
        """One request, until both sides are at rest."""
        self.plc.request(part, self.now)
        for _ in range(_LIMIT):
            self.scan()
            shown = self.frames[-1][1].status.bits & StatusBit.RESULT_VALID
            if not self.plc.busy and not shown and not self.running:
                return
        raise AssertionError("the tables of both sides do not bring a request to its end")

    def scan(self) -> None:
        """One step: the PLC reads what stood there and moves; the gateway takes what the PLC wrote a step before."""
        self.now += SCAN
        self.gateway.beat()
        before = len(self.plc.moves)
        command = self.plc.scan(self.gateway.outputs(self.now), self.now)
        self.moves += ((len(self.frames), move) for move in self.plc.moves[before:])
        actions = self.gateway.command(self._sent, self.now)
        self._sent = command
        self._work()
        self.running += ((0, action) for action in actions if isinstance(action, Accepted))
        self.frames.append((command, self.gateway.outputs(self.now)))

    def _work(self) -> None:
        self.running = [(age + 1, request) for age, request in self.running]
        for age, request in tuple(self.running):
            if age == EXPOSED_AFTER:
                self.gateway.exposed(request.cycle)
            elif age == JUDGED_AFTER:
                self.running.remove((age, request))
                result_seq = self.gateway.reserve_seq()
                result = Result(result_seq, request.trigger_seq, request.part_id, Judgement.OK, bits=1)
                self.gateway.finish(request.cycle, result, self.now)
