"""A gateway without wire, clock or camera, for a simulated PLC: the vision role behind a carrier of bytes."""

from __future__ import annotations

import asyncio

from protocols import handshake as hs
from protocols.codec import Codec
from protocols.handshake import CycleSettings
from protocols.signals import Command, Judgement, Result
from protocols.vision_role import VisionRole
from simulators.carriers import CarrierError
from simulators.plc import Answer, Plc

SCAN = 0.01


class Bench:
    """The carrier and the gateway behind it; `now` moves only with `scan`."""

    def __init__(self, *, delay: float = 0.035, codec: Codec | None = None) -> None:
        self.name = "bench"
        self.now = 100.0
        self.delay = delay
        self.codec = codec or Codec()
        self.role = VisionRole(CycleSettings(), boot_id=7)
        self.down = False
        self.torn = False
        self.written: list[Command] = []
        self.accepted: list[hs.Accepted] = []
        self.refused: list[hs.Refused] = []
        self.acknowledged: list[int] = []
        self.ignored: list[int] = []
        self._running: list[hs.Accepted] = []
        self._beat_at = self.now

    @property
    def connected(self) -> bool:
        return not self.down

    async def open(self) -> None:
        if self.down:
            raise CarrierError("bench: the cable is out")
        self.role.resync(self.now)

    async def read(self) -> bytes:
        if self.down:
            raise CarrierError("bench: the cable is out")
        outputs = self.role.outputs(self.now)
        result = bytearray(self.codec.encode_result(outputs.result))
        if self.torn:
            result[-1] ^= 1
        return self.codec.encode_status(outputs.status) + bytes(result)

    async def write(self, block: bytes) -> None:
        command = self.codec.decode_command(block)
        self.written.append(command)
        self._take(self.role.command(command, self.now))

    async def signature(self) -> bytes | None:
        return self.codec.encode_signature()

    async def close(self) -> None:
        return

    def clock(self) -> float:
        return self.now

    def _take(self, actions: list[hs.Action]) -> None:
        for action in actions:
            match action:
                case hs.Accepted():
                    self.accepted.append(action)
                    self._running.append(action)
                case hs.Refused():
                    self.refused.append(action)
                case hs.Acknowledged(seq):
                    self.acknowledged.append(seq)
                case hs.AckIgnored(seq):
                    self.ignored.append(seq)
                case _:
                    pass

    async def scan(self, plc: Plc) -> None:
        """10 ms of plant: what is due is finished, the heartbeat beats, the PLC scans once."""
        self.now += SCAN
        if self.now >= self._beat_at:
            self._beat_at += 0.2
            self.role.beat()
        self._take(self.role.tick(self.now))
        for request in [r for r in self._running if self.now >= r.at + self.delay]:
            self._running.remove(request)
            judgement = Judgement.NG if request.part_id % 3 == 0 else Judgement.OK
            seq = self.role.reserve_seq()
            result = Result(seq, request.trigger_seq, request.part_id, judgement, bits=1 << (judgement - 1), score=0.5)
            self._take(self.role.finish(request.cycle, result, self.now))
        await plc.exchange()

    async def scans(self, plc: Plc, count: int) -> None:
        """That many scans."""
        for _ in range(count):
            await self.scan(plc)

    async def inspect(self, plc: Plc, part_id: int, serial: str = "") -> Answer:
        """Ask for one part and scan until the answer is there."""
        asking = asyncio.create_task(plc.inspect(part_id, serial))
        for _ in range(400):
            await asyncio.sleep(0)
            if asking.done():
                break
            await self.scan(plc)
        return await asking
