"""FB_VisionStation before a gateway that is played by hand, for the tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from protocols.codec import Codec, WordOrder
from protocols.handshake import Style
from protocols.signals import (
    Command,
    Judgement,
    Outputs,
    Result,
    Status,
    StatusBit,
)
from tests.plc_export import order_of, plc
from tests.plc_program import PlcProgram

SCAN = 0.01
READY = StatusBit.ONLINE | StatusBit.READY


class Wire:
    """A PLC whose gateway is played by hand: the test says what the status block shows."""

    def __init__(self, block: PlcProgram, order: WordOrder) -> None:
        self.block, self.now, self.codec = block, 100.0, Codec(order)
        self.shown = Outputs(Status(bits=READY, heartbeat=1, boot_id=7))
        self.beating = True

    def show(self, result: Result | None = None, **status: int) -> None:
        self.shown = Outputs(replace(self.shown.status, **status), result or self.shown.result)

    def scan(self, count: int = 1, *, torn: bool = False, **inputs: object) -> Command:
        for _ in range(count):
            self.now += SCAN
            if self.beating:
                self.show(heartbeat=self.shown.status.heartbeat % 65535 + 1)
            raw = self.codec.encode_status(self.shown.status) + self.codec.encode_result(self.shown.result)
            self.block.scan_words(raw[:-2] + b"\xff\xff" if torn else raw, self.now, **inputs)
        return self.codec.decode_command(self.block.command_bytes())

    def __getitem__(self, name: str) -> object:
        return self.block.block[name]

    @property
    def verdict(self) -> set[str]:
        return {name for name in ("ok", "ng", "recheck", "fault") if self[name]}


def wire(language: str, style: Style = Style.SEQUENCE, **inputs: Any) -> Wire:
    one = Wire(plc(language, style, **inputs), order_of(language))
    one.scan(3)
    assert one["linkOk"]
    return one


def asked(one: Wire, part: int) -> int:
    """A request in sequence style, accepted; its number."""
    one.scan(part=part, trigger=True)
    seq = one.scan(2).trigger_seq
    one.show(trigger_seq_ack=seq, trigger_refused=0, bits=int(StatusBit.ONLINE | StatusBit.BUSY))
    one.scan(2)
    assert one["busy"]
    assert not one["done"]
    return seq


def result_for(seq: int, part: int, judgement: int = Judgement.OK, **more: object) -> Result:
    return Result(result_seq=9, trigger_seq=seq, part_id=part, judgement=judgement, **more)  # type: ignore[arg-type]


VALID = int(READY | StatusBit.RESULT_VALID)
