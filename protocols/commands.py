"""The command channel (Execute / COMMAND_SEQ) of the gateway's side: pure."""

from __future__ import annotations

from protocols.faults import Code
from protocols.signals import CommandResult


class CommandChannel:
    """One command at a time: running, then done or failed with a code; late answers are dropped by their token."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.seq_ack = 0
        self.result: int = CommandResult.NONE
        self.token = 0
        self.what = (0, 0)
        """COMMAND and COMMAND_PARAM of the running command, or of the last one."""
        self.seen = 0
        """The last COMMAND_SEQ served, or found standing at the first sight."""
        self._by_bit = False
        self._until = 0.0

    @property
    def executing(self) -> bool:
        return self.result == CommandResult.RUNNING

    @property
    def done(self) -> bool:
        return self.result == CommandResult.DONE

    @property
    def failed(self) -> bool:
        return self.result > CommandResult.DONE

    def due(self, command_seq: int) -> bool:
        """True once for a number not served yet, as soon as the command before it has ended."""
        if self.executing or command_seq == self.seen:
            return False
        self.seen = command_seq
        return command_seq != 0

    def begin(self, seq: int | None, what: tuple[int, int], now: float) -> int:
        """Start a command, by COMMAND_SEQ or (None) by the Execute bit; returns its token."""
        self.token += 1
        self.what = what
        self._by_bit = seq is None
        if seq is not None:
            self.seq_ack = seq
        self.result = CommandResult.RUNNING
        self._until = now + self.timeout
        return self.token

    def finish(self, token: int, code: Code) -> bool:
        """End the command with NONE (done) or the code it failed with; False for an answer that came too late."""
        if token != self.token or not self.executing:
            return False
        self.result = CommandResult.DONE if code is Code.NONE else int(code)
        return True

    def execute_fell(self) -> None:
        """Execute 1→0 after the answer: the answer's bits go with it (four-phase)."""
        if self._by_bit and not self.executing:
            self.result = CommandResult.NONE

    def expire(self, now: float) -> bool:
        """True once when the running command has just run out of time."""
        if self.executing and now >= self._until:
            return self.finish(self.token, Code.COMMAND_TIMEOUT)
        return False

    def deadline(self) -> float | None:
        return self._until if self.executing else None
