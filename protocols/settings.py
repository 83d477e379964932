"""What the configurations of all links have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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


def _host(text: str) -> str:
    """RFC 1123 §2.1 for names; addresses pass as they are."""
    name = text.rstrip(".")
    if ":" not in name and not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"{text!r} is no host name and no address")
    return text


_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
Host = Annotated[str, Field(max_length=253), AfterValidator(_host)]
"""A host that is asked: its name or address."""


class Orders(Settings):
    """In which order a PLC keeps the parts of what is longer than one word."""

    word_order: WordOrder = WordOrder.ABCD
    """Order of the two words of a UDINT or REAL: ABCD Siemens; CDAB CODESYS, Beckhoff, Mitsubishi, Rockwell."""
    string_order: StringOrder = StringOrder.BIG
    """Which byte of a word holds the first of its two characters."""

    def codec(self) -> Codec:
        """Records ↔ words as this PLC wants them."""
        return Codec(self.word_order, self.string_order)
