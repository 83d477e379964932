"""What a station asks of any carrier, and what it offers to it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from protocols.signals import Command, Outputs


class LinkState(Enum):
    """Whether the carrier can bring commands; judged from the data's age, never from a socket that says connected."""

    DOWN = "down"
    UP = "up"


class LinkError(Exception):
    """A link that cannot work: the message is one sentence with place, cause and remedy."""


class MapError(LinkError):
    """We erred: a configured address or field does not fit the map."""


class PeerError(LinkError):
    """They erred: the peer answered wrongly, late or not at all."""


class Station(Protocol):
    """What a link sees of its station. Every call is synchronous, cheap and never raises."""

    def command(self, command: Command) -> None:
        """The PLC's command block, as one consistent moment, in the order written."""

    def link_changed(self, state: LinkState, reason: str) -> None:
        """The carrier went up or down; after UP the next command is a baseline, not an edge."""


class Link(Protocol):
    """One carrier of the contract between a station and its PLC."""

    def attach(self, station: Station) -> None:
        """Name the station to serve; once, before `run`."""

    def publish(self, outputs: Outputs) -> None:
        """Show these outputs as soon as the carrier can; a newer call replaces an older one."""

    async def run(self) -> None:
        """Serve until cancelled; raises LinkError only for what cannot mend itself (address in use)."""


@dataclass(slots=True)
class Backoff:
    """Growing pauses between attempts, with jitter: `first` → `limit` seconds, for ever."""

    first: float = 0.2
    limit: float = 2.0
    factor: float = 2.0
    jitter: float = 0.2
    _next: float = 0.0

    def pause(self) -> float:
        """The next pause in seconds, never above `limit`."""
        self._next = min(self.limit, self._next * self.factor) if self._next else self.first
        spread = 1.0 + self.jitter * (random.random() * 2 - 1)
        return min(self.limit, self._next * spread)

    def reset(self) -> None:
        """The last attempt worked: begin with `first` again."""
        self._next = 0.0
