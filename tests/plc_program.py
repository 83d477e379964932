"""FB_VisionStation as a PLC's program: the text that is exported, executed; the same surface as `PlcRole`."""

from __future__ import annotations

import struct
from typing import Any

from protocols.codec import Codec
from protocols.handshake import Style
from protocols.plc_role import Outcome
from protocols.signals import Command, Judgement, Outputs
from tests.structured_text import Program

COMMAND_WORDS, STATUS_WORDS = 32, 64


class PlcProgram:
    """One instance of the block with its two arrays; `signed` where words are INT."""

    def __init__(self, program: Program, style: Style, codec: Codec, *, signed: bool = False, **inputs: Any) -> None:
        self._program = program
        self.block = program.instance("FB_VisionStation")
        self._codec, self._format = codec, "h" if signed else "H"
        self.words: dict[str, list[int]] = {"command": [0] * COMMAND_WORDS, "status": [0] * STATUS_WORDS}
        self._inputs: dict[str, Any] = {"enable": True, "useBits": style is Style.BITS, **inputs}
        self.outcome: Outcome | None = None
        """Of the last request."""
        self._asked: int | None = None

    # ------------------------------------------------------------ as PlcRole

    def request(self, part_id: int, now: float, *, serial: str = "") -> None:
        if not self.block["looked"]:
            self.scan_words(None, now)  # an input that is TRUE in the first scan of all is no edge
        self.outcome = None
        self._asked = part_id
        self._inputs.update(trigger=True, part=part_id)

    @property
    def busy(self) -> bool:
        return self._asked is not None or bool(self.block["busy"])

    @property
    def command(self) -> Command:
        return self._codec.decode_command(self.command_bytes())

    def scan(self, outputs: Outputs, now: float) -> Command:
        self.scan_words(self._codec.encode_status(outputs.status) + self._codec.encode_result(outputs.result), now)
        return self.command

    # ------------------------------------------------------------ words

    def command_bytes(self) -> bytes:
        """The command block as it goes over the wire."""
        return struct.pack(f">{COMMAND_WORDS}{self._format}", *self.words["command"])

    def scan_words(self, status: bytes | None, now: float, **inputs: Any) -> None:
        """One scan at `now` seconds; None: the driver has read nothing new."""
        if status is not None:
            self.words["status"][:] = struct.unpack(f">{STATUS_WORDS}{self._format}", status)
        given = {**self._inputs, **inputs, "exchanged": status is not None}
        self.block.scan(now * 1000, **self.words, **given)
        self._inputs["trigger"] = False
        if self._asked is not None and self.block["done"]:
            self.outcome, self._asked = self._judged(self._asked), None

    def prescan(self, now: float) -> None:
        """Logix at power-up: the tags have kept their values, and the Prescan routine runs on them."""
        routine = self._program.instance("Prescan")
        routine.values = self.block.values
        routine.scan(now * 1000)

    def set(self, **inputs: Any) -> None:
        """Inputs that stay until they are set anew."""
        self._inputs.update(inputs)

    def _judged(self, asked: int) -> Outcome:
        outputs = ("ok", "ng", "recheck", "fault")
        on = [name for name in outputs if self.block[name]]
        assert len(on) == 1, f"exactly one verdict: {on}"
        result = self.block["result"]
        assert result["partId"] == asked, "the outcome of another part"
        judgement = Judgement(outputs.index(on[0]) + 1)
        seen = self._codec.decode_result(struct.pack(f">{STATUS_WORDS}{self._format}", *self.words["status"])[32:])
        return Outcome(asked, judgement, self.block["code"], seen if result["resultSeq"] else None)
