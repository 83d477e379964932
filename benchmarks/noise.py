"""What the computer does to any waiting task: the floor under every tail here."""

from __future__ import annotations

from benchmarks import native, report

PERIOD_US = 1250
"""As often as four masters at 5 ms wake the server."""


def late(seconds: float) -> dict[str, dict[str, float]]:
    """Lateness of a sleep in microseconds, as an ordinary task and, where permitted, as a real-time one."""
    found = {}
    for name, fifo in (("SCHED_OTHER", 0), ("SCHED_FIFO", 1)):
        try:
            lines = native.lines(native.compiled("noise"), PERIOD_US, seconds, fifo, patience=seconds + 30)
        except RuntimeError:
            continue  # not permitted
        found[name] = report.tail([int(line) / 1e9 for line in lines])
    return found
