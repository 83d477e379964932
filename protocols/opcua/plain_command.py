"""Writes of OPC UA clients to Command: what a value may be, who may write, and the command that follows. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from protocols.modbus.registers import CONTROL_BITS
from protocols.opcua.plain_map import COMMAND, DataType
from protocols.signals import SERIAL_BYTES, UINT_MAX, Command, Control
from protocols.station_view import Seat

WRITER_SILENCE = 5.0
"""Seconds without a write, after which Command may pass to another session."""

_CONTROL = f"{COMMAND}.CONTROL"
_BITS = {f"{_CONTROL}.{bit.name}": 1 << bit.number for bit in CONTROL_BITS}
_SERIAL, _USER = f"{COMMAND}.SERIAL", f"{COMMAND}.USER_"
_ASKS = int(Control.TRIGGER | Control.EXECUTE | Control.ABORT)
"""Bits whose edge asks the station to do something, which only who drives it may."""


def fits(kind: DataType, value: object) -> bool:
    """Whether a value of the right OPC UA type can stand in the words of the contract.

    Numbers fit by their type. Text is ASCII without control characters, as long as SERIAL: what cannot be told apart
    from another text on other carriers is refused, not bent.
    """
    if kind is not DataType.STRING:
        return True
    if not isinstance(value, str) or len(value) > SERIAL_BYTES:
        return False
    return value.isascii() and (value == "" or value.isprintable())


def written(command: Command, writes: Iterable[tuple[str, object]]) -> Command:
    """The command after these writes (path, value) of one request, in their order: the last one of a place counts."""
    control, user, fields = command.control, list(command.user), dict[str, object]()
    for path, value in writes:
        if path == _CONTROL:
            control = _int(value)
        elif path in _BITS:
            control = control | _BITS[path] if value else control & ~_BITS[path]
        elif path.startswith(_USER):
            user[int(path.removeprefix(_USER))] = _int(value)
        elif path == _SERIAL:
            fields["serial"] = str(value).rstrip(" ")
        else:
            fields[path.removeprefix(f"{COMMAND}.").lower()] = _int(value)
    return replace(command, control=control & UINT_MAX, user=tuple(user), **fields)  # type: ignore[arg-type]


def command_values(command: Command) -> Iterable[tuple[str, bool | int | str]]:
    """Path and value of all below Command."""
    yield _CONTROL, command.control
    for path, mask in _BITS.items():
        yield path, bool(command.control & mask)
    for name in _NUMBERS:
        yield f"{COMMAND}.{name.upper()}", getattr(command, name)
    for number, word in enumerate(command.user):
        yield f"{_USER}{number}", word
    yield _SERIAL, command.serial


_NUMBERS = (
    "trigger_seq",
    "result_ack_seq",
    "plc_heartbeat",
    "command",
    "command_param",
    "command_seq",
    "part_id",
)


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return int(value)


def asks(before: Command, after: Command) -> bool:
    """Whether the step from one command to the next asks for work: a trigger, a command, an abort."""
    return (
        bool(after.control & ~before.control & _ASKS)
        or after.trigger_seq not in (0, before.trigger_seq)
        or after.command_seq not in (0, before.command_seq)
    )


def not_driving(driver: Seat | None, seat: Seat) -> bool:
    """Another one is known to drive the station."""
    return driver is not None and driver is not seat


class Holder:
    """The session that holds Command: the first to write, until it ends or gives way.

    A session that enabled the station holds it as long as it lives. One that did not gives way to any other after
    `silence` seconds without a write, and one of the same user does so even if it enabled the station: a PLC that
    comes back in a new session must not wait for the end of its old one.
    """

    def __init__(self, silence: float = WRITER_SILENCE) -> None:
        self.session = ""
        self.user = ""
        self._silence = silence
        self._wrote = 0.0

    def may(self, session: str, user: str, now: float, *, enabled: bool) -> bool:
        """Whether this session may write now. `enabled`: the command as it stands enables the station."""
        if not self.session or session == self.session:
            return True
        silent = now - self._wrote > self._silence
        return silent and (not enabled or (user != "" and user == self.user))

    def take(self, session: str, user: str, now: float) -> bool:
        """It writes; True when it was not the holder before."""
        new = session != self.session
        self.session, self.user, self._wrote = session, user, now
        return new

    def left(self, session: str) -> bool:
        """This session has ended; True when it held Command."""
        if not self.session or session != self.session:
            return False
        self.session = self.user = ""
        return True
