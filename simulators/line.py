"""The line: parts arrive at a steady rate, the PLC asks for each, and what came back is held against the truth."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from protocols.signals import Judgement
from simulators.plc import Answer, percentile

Truth = Callable[[int], tuple[str, ...]]
"""What is wrong with a part, by its number; nothing for a good one."""

VERDICTS = (Judgement.OK, Judgement.NG, Judgement.RECHECK, Judgement.FAULT)


@dataclass(frozen=True, slots=True)
class Record:
    """One part that went by: what is wrong with it (None: nobody knows), what the gateway said, how late it arrived."""

    part_id: int
    defects: tuple[str, ...] | None
    answer: Answer
    waited: float = 0.0
    """Seconds that the part stood before the camera because the PLC was still busy with the one before."""

    @property
    def right(self) -> bool:
        """OK for a good part or NG for a bad one; anything else is not right."""
        wanted = Judgement.NG if self.defects else Judgement.OK
        return self.defects is not None and self.answer.judgement is wanted


@dataclass(slots=True)
class Tally:
    """The count of a run, part by part; times in seconds."""

    parts: int = 0
    judged: Counter[Judgement] = field(default_factory=Counter)
    confusion: Counter[tuple[bool, Judgement]] = field(default_factory=Counter)
    """(good part, what was said) → how many."""
    unanswered: int = 0
    """Parts without a result: refused, or no answer in time."""
    late: int = 0
    """Results that the PLC saw later than the gateway's deadline."""
    waited: int = 0
    responses: list[float] = field(default_factory=list)
    deadline: float = 0.3

    def add(self, record: Record) -> None:
        """Count one part."""
        answer = record.answer
        self.parts += 1
        self.judged[answer.judgement] += 1
        if record.defects is not None:
            self.confusion[not record.defects, answer.judgement] += 1
        self.unanswered += answer.result is None
        self.waited += record.waited > 0
        if answer.response is not None:
            self.responses.append(answer.response)
            self.late += answer.response > self.deadline

    @property
    def known(self) -> int:
        """Parts of which the truth is known."""
        return sum(self.confusion.values())

    @property
    def decided(self) -> int:
        """Parts of known truth that were called OK or NG: RECHECK and FAULT decide nothing."""
        return sum(self.confusion[good, verdict] for good in (True, False) for verdict in (Judgement.OK, Judgement.NG))

    @property
    def rechecks(self) -> int:
        return self.judged[Judgement.RECHECK]

    @property
    def right(self) -> int:
        return self.confusion[True, Judgement.OK] + self.confusion[False, Judgement.NG]

    @property
    def escapes(self) -> int:
        """Bad parts that were called OK."""
        return self.confusion[False, Judgement.OK]

    @property
    def false_rejects(self) -> int:
        """Good parts that were called NG."""
        return self.confusion[True, Judgement.NG]

    def response(self, share: float) -> float:
        """The time from trigger to result seen that this share of the parts did not exceed; NaN without any."""
        return percentile(self.responses, share)

    def as_json(self) -> dict[str, Any]:
        """Numbers only; times in milliseconds."""
        return {
            "parts": self.parts,
            "judged": {verdict.name: self.judged[verdict] for verdict in VERDICTS},
            "good": {verdict.name: self.confusion[True, verdict] for verdict in VERDICTS},
            "bad": {verdict.name: self.confusion[False, verdict] for verdict in VERDICTS},
            "right": self.right,
            "decided": self.decided,
            "escapes": self.escapes,
            "false_rejects": self.false_rejects,
            "unanswered": self.unanswered,
            "late": self.late,
            "waited": self.waited,
            "response_ms": {
                name: round(self.response(share) * 1000, 3) if self.responses else None
                for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            },
        }


async def arrivals(
    rate: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[float]:
    """Yield at each part's arrival, `rate` a second without drift: by how many seconds its turn has passed already."""
    start, number = clock(), 0
    while True:
        due = start + number / rate
        await sleep(max(0.0, due - clock()))
        yield max(0.0, clock() - due)
        number += 1


async def run(  # noqa: PLR0913 - a line has that many settings
    inspect: Callable[[int, str], Awaitable[Answer]],
    *,
    rate: float = 5.0,
    parts: int | None = None,
    seconds: float | None = None,
    first: int = 1,
    truth: Truth | None = None,
    serial: Callable[[int], str] = lambda number: "",
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Record]:
    """Bring parts `first`, `first` + 1, … to the PLC until that many or that long; a part waits for the one before."""
    number, until = first, None if seconds is None else clock() + seconds
    async for waited in arrivals(rate, clock, sleep):
        if (parts is not None and number - first >= parts) or (until is not None and clock() >= until):
            return
        answer = await inspect(number, serial(number))
        tolerance = 0.5 / rate  # less than this is the clock's grain, not a queue
        yield Record(number, truth(number) if truth else None, answer, waited if waited > tolerance else 0.0)
        number += 1


def truth_of(seed: int, defect_rate: float) -> Truth:
    """The truth about the parts that the simulated camera of this seed and defect rate photographs."""
    from simulators.parts import PartSource  # numpy: a PLC without a demo needs none

    source = PartSource(seed, defect_rate)
    return lambda number: labels(defect.label for defect in source.truth(number).defects)


def labels(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, in the order of the first."""
    return tuple(dict.fromkeys(names))
