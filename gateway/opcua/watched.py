"""Stations' boards, watched from a carrier process: what changed is told to the links that show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.board import BoardReader, Image, TornError
from protocols.link import Link
from protocols.signals import Outputs
from protocols.station_view import Observer, Outcome, Seat

STALE = 1.0
"""Seconds without a sign of life after which what a board shows may be old."""

Told = Callable[[str], None]
"""Told of a face that failed."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A link of one station in this process, for whom it speaks, and what it shows beyond outputs, if it does."""

    station: int
    seat: Seat
    link: Link
    observer: Observer | None = None


class WatchedBoard:
    """One station's board and those that show it: first who drives, then the outcomes, then the outputs."""

    def __init__(self, reader: BoardReader, shown_by: Sequence[Carried], trouble: Told) -> None:
        self._reader = reader
        self._shown_by = tuple(shown_by)
        self._trouble = trouble
        self._turn = -1
        self._image: Image | None = None
        self._newest = 0
        self._stale = False
        self._outputs: dict[int, Outputs] = {}

    def look(self, now: float) -> bool:
        """Tell what is new at `now` (monotonic seconds); False when it must be looked at again soon, as it was torn."""
        if self._reader.turn == self._turn:
            self._judge_age(now)
            return True
        turn = self._reader.turn
        try:
            image = self._reader.read()
        except TornError:
            self._judge_age(now)
            return False
        self._turn = turn
        before, self._image = self._image, image
        self._judge_age(now)
        if before is None or image.seat is not before.seat:
            self._each(lambda observer: observer.driven(image.seat))
        if image.newest != self._newest:
            self._tell_outcomes(image.newest)
        self._publish(image)
        return True

    def close(self) -> None:
        """Look no more."""
        self._reader.close()

    def _judge_age(self, now: float) -> None:
        stale = self._image is not None and now - self._image.stamp > STALE
        if stale is not self._stale:
            self._stale = stale
            self._each(lambda observer: observer.stale(stale))

    def _tell_outcomes(self, newest: int) -> None:
        for outcome in self._reader.outcomes(self._newest, newest):
            self._each(partial(_tell, outcome))
        self._newest = newest

    def _publish(self, image: Image) -> None:
        for number, carried in enumerate(self._shown_by):
            outputs = image.link if carried.seat is Seat.LINK else image.outputs
            if self._outputs.get(number) is outputs:
                continue
            self._outputs[number] = outputs
            try:
                carried.link.publish(outputs)
            except Exception as error:  # noqa: BLE001 - one face that fails must not blind the others
                self._trouble(f"{_name(carried.link)}.publish failed: {type(error).__name__}: {error}")

    def _each(self, call: Callable[[Observer], None]) -> None:
        for carried in self._shown_by:
            if carried.observer is None:
                continue
            try:
                call(carried.observer)
            except Exception as error:  # noqa: BLE001 - as above
                self._trouble(f"{_name(carried.observer)} failed: {type(error).__name__}: {error}")


def _tell(outcome: Outcome, observer: Observer) -> None:
    observer.outcome(outcome)


def _name(face: object) -> str:
    return type(face).__name__
