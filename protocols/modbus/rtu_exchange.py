"""Modbus RTU as a master: one request at a time on a serial line, and no answer given to another request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from protocols.link import MapError, PeerError
from protocols.modbus import rtu_answer
from protocols.modbus.exchange import RefusedByPeerError
from protocols.modbus.registers import Table
from protocols.modbus.rtu import BROADCAST, MAX_FRAME, REFUSAL_BIT, UNITS, framed
from protocols.modbus.rtu_answer import Asked, WrongAnswerError
from protocols.modbus.serial_port import Line, PortError, SerialPort, opened

TURNAROUND = 0.1
"""Seconds that all units have for a broadcast before the next request (MODBUS over Serial Line V1.02, §2.4.1)."""
HELD = 2 * MAX_FRAME
"""Bytes kept of what comes: an echo and an answer. More can only be noise."""


class Functions(Protocol):
    """Which writing functions the devices know."""

    @property
    def fc5(self) -> bool: ...
    @property
    def fc6(self) -> bool: ...
    @property
    def fc15(self) -> bool: ...
    @property
    def fc16(self) -> bool: ...


class SerialMaster:
    """The one master of a line, for all who ask over it; they take turns."""

    def __init__(self, line: Line, *, turnaround: float = TURNAROUND) -> None:
        self.name = f"modbus rtu {line.text}"
        self._line, self._timing, self._turnaround = line, line.timing, turnaround
        self._users: set[object] = set()
        self._turn = asyncio.Lock()
        self._port: SerialPort | None = None
        self._trouble = "is not open"
        self._heard = bytearray()
        self._more = asyncio.Event()
        self._free = 0.0
        """When the line has been silent for long enough."""
        self._owing: dict[int, float] = {}
        """Units whose answer did not come, and until when it may come late."""

    async def enter(self, user: object) -> None:
        """Open the line if nobody has; raises PeerError."""
        self._users.add(user)
        async with self._turn:
            if self._port is not None:
                return
            try:
                self._port = await opened(self._line, self._take, self._lost)
            except PortError as error:
                self._users.discard(user)
                raise PeerError(str(error)) from error
            if not self._users:  # left while it opened
                self._shut("is not open")

    def leave(self, user: object) -> None:
        """The last one closes the line."""
        self._users.discard(user)
        if not self._users:
            self._shut("is not open")

    async def ask(self, unit: int, asked: Asked, within: float) -> bytes:
        """The answer's PDU, an exception's too, b"" for a broadcast; raises PeerError.

        `within` is what the unit may take from the last character of the request to the first of its answer.
        """
        async with self._turn:
            await self._silence(unit, within)
            frame = framed(unit, asked.pdu)
            expected = 0 if unit == BROADCAST else asked.length + 3
            due = self._now() + within + (len(frame) + expected) * self._timing.char
            self._owing[unit] = due + within
            echo = self._send(frame)
            try:
                async with asyncio.timeout_at(due):
                    await self._skip_echo(echo)
                    answer = await self._answer(unit, asked) if expected else b""
            except TimeoutError as error:
                what = f"no answer to the {asked.what} within {within:g} s" if expected else "no echo"
                raise PeerError(f"{self.name}: unit {unit}: {what}") from error
            except WrongAnswerError as error:
                await self._hear_out(unit, due, spoken=error.spoken)
                raise PeerError(f"{self.name}: unit {unit}: the answer to the {asked.what} {error}") from error
            del self._owing[unit]
            self._free = self._now() + (self._timing.silence if expected else self._sending(frame) + self._turnaround)
            return answer

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _hear_out(self, unit: int, due: float, *, spoken: bool) -> None:
        """What came is not the answer: unless the unit has had its say, the right one may still come. Let it pass."""
        if spoken:
            del self._owing[unit]
            self._free = self._now() + self._timing.patience
        else:
            await asyncio.sleep(due - self._now())

    def _sending(self, frame: bytes) -> float:
        return len(frame) * self._timing.char

    def _send(self, frame: bytes) -> bytes:
        """What must be heard before any answer."""
        if self._port is None:
            raise PeerError(f"{self.name}: {self._trouble}")
        self._heard.clear()
        if not self._port.write(frame):
            raise PeerError(f"{self.name}: the line does not take what is sent")
        return frame if self._line.echo else b""

    async def _silence(self, unit: int, within: float) -> None:
        """Wait for the line to be free, and for an answer that this unit still owes; drop all that comes."""
        last = max(self._now(), self._owing.get(unit, 0.0)) + within + self._turnaround
        while (free := max(self._free, self._owing.get(unit, 0.0))) > (now := self._now()):
            if self._port is None:
                return
            if now > last:
                raise PeerError(f"{self.name}: the line is never silent; is there another master, or a faulty device?")
            await asyncio.sleep(free - now)
        self._owing.pop(unit, None)

    async def _skip_echo(self, echo: bytes) -> None:
        while len(self._heard) < len(echo):
            await self._next()
        if not self._heard.startswith(echo):
            raise WrongAnswerError("begins with another echo than what was sent; is `echo` right, or a wire loose?")
        del self._heard[: len(echo)]

    async def _answer(self, unit: int, asked: Asked) -> bytes:
        while (answer := asked.answer(unit, bytes(self._heard))) is None:
            await self._next()
        return answer

    async def _next(self) -> None:
        if self._port is None:
            raise PeerError(f"{self.name}: {self._trouble}")
        self._more.clear()
        await self._more.wait()

    def _take(self, data: bytes) -> None:
        self._heard += data
        del self._heard[HELD:]
        self._free = max(self._free, asyncio.get_running_loop().time() + self._timing.silence)
        self._more.set()

    def _lost(self, reason: str) -> None:
        self._port, self._trouble = None, reason
        self._more.set()

    def _shut(self, reason: str) -> None:
        port, self._port = self._port, None
        self._trouble = reason
        self._more.set()
        if port is not None:
            port.close()


class _All:
    fc5 = fc6 = fc15 = fc16 = True


class RtuExchange:
    """Requests to the units of one serial line; an `Exchange`. Several of one line share its SerialMaster.

    Reads are tried again after a garbled or missing answer, writes only if `write_retries` says so.
    """

    def __init__(
        self,
        master: SerialMaster,
        *,
        timeout: float = 0.5,
        retries: int = 1,
        write_retries: int = 0,
        functions: Functions | None = None,
    ) -> None:
        self.name = master.name
        self._master, self._timeout = master, timeout
        self._retries, self._write_retries = retries, write_retries
        self._functions: Functions = functions or _All()

    async def open(self) -> None:
        """Open the line; raises PeerError with cause and remedy."""
        await self._master.enter(self)

    async def read_registers(self, unit: int, table: Table, address: int, count: int) -> bytes:
        """FC3 (HOLDING) or FC4 (INPUT): `2 * count` bytes, big-endian words as on the wire."""
        if table not in (Table.HOLDING, Table.INPUT):
            raise MapError(f"{self.name}: {table.name.lower()} holds bits; ask for bits")
        return (await self._read(unit, rtu_answer.read(table, address, count)))[2:]

    async def read_bits(self, unit: int, table: Table, address: int, count: int) -> tuple[bool, ...]:
        """FC1 (COIL) or FC2 (DISCRETE): `count` values."""
        if table not in (Table.COIL, Table.DISCRETE):
            raise MapError(f"{self.name}: {table.name.lower()} holds words; ask for registers")
        bits = int.from_bytes((await self._read(unit, rtu_answer.read(table, address, count)))[2:], "little")
        return tuple(bool(bits >> number & 1) for number in range(count))

    async def write_registers(self, unit: int, address: int, words: bytes) -> None:
        """FC16, or FC6 for a single one; without FC16, one FC6 after the other. Unit 0: to all, unanswered."""
        if self._functions.fc16 and (len(words) > 2 or not self._functions.fc6):
            await self._ask(unit, rtu_answer.write_words(address, words), self._write_retries)
            return
        for at in range(0, len(words), 2):
            asked = rtu_answer.write_word(address + at // 2, words[at : at + 2])
            await self._ask(unit, asked, self._write_retries)

    async def write_bits(self, unit: int, address: int, values: Sequence[bool]) -> None:
        """FC15, or FC5 for a single one; without FC15, one FC5 after the other. Unit 0: to all, unanswered."""
        if self._functions.fc15 and (len(values) > 1 or not self._functions.fc5):
            await self._ask(unit, rtu_answer.write_coils(address, values), self._write_retries)
            return
        for place, value in enumerate(values, address):
            await self._ask(unit, rtu_answer.write_coil(place, value), self._write_retries)

    def close(self) -> None:
        """Leave nothing behind; `open` may follow."""
        self._master.leave(self)

    async def _read(self, unit: int, asked: Asked) -> bytes:
        if unit == BROADCAST:
            raise MapError(f"{self.name}: unit 0 means all units, and they answer nothing; read them one by one")
        return await self._ask(unit, asked, self._retries)

    async def _ask(self, unit: int, asked: Asked, retries: int) -> bytes:
        if unit != BROADCAST and unit not in UNITS:
            raise MapError(f"{self.name}: unit {unit} does not exist on a serial line; give one from 1 to 247")
        for left in range(retries, -1, -1):
            try:
                answer = await self._master.ask(unit, asked, self._timeout)
            except PeerError:
                if not left:
                    raise
                continue
            if answer and answer[0] & REFUSAL_BIT:
                code = answer[1]
                raise RefusedByPeerError(f"{self.name}: unit {unit}: exception {code:02X} to the {asked.what}", code)
            return answer
        raise AssertionError
