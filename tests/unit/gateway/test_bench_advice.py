"""Which engine setting is advised for a deadline."""

from typing import Any

from gateway.bench_command import advice


def row(name: str, p99: float, cpu: float, *, proven: bool = True) -> dict[str, Any]:
    return {"setting": name, "proven": proven, "paced": {"p99_ms": p99, "cpu_ms": cpu}}


ROWS = [row("one", 80, 40), row("two", 45, 60), row("spin", 30, 90), row("other", 10, 10, proven=False)]


def test_the_cheapest_that_keeps_its_share_of_the_deadline() -> None:
    assert advice(ROWS, 300) is ROWS[0]
    assert advice(ROWS, 100) is ROWS[1]


def test_the_fastest_where_none_keeps_it() -> None:
    assert advice(ROWS, 20) is ROWS[2]


def test_nothing_that_has_not_been_compared() -> None:
    assert advice(ROWS[3:], 300) is None
