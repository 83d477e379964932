"""The gateway's side of the trigger cycle where several drive in turn: each has a dialogue of its own. Pure.

A result goes to the one who asked for it and to nobody else: what the link has not taken yet waits for it, and what
another asked for who has left meanwhile is recorded, and shown to nobody.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from typing_extensions import override

from protocols import handshake as hs
from protocols.commands import CommandChannel
from protocols.faults import Code
from protocols.handshake import CycleSettings, Style, TriggerPhase
from protocols.heartbeat import HeartbeatMonitor
from protocols.results import ResultQueue
from protocols.seats import Absence
from protocols.signals import Command, Result, StatusBit
from protocols.station_view import Seat
from protocols.vision_role import VisionRole

_DIALOGUE = (
    "settings", "results", "commands", "monitor", "newest_result_seq", "missed", "_last", "_unseen", "_enabled",
    "_before", "_baseline_code", "_trigger_phase", "_trigger_seq_ack", "_trigger_refused", "_missed_bit", "_overrun",
    "_exposure_done", "_settled", "_settling", "_forgotten", "_zeros",
)  # fmt: skip
"""What VisionRole remembers of the one it talks with; all else it remembers is the station's."""

_Dialogue = dict[str, Any]
_LINK = 0


class SharedRole(VisionRole):
    """A VisionRole that can be handed over; without a handover it is one in every respect."""

    def __init__(self, settings: CycleSettings, *, boot_id: int = 1) -> None:
        super().__init__(settings, boot_id=boot_id)
        self._own_settings = settings
        self._tenure = self._tenures = _LINK
        """Counts those who took the station from the link; 0 is the link itself."""
        self._away: _Dialogue = {}
        """The link's dialogue while another drives."""
        self._returns = False
        """The next command is the link's first after another drove."""
        self._askers: dict[int, int] = {}
        """Whose open cycles they are, by tenure."""

    def handover(self, seat: Seat, absence: Absence | None, now: float) -> list[hs.Action]:
        """Another one drives from now on: its next command is a baseline. No command may be executing."""
        if seat is Seat.LINK:
            self._tenure = _LINK
            self._load(self._away)
            self.results.shown_at = now  # nobody could take it meanwhile
            if absence is not None:
                self._was_absent(absence)
        else:
            if self._tenure == _LINK:
                self._away = self._save()
            self._tenures += 1
            self._tenure = self._tenures
            self._load(self._new_dialogue())
        self._returns = seat is Seat.LINK
        self._before = None
        self._baseline_code = Code.DRIVEN_BY_OTHER
        self.monitor.reset(now)
        actions: list[hs.Action] = []
        self._watch(now, actions)
        return actions

    @override
    def command(self, command: Command, now: float) -> list[hs.Action]:
        actions = super().command(command, now)
        self._returns = False
        return actions

    @override
    def _forget(self, now: float, actions: list[hs.Action]) -> None:
        if not self._returns:  # a block that stands at zero has stood so all the time: no PLC has started anew
            super()._forget(now, actions)

    @override
    def finish(self, cycle: int, result: Result, now: float) -> list[hs.Action]:
        asker = self._askers.pop(cycle, self._tenure)
        if asker == self._tenure:
            return super().finish(cycle, result, now)
        present = self._save()
        self._load(self._away if asker == _LINK else self._new_dialogue())
        try:
            return super().finish(cycle, result, now)
        finally:
            if asker == _LINK:
                self._away = self._save()
            self._load(present)

    @override
    def _take(self, seq: int, style: Style | None, c: Command, now: float, actions: list[hs.Action]) -> bool:
        accepted = super()._take(seq, style, c, now, actions)
        if accepted:
            self._askers[self._cycle] = self._tenure
        return accepted

    def _save(self) -> _Dialogue:
        return {name: getattr(self, name) for name in _DIALOGUE}

    def _load(self, dialogue: _Dialogue) -> None:
        token = self.commands.token  # an answer that comes too late must not be taken for that to another's command
        for name, value in dialogue.items():
            setattr(self, name, value)
        self.commands.token = max(token, self.commands.token)

    def _new_dialogue(self) -> _Dialogue:
        """Of one who took the station: a carrier is watched by its process, and writes its command at once."""
        settings = replace(self._own_settings, settle=0.0, plc_heartbeat_required=False)
        return {
            "settings": settings,
            "results": ResultQueue(settings),
            "commands": CommandChannel(settings.command_timeout),
            "monitor": HeartbeatMonitor(settings.plc_heartbeat_timeout),
            "newest_result_seq": 0,
            "missed": 0,
            "_last": None,
            "_unseen": False,
            "_enabled": settings.always_enabled,
            "_before": None,
            "_baseline_code": Code.DRIVEN_BY_OTHER,
            "_trigger_phase": TriggerPhase.IDLE,
            "_trigger_seq_ack": 0,
            "_trigger_refused": Code.NONE,
            "_missed_bit": False,
            "_overrun": False,
            "_exposure_done": False,
            "_settled": 0.0,
            "_settling": False,
            "_forgotten": False,
            "_zeros": False,
        }

    def _was_absent(self, absence: Absence) -> None:
        """The link goes on where it was, and what was refused meanwhile stays refused."""
        self._trigger_seq_ack = absence.trigger_seq_ack
        self._trigger_refused = Code(absence.trigger_refused)
        self.missed = absence.missed
        self._missed_bit = bool(absence.bits & StatusBit.MISSED_TRIGGER)
        self.commands.seq_ack = absence.command_seq_ack
        self.commands.result = absence.command_result
