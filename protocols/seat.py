"""Who may command a station. Pure, and light enough for every start."""

from __future__ import annotations

from enum import IntEnum


class Seat(IntEnum):
    """Who may command a station; exactly one drives at a time."""

    LINK = 1
    """The station's configured link to its PLC, whatever carries it."""
    VARIABLES = 2
    """The Command variables of the OPC UA server, where they are not the configured link themselves."""
    MACHINE_VISION = 3
    """The methods of OPC 40100-1."""
