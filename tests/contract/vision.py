"""A vision station of a few lines behind a link: no camera, no history, a verdict after 30 ms or when it is let."""

from __future__ import annotations

import asyncio
import itertools

from protocols import handshake as hs
from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.link import Link, LinkState
from protocols.signals import VALUES, Command, Judgement, Result
from protocols.vision_role import VisionRole

TICK = 0.01
RECIPES = (1, 2)
"""What it has; the first is active at the start."""


class Vision:
    """A station of a few lines: every part takes 30 ms, every third is bad. While it is `held` no part ends."""

    def __init__(self, link: Link, settings: CycleSettings | None = None) -> None:
        self.role = VisionRole(settings or CycleSettings(), boot_id=7)
        self.role.recipe_active = RECIPES[0]
        self.accepted: list[hs.Accepted] = []
        self.actions: list[hs.Action] = []
        self.held = False
        self._link = link
        self._now = asyncio.get_running_loop().time
        link.attach(self)

    def command(self, command: Command) -> None:
        self._take(self.role.command(command, self._now()))

    def link_changed(self, state: LinkState, reason: str) -> None:
        if state is LinkState.UP:
            self.role.resync(self._now())

    def _take(self, actions: list[hs.Action]) -> None:
        self.actions += actions
        for action in actions:
            match action:
                case hs.Accepted():
                    self.accepted.append(action)
                    asyncio.get_running_loop().call_later(0.03, self._judge, action)
                case hs.Expired(code=code) if code is not Code.DEADLINE_MISSED:
                    self._finish(self.accepted[-1], Judgement.FAULT, code)
                case hs.Execute():
                    self._change(action)
                case _:
                    pass
        self._show()

    def _judge(self, request: hs.Accepted) -> None:
        if self.held:
            asyncio.get_running_loop().call_later(TICK, self._judge, request)
        else:
            self._finish(request, Judgement.NG if request.part_id % 3 == 0 else Judgement.OK)

    def _finish(self, request: hs.Accepted, judgement: Judgement, reason: int = 0) -> None:
        if request.cycle not in self.role.open_cycles:
            return
        seq, bits, values = self.role.reserve_seq(), 1 << (judgement - 1), (float(request.part_id),) * VALUES
        result = Result(seq, request.trigger_seq, request.part_id, judgement, bits, reason, score=0.5, values=values)
        self._take(self.role.finish(request.cycle, result, self._now()))

    def _change(self, request: hs.Execute) -> None:
        known = request.param in RECIPES
        self.role.recipe_active = request.param if known else self.role.recipe_active
        self.role.command_finished(request.token, Code.NONE if known else Code.UNKNOWN_RECIPE)

    def _show(self) -> None:
        self._link.publish(self.role.outputs(self._now()))

    async def run(self) -> None:
        """The scan: 10 ms, a heartbeat at every 20th."""
        for turn in itertools.count():
            if turn % 20 == 0:
                self.role.beat()
            self._take(self.role.tick(self._now()))
            await asyncio.sleep(TICK)
