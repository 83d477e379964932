"""PLC families as the simulated PLC plays them: what their masters ask for, and what their servers grant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from protocols.codec import StringOrder, WordOrder

READ_HOLDING, READ_INPUT = 3, 4
COMMON: Final = frozenset({1, 2, 3, 4, 5, 6, 15, 16})
"""What nearly every PLC serves (MODBUS Application Protocol V1.1b3, §6; the rest is answered 01)."""
ALL: Final = COMMON | {22, 23}


@dataclass(frozen=True, slots=True)
class Serving:
    """A PLC that is polled."""

    functions: frozenset[int] = ALL
    """Others are answered by exception 01."""
    max_read: int = 125
    """Registers in one request; more is answered by exception 03."""
    max_write: int = 123
    connections: int = 0
    """More than so many are closed at once; 0 = no limit."""
    once_a_scan: bool = False
    """Requests are answered between two scans only, not when they come."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A PLC that polls."""

    function: int = READ_INPUT
    """Reads status and result as input registers (4) or from their mirror in the holding registers (3)."""
    max_read: int = 125
    """Registers in one request: with less than 64 the block comes in pieces, and may be torn."""
    separate: bool = False
    """Discrete inputs, input registers, holding registers and coils in requests of their own, written anew at every
    poll, changed or not; CONTROL goes by coils, last."""
    reopens: bool = False
    """Asks for a register that is not there at every tenth poll, and reconnects when it is told so."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One family."""

    text: str
    words: WordOrder = WordOrder.ABCD
    strings: StringOrder = StringOrder.BIG
    scan: float = 0.01
    """Seconds."""
    asking: Asking = field(default_factory=Asking)
    serving: Serving = field(default_factory=Serving)


_LOW_FIRST: Final = (WordOrder.CDAB, StringOrder.LITTLE)

PROFILES: Final[dict[str, Profile]] = {
    "generic": Profile("ABCD, everything allowed, scan 10 ms"),
    "s7": Profile(
        "Siemens S7-1200/1500: ABCD, one connection for each MB_SERVER, no FC22/23",
        serving=Serving(COMMON, connections=1, once_a_scan=True),
    ),
    "codesys": Profile(
        "CODESYS 3.5: CDAB, each channel a request of its own, no FC22, scan 20 ms",
        *_LOW_FIRST, scan=0.02, serving=Serving(COMMON | {23}, once_a_scan=True),
    ),
    "rockwell": Profile(
        "Rockwell Logix: CDAB, INT arrays, at most 120 registers a request, no FC22/23, scan 20 ms",
        *_LOW_FIRST, scan=0.02, asking=Asking(max_read=120), serving=Serving(COMMON, 120, 120),
    ),
    "mitsubishi": Profile(
        "Mitsubishi Q/iQ-R: CDAB, scan 10 ms, serves once a scan", *_LOW_FIRST, serving=Serving(once_a_scan=True)
    ),
    "modicon": Profile(
        "Schneider M340/M580: CDAB, reads %MW only (holding registers), at most 120 to write, no FC22, scan 20 ms",
        *_LOW_FIRST, scan=0.02, asking=Asking(READ_HOLDING), serving=Serving(COMMON | {23}, max_write=120),
    ),
    "softplc": Profile(
        "a soft PLC's master: bits, inputs and holdings in separate requests, all rewritten at every poll, scan 20 ms",
        scan=0.02, asking=Asking(separate=True),
    ),
    "one-connection": Profile("a device with room for one connection: a second is closed",
                              serving=Serving(connections=1)),
    "reopening": Profile("a master that closes and reopens its connection when it is answered by an exception",
                         asking=Asking(reopens=True)),
    "pieces": Profile("a master that reads at most 32 registers a request, so that blocks may be torn",
                      asking=Asking(max_read=32)),
    "slow": Profile("a PLC with a scan of 150 ms that serves Modbus once a scan",
                    scan=0.15, serving=Serving(COMMON, once_a_scan=True)),
}  # fmt: skip
