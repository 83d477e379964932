import math

import pytest

from protocols.signals import Judgement, Result
from simulators import line
from simulators.line import Record, Tally
from simulators.plc import Answer


def answer(part_id: int, judgement: Judgement = Judgement.OK, took: float | None = 0.02) -> Answer:
    result = None if took is None else Result(part_id, part_id, part_id, judgement)
    return Answer(part_id, judgement, 0, result, written=5.0, seen=5.0 + (took or 0.0))


class Clock:
    """Time that passes only in sleeps and inspections."""

    def __init__(self, work: float = 0.0) -> None:
        self.now = 50.0
        self.work = work
        self.asked: list[tuple[int, str, float]] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def inspect(self, part_id: int, serial: str) -> Answer:
        self.asked.append((part_id, serial, self.now))
        self.now += self.work
        return answer(part_id)


async def run(clock: Clock, **settings: object) -> list[Record]:
    passing = line.run(clock.inspect, clock=clock.time, sleep=clock.sleep, **settings)  # type: ignore[arg-type]
    return [record async for record in passing]


async def test_parts_arrive_at_their_rate_without_drift() -> None:
    clock = Clock(work=0.013)
    records = await run(clock, rate=5.0, parts=10)
    assert [record.part_id for record in records] == list(range(1, 11))
    assert [at for _, _, at in clock.asked] == pytest.approx([50.0 + n / 5 for n in range(10)])
    assert all(record.waited == 0 for record in records)


async def test_a_part_waits_for_the_one_before_and_that_is_told() -> None:
    clock = Clock(work=0.35)
    records = await run(clock, rate=5.0, parts=4)
    assert [record.waited for record in records] == pytest.approx([0, 0.15, 0.3, 0.45])


async def test_a_line_stops_after_its_time() -> None:
    assert len(await run(Clock(), rate=5.0, seconds=2.0)) == 10
    assert len(await run(Clock(), rate=5.0, seconds=2.0, parts=3)) == 3


async def test_part_numbers_serials_and_truth_go_together() -> None:
    clock = Clock()
    records = await run(
        clock, rate=5.0, parts=2, first=7, serial=lambda n: f"S{n}", truth=lambda n: ("burr",) if n == 8 else ()
    )
    assert [(part, serial) for part, serial, _ in clock.asked] == [(7, "S7"), (8, "S8")]
    assert [record.defects for record in records] == [(), ("burr",)]


def test_the_truth_is_that_of_the_camera_s_parts() -> None:
    from simulators.parts import PartSource

    source, truth = PartSource(3, 0.5), line.truth_of(3, 0.5)
    assert [not truth(n) for n in range(1, 60)] == [source.truth(n).good for n in range(1, 60)]
    assert [truth(n) for n in range(1, 60)] != [line.truth_of(4, 0.5)(n) for n in range(1, 60)]
    assert all(line.truth_of(1, 1.0)(n) for n in range(1, 9))


def test_each_label_once() -> None:
    assert line.labels(["burr", "scratch", "burr"]) == ("burr", "scratch")


@pytest.mark.parametrize(
    ("defects", "judgement", "right"),
    [
        ((), Judgement.OK, True),
        ((), Judgement.NG, False),
        ((), Judgement.RECHECK, False),
        (("burr",), Judgement.NG, True),
        (("burr",), Judgement.OK, False),
        (("burr",), Judgement.FAULT, False),
        (None, Judgement.OK, False),
    ],
)
def test_what_is_right(defects: tuple[str, ...] | None, judgement: Judgement, right: bool) -> None:
    assert Record(1, defects, answer(1, judgement)).right is right


def tally() -> Tally:
    counted = Tally(deadline=0.3)
    good, bad = (), ("burr",)
    for number, (defects, judgement, took) in enumerate(
        [
            (good, Judgement.OK, 0.010),
            (good, Judgement.OK, 0.020),
            (good, Judgement.NG, 0.030),
            (good, Judgement.RECHECK, 0.040),
            (bad, Judgement.NG, 0.050),
            (bad, Judgement.NG, 0.060),
            (bad, Judgement.OK, 0.400),
            (bad, Judgement.FAULT, None),
        ],
        1,
    ):
        counted.add(Record(number, defects, answer(number, judgement, took), waited=0.2 if number == 8 else 0.0))
    return counted


def test_the_count_of_a_run() -> None:
    counted = tally()
    assert (counted.parts, counted.known, counted.decided, counted.right) == (8, 8, 6, 4)
    assert (counted.escapes, counted.false_rejects, counted.rechecks) == (1, 1, 1)
    assert (counted.unanswered, counted.late, counted.waited) == (1, 1, 1)
    assert counted.response(0.5) == pytest.approx(0.04)
    assert counted.response(0.99) == pytest.approx(0.4)


def test_the_count_as_json() -> None:
    figures = tally().as_json()
    assert figures["good"] == {"OK": 2, "NG": 1, "RECHECK": 1, "FAULT": 0}
    assert figures["bad"] == {"OK": 1, "NG": 2, "RECHECK": 0, "FAULT": 1}
    assert figures["response_ms"] == {"p50": 40.0, "p99": 400.0, "max": 400.0}
    assert Tally().as_json()["response_ms"] == {"p50": None, "p99": None, "max": None}


def test_without_truth_nothing_is_right_or_wrong() -> None:
    counted = Tally()
    counted.add(Record(1, None, answer(1)))
    assert (counted.parts, counted.known, counted.decided) == (1, 0, 0)
    assert math.isnan(Tally().response(0.5))
