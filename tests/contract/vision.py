"""A vision station of a few lines behind a link: no camera, no history, a verdict after 30 ms."""

from __future__ import annotations

import asyncio
import itertools

from protocols import handshake as hs
from protocols.handshake import CycleSettings
from protocols.link import Link, LinkState
from protocols.signals import Command, Judgement, Result
from protocols.vision_role import VisionRole

TICK = 0.01


class Vision:
    """A station of a few lines: every part takes 30 ms, every third is bad."""

    def __init__(self, link: Link) -> None:
        self.role = VisionRole(CycleSettings(), boot_id=7)
        self.accepted: list[hs.Accepted] = []
        self._link = link
        self._now = asyncio.get_running_loop().time
        link.attach(self)

    def command(self, command: Command) -> None:
        self._take(self.role.command(command, self._now()))

    def link_changed(self, state: LinkState, reason: str) -> None:
        if state is LinkState.UP:
            self.role.resync(self._now())

    def _take(self, actions: list[hs.Action]) -> None:
        for action in actions:
            if isinstance(action, hs.Accepted):
                self.accepted.append(action)
                asyncio.get_running_loop().call_later(0.03, self._finish, action)
        self._show()

    def _finish(self, request: hs.Accepted) -> None:
        judgement = Judgement.NG if request.part_id % 3 == 0 else Judgement.OK
        seq = self.role.reserve_seq()
        result = Result(seq, request.trigger_seq, request.part_id, judgement, bits=1 << (judgement - 1), score=0.5)
        self._take(self.role.finish(request.cycle, result, self._now()))

    def _show(self) -> None:
        self._link.publish(self.role.outputs(self._now()))

    async def run(self) -> None:
        """The scan: 10 ms, a heartbeat at every 20th."""
        for turn in itertools.count():
            if turn % 20 == 0:
                self.role.beat()
            self._take(self.role.tick(self._now()))
            await asyncio.sleep(TICK)
