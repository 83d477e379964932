"""The Modbus RTU server: one serial line, one master on it, one or more stations by unit id among other devices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from protocols.codec import Codec
from protocols.faults import Code
from protocols.link import Backoff, LinkState, MapError, Station
from protocols.modbus.pdu import ExceptionCode, Units
from protocols.modbus.registers import RegisterMap
from protocols.modbus.rtu import BROADCAST, UNITS, framed, glitch
from protocols.modbus.rtu_ear import Ear, Heard, Request
from protocols.modbus.serial_port import Line, PortError, SerialPort, opened
from protocols.signals import BLANK_COMMAND, Command, Outputs, Result

OnEvent = Callable[[int, str], None]
"""Told of what a person should know: a fault code and one sentence."""

REMEMBERED = 256
"""Kinds of refusal told apart; beyond that they are not told."""
DEAF = 5
"""So many broken frames without a sound one mean that the line is set up wrongly."""

_WRITES = frozenset({0x05, 0x06, 0x0F, 0x10, 0x16})
"""What can be broadcast (MODBUS over Serial Line V1.02, §2.1: writing commands)."""
_RESULT_BITS = slice(10, 12)
"""Of the result block: word 21, of which word 16 is the first."""


class RtuLink:
    """The link of one station on a serial line: up while the line is open.

    Whether the PLC lives is told by its heartbeat.
    """

    def __init__(self, server: RtuServer, unit: int, codec: Codec, registers: RegisterMap) -> None:
        self.unit = unit
        self.name = f"{server.name} unit {unit}"
        self._codec = codec
        self._station: Station | None = None
        self._block = b""
        self._command: Command = BLANK_COMMAND
        self._result: Result | None = None
        self._result_block = b""
        self._image = server.units.add(unit, registers, codec.encode_signature(), self._written)
        self.publish(Outputs())

    def attach(self, station: Station) -> None:
        """Name the station to serve; once, before `run`."""
        self._station = station

    def publish(self, outputs: Outputs) -> None:
        """Show these outputs: every request from now on sees all of them."""
        result = outputs.result
        if result is not self._result:
            self._result, self._result_block = result, self._codec.encode_result(result)
        status = self._codec.encode_status(outputs.status)
        bits = self._result_block[_RESULT_BITS] + status[:2]
        self._image.show(status + self._result_block, int.from_bytes(bits, "big"))

    async def run(self) -> None:
        """Wait until cancelled: the line, a service of its own, does the work."""
        await asyncio.get_running_loop().create_future()

    def changed(self, state: LinkState, reason: str) -> None:
        """The line was opened or lost."""
        if self._station is not None:
            self._station.link_changed(state, reason)

    def _written(self, block: bytes, _source: object) -> None:
        if self._station is None:
            return
        if block != self._block:
            self._block, self._command = block, self._codec.decode_command(block)
        self._station.command(self._command)


class RtuServer:
    """One serial line; stations are added by `unit` before `run`. Other units on the line are never answered."""

    def __init__(
        self, line: Line, *, answer_delay: float = 0.0, broadcast: bool = True, on_event: OnEvent | None = None
    ) -> None:
        """`answer_delay`: least seconds between request and answer; `broadcast`: writes to all units are for us too."""
        self.name = f"modbus rtu server {line.text}"
        self.units = Units(self._refused)
        self.links: dict[int, RtuLink] = {}
        self.bound = asyncio.Event()
        """Set while the line is open."""
        self.unanswered = 0
        """Requests served and not answered, as the line had gone on or did not take the answer."""
        self._line, self._timing = line, line.timing
        self._delay = max(answer_delay, self._timing.silence)
        self._broadcast = broadcast
        self._on_event = on_event or (lambda code, text: None)
        self._told: set[tuple[object, ...]] = set()
        self._ear = Ear(self.links, self._timing, echo=line.echo)
        self._port: SerialPort | None = None
        self._state: LinkState | None = None
        self._reason = ""
        self._answer = b""
        self._sending: asyncio.TimerHandle | None = None
        self._waiting: asyncio.TimerHandle | None = None

    @property
    def heard(self) -> Heard:
        """What was on the line since it was opened last."""
        return self._ear.heard

    def unit(self, unit: int, codec: Codec | None = None, registers: RegisterMap | None = None) -> RtuLink:
        """The link of the station with this unit id (1…247); raises MapError when the id is taken or wrong."""
        if unit not in UNITS:
            raise MapError(f"{self.name}: unit {unit} does not exist; give one from 1 to 247")
        if unit in self.links:
            raise MapError(f"{self.name}: unit {unit} is given to two stations; give each its own")
        self.links[unit] = link = RtuLink(self, unit, codec or Codec(), registers or RegisterMap())
        return link

    async def run(self) -> None:
        """Serve until cancelled, and open a lost line again for ever.

        Raises PortError only if the line could never be opened and waiting cannot mend that (no permission).
        """
        backoff = Backoff()
        try:
            while True:
                try:
                    self._down(await self._serve(backoff))
                except PortError as error:
                    if error.lasting and self._state is not LinkState.UP and not self._reason:
                        raise
                    self._down(str(error))
                await asyncio.sleep(backoff.pause())
        finally:
            if self._state is not None:
                self._down(f"{self.name} has stopped")

    async def _serve(self, backoff: Backoff) -> str:
        """One opening's life; the reason of its end."""
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ear = Ear(self.links, self._timing, echo=self._line.echo)

        def gone(reason: str) -> None:
            if not lost.done():
                lost.set_result(reason)

        self._port = await opened(self._line, self._arrived, gone)
        try:
            backoff.reset()
            self._up()
            return await lost
        finally:
            self.bound.clear()
            self._port.close()
            self._port = None
            self._forget()

    def _up(self) -> None:
        self._state, self._reason = LinkState.UP, f"{self.name} is open"
        self.bound.set()
        for link in self.links.values():
            link.changed(LinkState.UP, f"{link.name} is open")

    def _down(self, reason: str) -> None:
        """Tell the stations once for each change; another reason while down goes to the log only."""
        if self._state is not LinkState.DOWN:
            self._state = LinkState.DOWN
            for link in self.links.values():
                link.changed(LinkState.DOWN, reason)
        elif reason != self._reason:
            self._on_event(Code.LINK_LOST, reason)
        self._reason = reason

    def _forget(self) -> None:
        for timer in (self._sending, self._waiting):
            if timer is not None:
                timer.cancel()
        self._sending = self._waiting = None

    # ------------------------------------------------------------ requests

    def _arrived(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if self._sending is not None and not glitch(data):
            self._sending.cancel()  # the line has gone on: our answer would meet somebody else's
            self._sending = None
            self.unanswered += 1
        self._take(self._ear.feed(data, now))
        self._watch_silence()
        self._diagnose()

    def _watch_silence(self) -> None:
        if self._waiting is None and (due := self._ear.until) is not None:
            self._waiting = asyncio.get_running_loop().call_at(due, self._silent)

    def _silent(self) -> None:
        self._waiting = None
        self._take(self._ear.quiet(asyncio.get_running_loop().time()))
        self._watch_silence()

    def _take(self, requests: list[Request]) -> None:
        """Carry them all out, and answer the one after which the line fell silent."""
        for request in requests:
            answer = self._carry_out(request)
            if answer and request.last:
                self._answer = framed(request.unit, answer)
                self._sending = asyncio.get_running_loop().call_later(self._delay, self._send)
            elif answer:
                self.unanswered += 1

    def _carry_out(self, request: Request) -> bytes:
        """The answer PDU; b"" for a broadcast, which is carried out by every station and answered by none."""
        if request.unit != BROADCAST:
            return self._ask(request.unit, request.pdu)
        if self._broadcast and request.pdu[0] in _WRITES:
            for unit in self.links:
                self._ask(unit, request.pdu)
        return b""

    def _ask(self, unit: int, pdu: bytes) -> bytes:
        """The stations' core speaks Modbus TCP frames: transaction and protocol 0, length, unit."""
        head = bytes((0, 0, 0, 0, 0, 1 + len(pdu), unit))
        return self.units.answer(head + pdu, self._line.device)[len(head) :]

    def _send(self) -> None:
        self._sending = None
        if self._port is None:
            return
        self._ear.said(self._answer, asyncio.get_running_loop().time())
        if not self._port.write(self._answer):
            self.unanswered += 1

    # ------------------------------------------------------------ what a person should know

    def _diagnose(self) -> None:
        heard = self._ear.heard
        if heard.broken >= DEAF and not (heard.requests or heard.foreign):
            text = "bytes come but no frame: check baud rate, parity and stop bits, then the wires A and B"
            self._tell(Code.FRAMING, ("deaf",), lambda: f"{self.name}: {text}")
        if heard.echoes and not self._line.echo:
            self._tell(
                Code.FRAMING, ("echo",), lambda: f"{self.name}: the adapter hears what it sends; set `echo: true`"
            )

    def _refused(self, source: object, unit: int, pdu: bytes, code: ExceptionCode) -> None:
        function, address = pdu[0], int.from_bytes(pdu[1:3], "big")
        self._tell(
            Code.REQUEST_REFUSED,
            (unit, function, address),
            lambda: (
                f"the master on {source} got exception {code:02X} ({code.name.lower().replace('_', ' ')}): "
                f"unit {unit}, function {function}, address {address}"
            ),
        )

    def _tell(self, code: Code, key: tuple[object, ...], text: Callable[[], str]) -> None:
        """Report once for each code and key: a master repeats itself at every poll."""
        if (code, *key) not in self._told and len(self._told) < REMEMBERED:
            self._told.add((code, *key))
            self._on_event(code, text())
