"""A PLC's program by hand over the plain face, and the wire between them, which can be cut at any step of its cycle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

from asyncua import ua

from protocols.faults import Code
from protocols.handshake import Style
from protocols.opcua.plain import PlainFace
from protocols.signals import Command, Control, Outputs, Result, StatusBit, next_seq
from simulators.fault_proxy import FaultProxy
from simulators.faults import Direction
from tests.contract.opcua_plain import OpcuaPlc, Served
from tests.contract.test_links import PATIENCE, until

How = Literal["closed", "rst", "half-open"]
STEPS = (
    "trigger lost", "trigger unheard", "trigger acknowledged", "result shown", "ack lost", "ack unheard", "ack taken",
)  # fmt: skip
"""`lost`: the write never arrives. `unheard`: it is served, and nobody hears of it."""


class Panel:
    """Asks for parts in one style. What it has written it writes again, whole, at the start of its next session."""

    def __init__(self, plc: OpcuaPlc, style: Style = Style.SEQUENCE) -> None:
        self.plc, self.style = plc, style
        self.command = Command(control=Control.ENABLE)

    async def write(self, **changes: Any) -> None:
        self.command = replace(self.command, **changes)
        await self.plc.write(self.command)

    async def turn(self, bit: Control, on: bool) -> None:
        await self.write(control=self._with(bit, on))

    def _with(self, bit: Control, on: bool) -> int:
        return int(self.command.control | bit if on else self.command.control & ~bit)

    async def see(self, true: Callable[[Outputs], bool]) -> Outputs:
        """What is read as soon as this holds."""
        async with asyncio.timeout(PATIENCE):
            while not true(outputs := await self.plc.read()):  # noqa: ASYNC110 - behind a wire
                await asyncio.sleep(0.002)
        return outputs

    async def ready(self) -> None:
        await self.see(lambda o: has(o, StatusBit.READY) and not has(o, StatusBit.RESULT_VALID))

    def asked(self, part: int) -> dict[str, Any]:
        """The fields that ask for this part."""
        if self.style is Style.BITS:
            return {"part_id": part, "control": self._with(Control.TRIGGER, True)}
        return {"part_id": part, "trigger_seq": next_seq(self.command.trigger_seq)}

    async def ask(self, part: int) -> Outputs:
        """Ask, and wait until the trigger was accepted or refused aloud; in bit style Trigger is 0 again then."""
        await self.write(**self.asked(part))
        return await self.answered()

    async def answered(self) -> Outputs:
        if self.style is Style.SEQUENCE:
            return await self.see(lambda o: o.status.trigger_seq_ack == self.command.trigger_seq)
        answer = await self.see(lambda o: has(o, StatusBit.TRIGGER_ACK) or o.status.trigger_refused != 0)
        await self.turn(Control.TRIGGER, False)
        await self.see(lambda o: not has(o, StatusBit.TRIGGER_ACK))
        return answer

    async def result(self, part: int) -> Result:
        return (await self.see(lambda o: has(o, StatusBit.RESULT_VALID) and o.result.part_id == part)).result

    def taking(self, result: Result) -> dict[str, Any]:
        """The fields that acknowledge this result."""
        if self.style is Style.BITS:
            return {"control": self._with(Control.RESULT_ACK, True)}
        return {"result_ack_seq": result.result_seq}

    async def take(self, result: Result) -> None:
        await self.write(**self.taking(result))
        await self.taken(result)

    async def taken(self, result: Result) -> None:
        """It has been; in bit style ResultAck is 0 again then."""
        await self.see(lambda o: not has(o, StatusBit.RESULT_VALID) or o.result.result_seq != result.result_seq)
        if self.style is Style.BITS:
            await self.turn(Control.RESULT_ACK, False)

    async def inspect(self, part: int) -> Result:
        await self.ask(part)
        result = await self.result(part)
        await self.take(result)
        return result


def has(outputs: Outputs, bit: StatusBit) -> bool:
    return bool(outputs.status.bits & bit)


def proxied(server: Served) -> FaultProxy:
    where = urlsplit(server.url)
    return FaultProxy(where.hostname or "", where.port or 0)


class CutPanel(Panel):
    """The same behind a wire that is cut once, at one step, and each time it comes back in a new session."""

    def __init__(self, face: PlainFace, proxy: FaultProxy, style: Style, step: str, how: How) -> None:
        super().__init__(OpcuaPlc(f"opc.tcp://127.0.0.1:{proxy.port}"), style)
        self.face, self.proxy, self.step, self.how = face, proxy, step, how

    async def run(self, part: int, released: Callable[[], None]) -> Result:
        """The result that the program took; `released`: the part may end now."""
        await self._write("trigger", **self.asked(part))
        await self._accepted(part)
        await self._cut("trigger acknowledged")
        released()
        result = await self.result(part)
        await self._cut("result shown")
        assert await self.result(part) == result, "it must wait for us"
        await self._write("ack", **self.taking(result))
        await self._let_go(result)
        await self._cut("ack taken")
        return result

    async def _accepted(self, part: int) -> None:
        """A number or a level that came while nobody listened is no trigger: it is asked anew, and only then."""
        lost = self.step == "trigger lost"
        if self.style is Style.SEQUENCE:
            answer = await self.answered()
            assert answer.status.trigger_refused == (Code.LINK_LOST if lost else 0)
        else:
            answer = await self.see(lambda o: has(o, StatusBit.BUSY) or o.status.not_ready_reason == Code.OUT_OF_ORDER)
            await self.turn(Control.TRIGGER, False)
        assert has(answer, StatusBit.BUSY) is not lost
        if lost:
            await self.ready()
            await self.ask(part)

    async def _let_go(self, result: Result) -> None:
        """A level that came while nobody listened is no ack: the same result is offered again, and only then."""
        await self.taken(result)
        lost = self.style is Style.BITS and self.step == "ack lost"
        again = await self.plc.read()
        assert has(again, StatusBit.RESULT_VALID) is lost
        assert again.result == result, "it is no new one"
        if lost:
            await self.take(result)

    # ------------------------------------------------------------ the wire

    async def begin(self) -> None:
        """A new session: the block as it stands, as soon as the gateway lets this session write."""
        await self.plc.come_back()
        async with asyncio.timeout(PATIENCE):
            while not await self.plc.offer(self.command):  # noqa: ASYNC110 - the session before may hold Command yet
                await asyncio.sleep(0.01)

    async def _write(self, what: str, **changes: Any) -> None:
        lost = self.step == f"{what} lost"
        if not lost and self.step != f"{what} unheard":
            await self.write(**changes)
            return
        self.command = replace(self.command, **changes)
        if lost and self.how == "closed":
            await self._cut(self.step)
            return
        if self.how != "closed":
            self.proxy.drop(Direction.UP if lost else Direction.DOWN)
        writing = asyncio.create_task(self.plc.write(self.command))
        if lost:
            await asyncio.sleep(0)
        else:
            await until(lambda: self.face.command == self.command)
        await self._cut(self.step)
        await asyncio.gather(writing, return_exceptions=True)

    async def _cut(self, step: str) -> None:
        if step != self.step:
            return
        if self.how == "closed":
            await self.plc.leave()
        else:
            self.proxy.rst() if self.how == "rst" else self.proxy.drop()
            await self.end()
        await self.begin()

    async def end(self) -> None:
        """The client is gone, and asks nobody."""
        self.plc.client.disconnect_socket()
        with suppress(ConnectionError, TimeoutError, ua.UaError):
            await self.plc.client.disconnect()
