"""What the configurations of all links have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from protocols.codec import Codec, StringOrder, WordOrder

OnEvent = Callable[[int, str], None]
"""Told of what a person should know: a fault code and one sentence."""


class Service(Protocol):
    """Something that links share and that must run beside them: a listener."""

    name: str

    async def run(self) -> None:
        """Serve until cancelled; raises LinkError for what cannot mend itself."""


class Settings(BaseModel):
    """A part of the configuration file: unknown keys are errors, values stay as they are."""

    # The root configuration builds these schemas as its own; building them here too would only delay the start.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Orders(Settings):
    """In which order a PLC keeps the parts of what is longer than one word."""

    word_order: WordOrder = WordOrder.ABCD
    """Order of the two words of a UDINT or REAL: ABCD Siemens; CDAB CODESYS, Beckhoff, Mitsubishi, Rockwell."""
    string_order: StringOrder = StringOrder.BIG
    """Which byte of a word holds the first of its two characters."""

    def codec(self) -> Codec:
        """Records ↔ words as this PLC wants them."""
        return Codec(self.word_order, self.string_order)
