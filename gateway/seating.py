"""What stands between a station and all that drive or show it: its link, the seats of the carriers, and its board."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

from gateway.board import BoardWriter
from gateway.inspection import Inspection
from protocols import seats
from protocols.link import Link, LinkState, Station
from protocols.signals import Command, Outputs, Result
from protocols.station_view import Outcome, Seat


@runtime_checkable
class Driven(Station, Protocol):
    """What is asked of a station that several may drive."""

    @property
    def executing(self) -> bool:
        """A command of the driver's is being carried out."""

    def driven(self, handover: seats.Handover) -> None:
        """Another one drives from now on."""

    def turned_away(self, turned: seats.Turned) -> None:
        """Somebody who does not drive asked for something."""


class Seating:
    """One station's link as the station sees it. All on the control loop; nothing waits or raises."""

    def __init__(
        self, link: Link, board: BoardWriter, bells: Sequence[Callable[[], None]], wall: Callable[[], float] = time.time
    ) -> None:
        self.board = board
        self._link = link
        self._bells = tuple(bells)
        self._wall = wall
        self._seats = seats.Seats(lambda: self._station is not None and self._station.executing)
        self._station: Driven | None = None
        self._outcomes = 0

    def attach(self, station: Station) -> None:
        """Name the station to serve: one that can be handed over."""
        if not isinstance(station, Driven):
            raise TypeError(f"{type(station).__name__} cannot be handed over")
        self._station = station
        self._link.attach(self.port(Seat.LINK))

    def port(self, seat: Seat) -> Station:
        """The station as this seat sees it."""
        return _Port(self, seat)

    def open(self) -> None:
        """The station knows where its last run ended: from now on it can be taken."""
        self._seats.open()

    async def run(self) -> None:
        """Serve the link until cancelled."""
        await self._link.run()

    # ------------------------------------------------------------ what the station shows

    def publish(self, outputs: Outputs) -> None:
        """Show these outputs to the driver, and to the others what is theirs."""
        due = self._seats.published(outputs)
        if due:
            asyncio.get_running_loop().call_soon(self._settle)
        self._show(outputs)

    def outcome(self, inspection: Inspection, result: Result) -> None:
        """An inspection as it is recorded; those who watch see it with the outputs that follow."""
        self._outcomes += 1
        trigger = inspection.trigger
        self.board.add(
            Outcome(
                number=self._outcomes,
                result=result,
                serial=trigger.serial,
                seat=trigger.seat,
                accepted=trigger.utc,
                exposed=inspection.exposed_utc,
                decided=self._wall(),
                rule=inspection.rule,
                detail=inspection.detail,
            )
        )

    def _show(self, outputs: Outputs) -> None:
        known, view = self._seats, self._seats.link_view
        self._link.publish(view)
        self.board.publish(known.driver, known.command_seen, outputs, None if view is outputs else view)
        for ring in self._bells:
            ring()

    # ------------------------------------------------------------ what the seats say

    def command(self, seat: Seat, command: Command) -> None:
        """A command block of this seat."""
        before = self._seats.link_view
        self._do(self._seats.command(seat, command))
        if seat is Seat.LINK and self._seats.driver is not seat and self._seats.link_view is not before:
            self._link.publish(self._seats.link_view)

    def link_changed(self, seat: Seat, state: LinkState, reason: str) -> None:
        """The carrier of this seat went up or down."""
        self._do(self._seats.link_changed(seat, state, reason))

    def _settle(self) -> None:
        self._do(self._seats.settle())

    def _do(self, acts: Iterable[seats.Act]) -> None:
        """Carry out each act before the next is asked for."""
        station = self._station
        for act in acts:
            if station is None:
                continue
            match act:
                case seats.Pass(command):
                    station.command(command)
                case seats.Told(state, reason):
                    station.link_changed(state, reason)
                case seats.Handover():
                    station.driven(act)
                case seats.Turned():
                    station.turned_away(act)


class _Port:
    """The station as one seat sees it."""

    def __init__(self, seating: Seating, seat: Seat) -> None:
        self._seating, self._seat = seating, seat

    def command(self, command: Command) -> None:
        """The PLC's command block, as one consistent moment, in the order written."""
        self._seating.command(self._seat, command)

    def link_changed(self, state: LinkState, reason: str) -> None:
        """The carrier went up or down."""
        self._seating.link_changed(self._seat, state, reason)
