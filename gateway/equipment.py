"""What a station asks of the equipment around it: values to record, parts on their way, lamps and gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from protocols.signals import Judgement

if TYPE_CHECKING:
    from protocols.tags import TagValue

_NOTHING: Mapping[str, TagValue] = {}


class Equipment(Protocol):
    """Every call is synchronous and cheap; none is made between trigger and result but `snapshot` and `accepted`."""

    def snapshot(self) -> Mapping[str, TagValue]:
        """The values to record with a trigger of this moment."""

    def accepted(self, cycle: int) -> None:
        """A part passed the camera, and this cycle looks at it."""

    def refused(self) -> None:
        """A part may have passed the camera, and nobody looked."""

    def decided(self, cycle: int, judgement: Judgement) -> None:
        """The outcome of a cycle, as it is recorded and shown."""

    def doubt(self) -> None:
        """Something may have been missed: what is on its way is not proved."""

    async def stop(self, wait: float) -> None:
        """Gates to reject, lamps to idle; returns when the devices have confirmed, or after `wait` seconds."""


class NoEquipment:
    """A station with nothing around it."""

    def snapshot(self) -> Mapping[str, TagValue]:
        """None."""
        return _NOTHING

    def accepted(self, cycle: int) -> None:
        """Nothing to do."""

    def refused(self) -> None:
        """Nothing to do."""

    def decided(self, cycle: int, judgement: Judgement) -> None:
        """Nothing to do."""

    def doubt(self) -> None:
        """Nothing to do."""

    async def stop(self, wait: float) -> None:
        """Nothing to wait for."""
