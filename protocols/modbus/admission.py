"""Who may connect to a listener, and who gives way when it is full. Pure: is given `now`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from protocols.faults import Code

ANY = ("any",)
"""Everybody, said aloud."""
RESERVED = 8
"""Connections of each configured PLC that do not count against the others': some PLCs open one for each block."""
PER_ADDRESS = 16
CONNECTS_PER_SECOND = 20.0
"""Of other computers, where nothing is set: masters that connect anew for each poll do so ten times a second."""
BURST_S = 10.0
"""Seconds' worth of connects that may come at once."""
REMEMBERED = 1024
"""Addresses whose connects are counted; beyond that the longest known are forgotten."""

_Net = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Access:
    """Who may connect, and how often."""

    allow: tuple[str, ...] = ANY
    """Addresses and networks (CIDR); `plc` is allowed besides."""
    plc: tuple[str, ...] = ()
    """Addresses of the configured PLCs: they find room when all is taken, and never give way to others."""
    per_address: int | None = None
    """Connections of one address; None = PER_ADDRESS, and without bound for this computer itself."""
    connects_per_second: float | None = None
    """Of one address that is no configured PLC; None = CONNECTS_PER_SECOND, and without bound for this computer."""


class Member(Protocol):
    """What the door sees of a connection."""

    peer: str

    def idle(self, now: float) -> bool:
        """Whether it has asked nothing yet, or nothing for a while."""


M = TypeVar("M", bound=Member)


class TurnedAwayError(Exception):
    """This peer gets no connection: with its code, and why in words."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


def network(text: str) -> _Net:
    """An address or network; ValueError in one sentence."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no address and no network as 192.168.3.0/24 ({error})") from None


def plain(address: str) -> str:
    """An address as it is compared: an IPv4 address that arrived on an IPv6 socket is an IPv4 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def loopback(address: str) -> bool:
    """Whether this computer alone can be there; names but localhost are not looked up."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class Door(Generic[M]):
    """The connections of one listener, oldest first, and who is let in beside them."""

    def __init__(self, access: Access, connections: int) -> None:
        """`connections` in all, besides those reserved for the configured PLCs."""
        self.members: dict[M, None] = {}
        self._access = access
        self._connections = connections
        self._plc = frozenset(plain(address) for address in access.plc)
        self._nets = None if access.allow == ANY else tuple(network(text) for text in access.allow)
        self._by_address: dict[str, dict[M, None]] = {}
        self._due: dict[str, float] = {}

    def configured(self, peer: str) -> bool:
        """Whether this is the address of a configured PLC."""
        return peer in self._plc

    def of(self, peer: str) -> tuple[M, ...]:
        """The connections of one address."""
        return tuple(self._by_address.get(peer, ()))

    def knock(self, peer: str, now: float) -> None:
        """Raise TurnedAwayError for who is not allowed, or comes too often."""
        if not self._allowed(peer):
            raise TurnedAwayError(Code.PEER_REFUSED, "is not in allow")
        rate = self._rate(peer)
        if rate and not self._in_time(peer, rate, now):
            raise TurnedAwayError(Code.CLIENT_LIMIT, f"connects more than {rate:g} times a second")

    def room(self, peer: str, now: float) -> M | None:
        """Room for one more of this address: who gives way to it, None for nobody; raises TurnedAwayError."""
        own, most = self._by_address.get(peer, {}), self._most(peer)
        if most and len(own) >= most:
            return self._first_idle(own, now, f"has all {most} connections of one address already")
        if self.configured(peer) and len(own) < RESERVED:
            return None
        if self._counted() < self._connections:
            return None
        others = {member: None for member in self.members if member.peer == peer or not self.configured(member.peer)}
        return self._first_idle(others, now, f"finds all {self._connections} connections taken")

    def enter(self, member: M) -> None:
        """It is in."""
        self.members[member] = None
        self._by_address.setdefault(member.peer, {})[member] = None

    def leave(self, member: M) -> bool:
        """It is out, or was before; True when it was the last of its address."""
        own = self._by_address.get(member.peer)
        if own is None or member not in own:
            return False
        del own[member], self.members[member]
        if not own:
            del self._by_address[member.peer]
        return not own

    def _allowed(self, peer: str) -> bool:
        if self._nets is None or self.configured(peer):
            return True
        try:
            address: _Address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in net for net in self._nets)

    def _rate(self, peer: str) -> float:
        """Connects a second, 0 for any number."""
        if self.configured(peer):
            return 0.0
        rate = self._access.connects_per_second
        return rate if rate is not None else 0.0 if loopback(peer) else CONNECTS_PER_SECOND

    def _most(self, peer: str) -> int:
        """Connections, 0 for any number."""
        most = self._access.per_address
        return most if most is not None else 0 if loopback(peer) else PER_ADDRESS

    def _in_time(self, peer: str, rate: float, now: float) -> bool:
        """A leaky bucket for each address, kept as the moment at which it is empty."""
        empty = max(self._due.pop(peer, now), now)
        good = empty + 1 / rate <= now + BURST_S
        self._due[peer] = empty + 1 / rate if good else empty  # put back as the newest
        if len(self._due) > REMEMBERED:
            self._due = {address: due for address, due in self._due.items() if due > now}
            while len(self._due) > REMEMBERED:
                del self._due[next(iter(self._due))]
        return good

    def _counted(self) -> int:
        """Connections without those in the slots reserved for configured PLCs."""
        reserved = sum(min(RESERVED, len(self._by_address.get(peer, ()))) for peer in self._plc)
        return len(self.members) - reserved

    def _first_idle(self, members: dict[M, None], now: float, why: str) -> M:
        for member in members:
            if member.idle(now):
                return member
        raise TurnedAwayError(Code.CLIENT_LIMIT, why)
