"""A bare TCP connection for frames that no Modbus library would send; every wait has a deadline."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from gateway.plc.request_cases import HEADER, frame
from protocols.link import PeerError

ANSWER = 2.0
"""Seconds for one answer; far above what a gateway takes."""


class ClosedError(PeerError):
    """The peer closed the connection."""


class SilentError(PeerError):
    """No answer within the time."""


class RawWire:
    """One connection; use as `async with`. Raises PeerError when it cannot be had."""

    def __init__(self, host: str, port: int, unit: int) -> None:
        self._host, self._port, self._unit = host, port, unit
        self._transaction = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(ANSWER):
                self._streams = await asyncio.open_connection(self._host, self._port)
        except (OSError, TimeoutError, UnicodeError) as error:
            why = str(error) or "timed out"
            raise PeerError(f"no further connection to {self._host}:{self._port} ({why})") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(ANSWER):
                    await self._streams[1].wait_closed()

    def framed(self, pdu: bytes, unit: int | None = None) -> bytes:
        """The next frame, with a transaction number of its own."""
        self._transaction = self._transaction % 0xFFFF + 1
        return frame(self._transaction, self._unit if unit is None else unit, pdu)

    async def send(self, data: bytes) -> None:
        """Raises ClosedError when the peer has gone."""
        _, writer = self._opened
        try:
            async with asyncio.timeout(ANSWER):
                writer.write(data)
                await writer.drain()
        except (OSError, TimeoutError) as error:
            raise ClosedError("the connection was closed") from error

    async def answer(self, within: float = ANSWER) -> tuple[int, int, bytes]:
        """Transaction, unit and PDU of the next answer; raises ClosedError, SilentError."""
        reader, _ = self._opened
        try:
            async with asyncio.timeout(within):
                transaction, _, length, unit = HEADER.unpack(await reader.readexactly(HEADER.size))
                return transaction, unit, await reader.readexactly(max(0, length - 1))
        except TimeoutError as error:
            raise SilentError(f"no answer within {within:g} s") from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise ClosedError("the connection was closed") from error

    async def ask(self, pdu: bytes, unit: int | None = None, within: float = ANSWER) -> bytes:
        """One request, and the PDU of its answer."""
        sent = self.framed(pdu, unit)
        await self.send(sent)
        transaction, _, answer = await self.answer(within)
        if transaction != self._transaction:
            raise ClosedError(f"the answer bears transaction {transaction} where {self._transaction} was asked")
        return answer

    async def closed(self, within: float = ANSWER) -> bool:
        """Whether the peer closes, and sends nothing before."""
        reader, _ = self._opened
        try:
            async with asyncio.timeout(within):
                return not await reader.read(1)
        except TimeoutError:
            return False
        except OSError:
            return True

    @property
    def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            raise ClosedError("not connected")
        return self._streams
