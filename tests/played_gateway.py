"""A gateway without vision: the real Modbus server and the real handshake; every part is OK after 5 ms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from protocols import handshake as hs
from protocols.codec import Codec
from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.link import LinkState
from protocols.modbus.server import ModbusServer
from protocols.signals import Command, Judgement, Outputs, Result, ResultBit
from protocols.vision_role import VisionRole

LOOK = 0.005
"""Seconds that an inspection takes."""


def honest(outputs: Outputs) -> Outputs:
    return outputs


class PlayedGateway:
    """One station, unit 1; `tamper` changes what it shows, and so plays a gateway that breaks the contract."""

    def __init__(
        self,
        codec: Codec | None = None,
        settings: CycleSettings | None = None,
        tamper: Callable[[Outputs], Outputs] = honest,
    ) -> None:
        self.role = VisionRole(settings or CycleSettings(heartbeat=0.05, plc_heartbeat_timeout=0.5), boot_id=7)
        self.role.config_crc, self.role.recipe_active = 0x1234, 1
        self.server = ModbusServer("127.0.0.1", 0)
        self.link = self.server.unit(1, codec or Codec())
        self.accepted: list[hs.Accepted] = []
        self.commands: list[Command] = []
        self._tamper = tamper
        self.link.attach(self)

    @property
    def port(self) -> int:
        return self.server.port

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PlayedGateway]:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one) for one in (self.server.run(), self.link.run(), self._beat())]
            await self.server.bound.wait()
            try:
                yield self
            finally:
                for task in running:
                    task.cancel()

    def command(self, command: Command) -> None:
        self.commands.append(command)
        self._act(self.role.command(command, self._now))

    def link_changed(self, state: LinkState, reason: str) -> None:
        self.role.resync(self._now)
        self._show()

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _act(self, actions: list[hs.Action]) -> None:
        for action in actions:
            match action:
                case hs.Accepted():
                    self.accepted.append(action)
                    asyncio.get_running_loop().call_later(LOOK, self._finish, action)
                case hs.Execute(token, param):
                    self.role.command_finished(token, Code.NONE if param == 1 else Code.UNKNOWN_RECIPE)
                case _:
                    pass
        self._show()

    def _finish(self, request: hs.Accepted) -> None:
        result = Result(
            result_seq=self.role.reserve_seq(),
            trigger_seq=request.trigger_seq,
            part_id=request.part_id,
            judgement=Judgement.OK,
            bits=ResultBit.OK,
            score=0.25,
        )
        self.role.exposed(request.cycle)
        self._act(self.role.finish(request.cycle, result, self._now))

    def _show(self) -> None:
        self.link.publish(self._tamper(self.role.outputs(self._now)))

    async def _beat(self) -> None:
        while True:
            self.role.beat()
            self._act(self.role.tick(self._now))
            await asyncio.sleep(self.role.settings.heartbeat)
