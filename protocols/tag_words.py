"""The words of the configuration of tags: types, and what makes a tag trigger. Pure, and cheap to import."""

from __future__ import annotations

from enum import StrEnum

TYPE_PATTERN = r"^(bool|u?int(16|32|64)|float(32|64)|string\[([1-9][0-9]?|1[0-9][0-9]|2[0-3][0-9]|240)\])$"
"""The types of a tag; `string[n]` has 1 to 240 characters, so that each fits into one request."""
REF_PATTERN = r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"
"""A tag as others name it: `device.tag`."""


class When(StrEnum):
    """What makes a tag trigger."""

    RISE = "rise"
    """false → true, or a number that grew by more than the deadband."""
    FALL = "fall"
    CHANGE = "change"
    """Another value; of a number, by more than the deadband."""
    COUNT = "count"
    """An integer that counts up by one for each part and begins again at the end of its range."""
    ABOVE = "above"
    """A number that rises above the threshold; it must fall by the hysteresis before it counts again."""
    BELOW = "below"
    EQUALS = "equals"
    """The value becomes a given one: a program state, a mode."""
