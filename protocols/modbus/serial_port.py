"""One serial line as the loop sees it: opened with its settings, read as bytes come, written without waiting.

pyserial sets the line up; then the loop watches its descriptor. A line that goes away (adapter pulled) is reported
once; open another one then.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from protocols.link import LinkError
from protocols.modbus.rtu import Timing, timing

if TYPE_CHECKING:
    from serial import Serial

Parity = Literal["even", "odd", "none"]
Heard = Callable[[bytes], object]
Lost = Callable[[str], object]

OPEN_WAIT = 5.0
"""Seconds for opening; a driver may hang on an adapter that does not answer."""
CHUNK = 4096
"""Bytes taken at once: what a kernel holds of a line."""


class PortError(LinkError):
    """A line that cannot be opened. `lasting`: waiting will not mend it."""

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Direction:
    """The kernel's RS-485 mode: the driver is switched by RTS; seconds."""

    rts_on_send: bool = True
    delay_before: float = 0.0
    delay_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """A serial line and how it is driven."""

    device: str
    baud: int = 19200
    parity: Parity = "even"
    stop_bits: int = 1
    echo: bool = False
    """The adapter hears what it sends."""
    rs485: Direction | None = None
    patience: float = 0.025
    """Seconds; see `rtu.Timing`."""

    @property
    def timing(self) -> Timing:
        """Times of this line: a character is a start bit, eight of data, parity if any, and the stop bits."""
        return timing(self.baud, 9 + (self.parity != "none") + self.stop_bits, self.patience)

    @property
    def text(self) -> str:
        """As engineers write it: `/dev/ttyUSB0 19200 8E1`."""
        return f"{self.device} {self.baud} 8{self.parity[0].upper()}{self.stop_bits}"


class SerialPort:
    """An open line; belongs to the loop that opened it."""

    def __init__(self, serial: Serial, name: str, heard: Heard, lost: Lost) -> None:
        """`heard` gets all bytes that come, `lost` once the reason when the line has gone; neither after `close`."""
        self.name = name
        self._serial: Serial | None = serial
        self._fd = serial.fileno()
        self._heard, self._lost = heard, lost
        self._unsent = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> bool:
        """Send this; False, and what was not sent before is dropped, while the line does not take what it got."""
        if self._serial is None:
            return False
        stuck = bool(self._unsent)
        if stuck:
            self._forget_unsent()
        self._unsent = data
        self._writable()
        return not stuck

    def close(self) -> None:
        """Leave nothing behind; what was not sent is dropped, as a close that waits for it would hold up the loop."""
        serial, self._serial = self._serial, None
        if serial is None:
            return
        self._loop.remove_reader(self._fd)
        self._forget_unsent()
        _shut(serial)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._gone(error.strerror or str(error))
            return
        if data:
            self._heard(data)
        else:
            self._gone("the device has gone")

    def _writable(self) -> None:
        """Send what is left; the loop calls again when the line takes more."""
        try:
            sent = os.write(self._fd, self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._loop.call_soon(self._gone, error.strerror or str(error))
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(self._fd, self._writable)
        else:
            self._loop.remove_writer(self._fd)

    def _forget_unsent(self) -> None:
        import termios

        self._unsent = b""
        self._loop.remove_writer(self._fd)
        with contextlib.suppress(termios.error, OSError):
            termios.tcflush(self._fd, termios.TCOFLUSH)

    def _gone(self, reason: str) -> None:
        if self._serial is not None:
            self.close()
            self._lost(f"{self.name} was lost: {reason}")


async def opened(line: Line, heard: Heard, lost: Lost) -> SerialPort:
    """Open a line, within OPEN_WAIT; raises PortError with cause and remedy. The loop goes on meanwhile."""
    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(None, _open, line)
    try:
        async with asyncio.timeout(OPEN_WAIT):
            serial = await asyncio.shield(opening)
    except (TimeoutError, asyncio.CancelledError) as end:
        opening.add_done_callback(_shut_late)
        if isinstance(end, TimeoutError):
            raise PortError(f"{line.text}: the device did not open within {OPEN_WAIT:g} s; plug it in anew") from end
        raise
    return SerialPort(serial, line.text, heard, lost)


def _open(line: Line) -> Serial:
    import termios

    import serial

    parity = {"even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD, "none": serial.PARITY_NONE}[line.parity]
    if Path(line.device).resolve().is_relative_to("/dev/pts"):
        parity = serial.PARITY_NONE  # a pseudo-terminal has none, and may refuse to be asked for it
    try:
        port = serial.Serial(
            line.device, line.baud, parity=parity, stopbits=line.stop_bits, timeout=0, write_timeout=0, exclusive=True
        )
    except (OSError, ValueError, termios.error) as error:
        raise _explained(line, error) from error
    try:
        _switch_direction(port, line)
        _prepare(port)
    except (OSError, termios.error) as error:
        _shut(port)
        raise _explained(line, error) from error
    except PortError:
        _shut(port)
        raise
    return port


def _switch_direction(port: Serial, line: Line) -> None:
    from serial.rs485 import RS485Settings

    if (mode := line.rs485) is None:
        return
    try:
        port.rs485_mode = RS485Settings(
            mode.rts_on_send, not mode.rts_on_send, line.echo, mode.delay_before, mode.delay_after
        )
    except ValueError as error:
        text = "its driver has no RS-485 mode; leave out rs485, as adapters that switch by themselves need none"
        raise PortError(f"{line.text}: {text}", lasting=True) from error


def _prepare(port: Serial) -> None:
    """No bytes kept back by the driver, no other program on the line, and a read of nothing only at its end."""
    import fcntl
    import termios

    with contextlib.suppress(OSError, ValueError, AttributeError):  # not every driver can
        port.set_low_latency_mode(True)
    with contextlib.suppress(OSError):
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    attributes = termios.tcgetattr(port.fileno())
    attributes[6][termios.VMIN] = 1  # with 0, as pyserial leaves it, an empty line reads like one that is gone
    termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)


def _shut(serial: Serial) -> None:
    import termios

    with contextlib.suppress(OSError, termios.error):
        termios.tcflush(serial.fileno(), termios.TCIOFLUSH)
    with contextlib.suppress(OSError):
        serial.close()


def _shut_late(opening: asyncio.Future[Serial]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        _shut(opening.result())


def _explained(line: Line, error: Exception) -> PortError:
    number = getattr(error, "errno", None) or next(iter(getattr(error.__context__, "args", ())), None)
    if number == errno.ENOTTY:
        return PortError(f"{line.text}: this is no serial line; name one, such as /dev/ttyUSB0", lasting=True)
    if number in (errno.EAGAIN, errno.EBUSY):
        return PortError(
            f"{line.text}: another program has this line; stop it (a terminal, ModemManager, a second gateway)",
            lasting=True,
        )
    if isinstance(error, ValueError):
        return PortError(f"{line.text}: this device cannot do that ({error}); try another baud rate", lasting=True)
    if why := trouble(line.device):
        return PortError(f"{line.text}: {why}", lasting=number in (errno.EACCES, errno.EPERM))
    cause = os.strerror(number) if isinstance(number, int) else str(error)
    return PortError(f"{line.text}: cannot be opened ({cause}); is it a serial line, and does the adapter work?")


def trouble(device: str) -> str | None:
    """Why this program cannot use the device, found without opening it (that moves DTR and RTS); None if it can."""
    path = Path(device)
    try:
        found = path.stat()
    except OSError:
        return "there is no such device; plug the adapter in, and name it by its link in /dev/serial/by-id"
    if not stat.S_ISCHR(found.st_mode):
        return "this is no device; name a serial line, such as /dev/ttyUSB0"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"this user may not open it; add the user to the group {_group(found.st_gid)} and log in again"
    return None


def _group(number: int) -> str:
    import grp

    try:
        name = grp.getgrgid(number).gr_name
    except KeyError:
        name = "dialout"
    return "dialout" if name == "root" else name
