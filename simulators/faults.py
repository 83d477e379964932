"""What goes wrong on a wire, as data: which bytes leave it when, and the script that says so. Pure, given `now`."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, NamedTuple

SLICES = 50
"""A throttled line passes on this many pieces a second."""


class Direction(Enum):
    """The two ways of a connection through the proxy."""

    UP = "up"
    """From whom has connected to whom was called."""
    DOWN = "down"
    """Back."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How one direction treats what passes; the default is a good wire. Times in seconds."""

    delay: float = 0.0
    jitter: float = 0.0
    """The delay varies by this much to either side."""
    split: float = 0.0
    """Not 0: every byte is a segment of its own."""
    merge: float = 0.0
    """What arrives within so long leaves as one segment."""
    flip: float = 0.0
    """Probability (0…1) that a byte has one of its bits turned."""
    throttle: float = 0.0
    """Bytes a second; 0 = no limit."""


@dataclass(slots=True)
class Weather:
    """The conditions of one direction now: what lasts, and what strikes the next piece alone."""

    lasting: Conditions = Conditions()
    once: dict[str, float] = field(default_factory=dict)

    def taken(self) -> Conditions:
        """The conditions of the next piece; what strikes once is spent."""
        now = replace(self.lasting, **self.once) if self.once else self.lasting
        self.once.clear()
        return now


class Piece(NamedTuple):
    """Bytes that leave as one segment, not before `due` (monotonic seconds)."""

    due: float
    data: bytes
    joins: bool = False
    """Leaves together with the next piece when that is due at the same moment."""


class Lane:
    """One direction of one connection. Bytes keep their order whatever the delays; the same seed, the same faults."""

    def __init__(self, weather: Weather, seed: int | str = 0) -> None:
        self.flipped = 0
        """Bits turned so far."""
        self._weather = weather
        self._chance = random.Random(seed)
        self._due = 0.0

    def carry(self, data: bytes, now: float) -> list[Piece]:
        """What leaves for these bytes, in this order."""
        how = self._weather.taken()
        if how.flip:
            data = self._turned(data, how.flip)
        due = now + max(0.0, how.delay + self._chance.uniform(-how.jitter, how.jitter))
        if how.merge:
            due = (due // how.merge + 1) * how.merge
        step = 1 if how.split else max(1, int(how.throttle / SLICES)) if how.throttle else len(data)
        return [self._piece(data[at : at + step], due, how) for at in range(0, len(data), step)]

    def _piece(self, data: bytes, due: float, how: Conditions) -> Piece:
        self._due = max(self._due, due) + (len(data) / how.throttle if how.throttle else 0.0)
        return Piece(self._due, data, bool(how.merge and not how.split))

    def _turned(self, data: bytes, probability: float) -> bytes:
        spoilt = bytearray(data)
        for at in range(len(spoilt)):
            if self._chance.random() < probability:
                spoilt[at] ^= 1 << self._chance.randrange(8)
                self.flipped += 1
        return bytes(spoilt)


# ---------------------------------------------------------------- the script

INSTANT: Final = ("fin", "rst", "drop")
"""Happen to the connections that are there; the rest are conditions that last."""


class When(Enum):
    """What makes a fault happen."""

    AT = "at"
    """So long after the start."""
    EVERY = "every"
    """Again and again, first after one period."""
    AFTER = "after"
    """When so many connections have been made."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of a script."""

    text: str
    when: When
    moment: float
    """Seconds, or a number of connections."""
    what: str
    """One of INSTANT, `refuse`, `clear`, or a name of `Conditions`."""
    values: Mapping[str, float]
    """Fields of `Conditions` to set."""
    direction: Direction | None = None
    """None: both."""
    lasts: float | None = None
    """Seconds; None: to the end, or with `every` for one piece alone."""


_TIME = r"([\d.]+) *(ms|s)\b"
_LINE = re.compile(
    rf"(?:(?P<rule>at|every) +(?P<time>{_TIME})|after +(?P<connections>\d+) +connections?|(?P<always>always))"
    rf" +(?P<what>[a-z]+)(?P<amount>.*?)(?: +for +(?P<lasts>{_TIME}))?(?: +(?P<direction>up|down))?"
)
_DELAY = re.compile(r"([\d.]+) *(?:(?:±|\+-) *([\d.]+) *)?(ms|s)")
_SHARE = re.compile(r"([\d.]+) *%")
_RATE = re.compile(r"([\d.]+) *B/s")

GRAMMAR = """\
A fault is WHEN WHAT [for TIME] [up|down]; up = from the caller, down = back; without it both.
  WHEN   at TIME | every TIME | after N connections | always
  WHAT   fin             close the connections that are there
         rst             reset them
         drop            swallow silently what they send from now on, nobody is told
         refuse          close new connections at once
         delay 50±20 ms  hold everything back (50+-20 ms is the same)
         split           each byte a segment of its own
         merge 20 ms     what comes within 20 ms leaves as one segment
         flip 1 %        probability that a byte has a bit turned
         throttle 100 B/s
         clear           all conditions that last end
With `every` and no `for` a condition strikes the next piece alone. TIME is 200 ms or 3s."""


def parse(text: str) -> Fault:
    """One fault from one line; ValueError with a sentence that says what is wrong."""
    match = _LINE.fullmatch(" ".join(text.split()))
    if match is None:
        raise ValueError(f"{text!r} is no fault; write for example 'at 3s rst' or 'every 200 ms delay 50±20 ms up'")
    when, moment = _when(match)
    what = match["what"]
    direction = Direction(match["direction"]) if match["direction"] else None
    lasts = _seconds(match["lasts"]) if match["lasts"] else None
    values = _values(what, match["amount"].strip(), text)
    if lasts is not None and (what in INSTANT or what == "clear"):
        raise ValueError(f"{text!r}: {what} is over at once, it takes no 'for'")
    if direction is not None and what in ("fin", "rst", "refuse", "clear"):
        raise ValueError(f"{text!r}: {what} concerns both directions, leave {direction.value} out")
    if what == "refuse" and when is When.EVERY and lasts is None:
        raise ValueError(f"{text!r}: say for how long new connections are refused, for example 'for 100 ms'")
    return Fault(text.strip(), when, moment, what, values, direction, lasts)


def parse_script(lines: Iterable[str]) -> list[Fault]:
    """One fault a line, a YAML list of strings reads the same; nothing after `#` counts. ValueError with the line."""
    faults = []
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip().removeprefix("- ").strip("\"' ")
        if text:
            try:
                faults.append(parse(text))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
    return faults


def _when(match: re.Match[str]) -> tuple[When, float]:
    if match["connections"]:
        return When.AFTER, int(match["connections"])
    if match["always"]:
        return When.AT, 0.0
    moment = _seconds(match["time"])
    if match["rule"] == "every" and moment <= 0:
        raise ValueError(f"{match.string!r}: a period must be more than 0")
    return When(match["rule"]), moment


def _seconds(text: str) -> float:
    milli = text.endswith("ms")
    return _number(text.removesuffix("ms" if milli else "s").strip()) / (1000 if milli else 1)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


def _values(what: str, amount: str, text: str) -> dict[str, float]:
    """The conditions that `what` with this amount sets; ValueError."""
    if what in (*INSTANT, "refuse", "clear", "split"):
        if amount:
            raise ValueError(f"{text!r}: {what} takes no amount ({amount})")
        return {"split": 1.0} if what == "split" else {}
    if what == "delay" and (match := _DELAY.fullmatch(amount)):
        scale = 1000 if match[3] == "ms" else 1
        return {"delay": _number(match[1]) / scale, "jitter": _number(match[2] or "0") / scale}
    if what == "merge" and re.fullmatch(_TIME, amount):
        return {"merge": _seconds(amount)}
    if what == "flip" and (match := _SHARE.fullmatch(amount)):
        return {"flip": min(1.0, _number(match[1]) / 100)}
    if what == "throttle" and (match := _RATE.fullmatch(amount)):
        return {"throttle": _number(match[1])}
    examples = {"delay": "delay 50±20 ms", "merge": "merge 20 ms", "flip": "flip 1 %", "throttle": "throttle 100 B/s"}
    if what in examples:
        raise ValueError(f"{text!r}: how much? For example '{examples[what]}'")
    raise ValueError(
        f"{text!r}: no fault is called {what}; there are {', '.join((*INSTANT, 'refuse', *examples))}, split"
    )
