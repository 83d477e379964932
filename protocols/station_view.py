"""What a carrier in another process knows of a station beyond the wire's words: who drives, names, results. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from protocols.seat import Seat
from protocols.signals import Judgement, Result

__all__ = ["Observer", "Outcome", "RecipeFacts", "Seat", "StationFacts"]


@dataclass(frozen=True, slots=True)
class RecipeFacts:
    """A recipe as outsiders may know it; `digest` is the SHA-256 of all that it judges by."""

    number: int
    name: str
    revision: int = 1
    description: str = ""
    digest: bytes = b""
    values: tuple[str, ...] = ()
    """Names of VALUE_0 … in order."""
    checks: tuple[str, ...] = ()
    """Names of the bits 8 … of RESULT_BITS in order."""
    codes: tuple[tuple[int, str], ...] = ()
    """REASON of a part that is not good, and the name of the rule that gives it."""


@dataclass(frozen=True, slots=True)
class StationFacts:
    """What does not change while a station runs. `boot_id`: another one after each start of the gateway."""

    name: str
    recipes: tuple[RecipeFacts, ...]
    boot_id: int = 0
    config_crc: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One inspection as it is recorded, with what the result words do not carry. Times in seconds since 1970 UTC."""

    number: int
    """Counts 1, 2, … without gaps in one run of the gateway: a gap is a result that was missed."""
    result: Result
    serial: str = ""
    seat: Seat = Seat.LINK
    """Who drove when it was triggered."""
    accepted: float = 0.0
    exposed: float = 0.0
    decided: float = 0.0
    rule: str = ""
    detail: str = ""

    @property
    def good(self) -> bool:
        return self.result.judgement == Judgement.OK


class Observer(Protocol):
    """A carrier that shows more than the newest outputs. Every call is synchronous, cheap and never raises."""

    def driven(self, seat: Seat) -> None:
        """Who drives the station from now on; told before the outputs that follow from it."""

    def outcome(self, outcome: Outcome) -> None:
        """Every inspection once, in order, also those asked for by others."""

    def stale(self, stale: bool) -> None:
        """Nothing has been heard of the station for a second, or it is heard again: what is shown may be old."""
