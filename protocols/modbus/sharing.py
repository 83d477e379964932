"""Who asks over which connection: serial lines have one master, and some devices accept one connection only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from protocols.link import MapError
from protocols.modbus.client_settings import TcpPeer
from protocols.modbus.peer_settings import Peer
from protocols.modbus.rtu_settings import SerialConfig, SerialPeer

if TYPE_CHECKING:
    from protocols.modbus.rtu_exchange import SerialMaster
    from protocols.modbus.turns import Connection


class Sharing:
    """The lines and single connections that stations and devices of one gateway share."""

    def __init__(self, everybody: Iterable[object]) -> None:
        """`everybody`: the configurations of all links and devices; those that ask nobody are passed over."""
        known = tuple(everybody)
        self._single = {p.place for p in known if isinstance(p, TcpPeer) and p.quirks.one_connection}
        self._served = {p.place for p in known if isinstance(p, SerialConfig) and not isinstance(p, SerialPeer)}
        self._connections: dict[str, tuple[TcpPeer, str, Connection]] = {}
        self._masters: dict[str, tuple[SerialPeer, str, SerialMaster]] = {}

    def connection(self, peer: Peer, name: str) -> Connection:
        """A connection of its own, or the one that all share; raises MapError when they want it differently."""
        if isinstance(peer, SerialPeer):
            return self._on_line(peer, name)
        if not isinstance(peer, TcpPeer) or peer.place not in self._single:
            return peer.connection()
        if peer.place not in self._connections:
            self._connections[peer.place] = peer, name, peer.connection()
        first, called, connection = self._connections[peer.place]
        if not peer.may_share(first):
            raise MapError(
                f"{called} and {name} share the one connection of {peer.place} but set other quirks, time-outs or "
                "TLS; give both the same"
            )
        return connection

    def _on_line(self, peer: SerialPeer, name: str) -> Connection:
        """The line has one master; each that asks has its own time-out and its own quirks."""
        if peer.place in self._served:
            raise MapError(f"{name} wants to be master of {peer.place}, where the gateway is a unit; use another line")
        if peer.place not in self._masters:
            self._masters[peer.place] = peer, name, peer.master()
        first, called, master = self._masters[peer.place]
        if peer.line() != first.line():
            raise MapError(
                f"{called} and {name} share {peer.place} but set the line up differently; give both the same"
            )
        return peer.connection(master)


def clash(first: object, second: object) -> tuple[str, str] | None:
    """The key of the second that cannot be so beside the first, and why, where they name one line or one address.

    The text has `{other}` where the first is to be named.
    """
    if isinstance(first, SerialConfig) and isinstance(second, SerialConfig):
        return _line_clash(first, second)
    if isinstance(first, TcpPeer) and isinstance(second, TcpPeer):
        single = first.place == second.place and (first.quirks.one_connection or second.quirks.one_connection)
        if single and not first.may_share(second):
            text = f"{second.place} has one connection, which {{other}} shares with other quirks, time-outs or tls"
            return "quirks", f"{text}; set the same for both"
    return None


def _line_clash(first: SerialConfig, second: SerialConfig) -> tuple[str, str] | None:
    if first.place != second.place:
        return None
    if isinstance(first, SerialPeer) != isinstance(second, SerialPeer):
        text = f"{second.place} is also the line of {{other}}, and the gateway cannot be master and unit of one line"
        return "device", f"{text}; give one of them another device"
    if first.line() != second.line():
        text = f"{second.place} is shared with {{other}}, which sets the line up differently"
        return "device", f"{text} (baud, parity, stop_bits, rs485, echo, …); set the same"
    return None
