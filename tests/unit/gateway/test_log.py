import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import structlog

from gateway import log as log_module
from gateway.app import Gateway
from gateway.inspection import Finding, Inspection, Trigger
from gateway.log import Log, configure_with, log_inspection
from protocols.signals import Judgement

PATIENCE = 20.0
PART = Inspection(
    "cell1", Trigger(7, 8, part_id=9, serial="S 10"), Judgement.NG, 101, 11, 1, rule="scratch", score=0.87654,
    findings=(Finding("scratch", 0.9),), total=0.0314, grab=0.01, infer=0.0205,
)  # fmt: skip


class Bench:
    """A configured log whose lines are kept, with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.written: list[bytes] = []
        self.log: Log | None = None

    def configure(self, form: log_module.Format = "json", level: str = "info", **more: object) -> None:
        render = log_module._renderer(form, colours=bool(more.pop("colours", False)))
        write: Callable[[bytes], object] = more.pop("write", self.written.append)  # type: ignore[assignment]
        self.log = configure_with(write, level=level, render=render, clock=lambda: self.now, **more)  # type: ignore[arg-type]

    def lines(self) -> list[str]:
        """Everything written; closes the log."""
        assert self.log is not None
        self.log.close(PATIENCE)
        self.log = None
        return b"".join(self.written).decode().splitlines()

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines()]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    if bench.log is not None:
        bench.log.close(PATIENCE)


def test_the_inspection_line_names_the_whole_cycle(bench: Bench) -> None:
    bench.configure()
    log_inspection(PART)
    (event,) = bench.events()
    time = event.pop("time")
    assert isinstance(time, str)
    assert len(time) == len("2026-01-01T00:00:00.000Z")
    assert time.endswith("Z")
    assert event == {
        "level": "info", "event": "inspection", "station": "cell1", "cycle": 7, "result_seq": 11, "trigger_seq": 8,
        "part_id": 9, "serial": "S 10", "verdict": "NG", "reason": 101, "rule": "scratch", "score": 0.8765,
        "findings": 1, "recipe": 1, "grab_ms": 10.0, "infer_ms": 20.5, "total_ms": 31.4,
    }  # fmt: skip


def test_a_fault_is_a_warning_with_its_detail(bench: Bench) -> None:
    bench.configure(level="warning")
    log_inspection(PART)
    log_inspection(replace(PART, judgement=Judgement.FAULT, detail="no frame", score=float("nan")))
    (event,) = bench.events()
    assert (event["level"], event["detail"], event["score"]) == ("warning", "no frame", "nan")


def test_console_lines_are_key_value_and_cannot_be_forged(bench: Bench) -> None:
    bench.configure("console")
    log = structlog.get_logger().bind(station="cell1")
    log.info("link\nforged", serial="a\n2026 error \x1b[2J", empty="", word="up", number=3)
    (line,) = bench.lines()
    assert line.split(" ", 1)[1] == (
        'info     link\\nforged station=cell1 serial="a\\n2026 error \\u001b[2J" empty="" word=up number=3'
    )


def test_colours_only_when_asked(bench: Bench) -> None:
    bench.configure("console", colours=True)
    structlog.get_logger().error("down")
    assert bench.lines()[0].startswith("\x1b[31m")


def test_an_exception_keeps_its_traceback(bench: Bench) -> None:
    bench.configure("console")
    try:
        raise ValueError("odd")
    except ValueError:
        structlog.get_logger().exception("internal")
    lines = bench.lines()
    assert " error    internal" in lines[0]
    assert lines[-1] == "ValueError: odd"


def test_a_value_that_cannot_be_printed_ends_no_log(bench: Bench) -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    bench.configure()
    structlog.get_logger().info("first", odd=Odd())
    structlog.get_logger().info("second")
    assert [event["event"] for event in bench.events()] == ["log_line_unprintable", "second"]


def test_what_a_link_tells_without_a_code_is_no_warning(bench: Bench) -> None:
    bench.configure()
    Gateway._link_event(0, "cnc: tool_id is ns=3;s=ToolId")
    Gateway._link_event(6003, "somebody is turned away")
    assert [event["level"] for event in bench.events()] == ["info", "warning"]


def test_repeats_are_counted_and_told_after_the_minute(bench: Bench) -> None:
    bench.configure()
    log = structlog.get_logger()
    for number in range(100):
        log.warning("refused", station="cell1", code=3003, number=number)
    log.warning("refused", station="cell1", code=3009)
    bench.now = log_module.PERIOD + 1
    log.info("later")
    events = bench.events()
    assert [event["event"] for event in events[-3:]] == ["refused", "repeated", "later"]
    told = events[-2]
    assert (told["what"], told["times"], told["station"], told["code"]) == ("refused", 70, "cell1", 3003)
    assert len(events) == log_module.REPEATS + 3


def test_held_back_repeats_are_told_at_the_end(bench: Bench) -> None:
    bench.configure()
    for _ in range(log_module.REPEATS + 5):
        structlog.get_logger().warning("again")
    assert bench.events()[-1]["times"] == 5


def test_inspections_are_never_held_back(bench: Bench) -> None:
    bench.configure()
    for _ in range(500):
        log_inspection(PART)
    assert len(bench.lines()) == 500


def test_the_repeat_table_is_bounded(bench: Bench) -> None:
    bench.configure(lines=100_000)
    for number in range(5 * log_module.KEYS):
        structlog.get_logger().info(f"event {number}")
    assert bench.log is not None
    assert len(bench.log._repeats._counts) <= log_module.KEYS


def test_the_standard_librarys_log_is_routed_and_thinned_by_its_template(bench: Bench) -> None:
    bench.configure()
    log = logging.getLogger("asyncio")
    log.info("not told")
    assert bench.log is not None
    bench.log._routed.handle(logging.LogRecord("asyncio", 30, "", 1, "wrong %d", ("number",), None))
    for number in range(40):
        log.warning("took %d", number)
    try:
        raise OSError("gone")
    except OSError:
        log.exception("broken")
    events = bench.events()
    assert [events[0]["event"], events[1]["event"], events[1]["logger"]] == ["wrong %d", "took 0", "asyncio"]
    assert str(events[-2]["exception"]).endswith("OSError: gone")
    assert (events[-1]["what"], events[-1]["times"]) == ("took %d", 10)


def test_closing_puts_everything_back(bench: Bench) -> None:
    before = list(logging.getLogger().handlers)
    bench.configure()
    assert bench.lines() == []
    assert logging.getLogger().handlers == before
    assert not structlog.is_configured()


def test_a_stuck_reader_costs_lines_and_no_time(bench: Bench) -> None:
    stuck, entered = threading.Event(), threading.Event()

    def write(data: bytes) -> None:
        entered.set()
        stuck.wait(PATIENCE)
        bench.written.append(data)

    bench.configure(write=write, lines=10)
    log = structlog.get_logger()
    log.info("first")
    assert entered.wait(PATIENCE)
    for number in range(30):
        log.info("event", number=number)
    assert bench.log is not None
    assert bench.log.dropped == 20
    stuck.set()
    events = bench.events()
    assert len(events) == 12
    assert (events[-1]["event"], events[-1]["lines"]) == ("log_lines_dropped", 20)


def test_a_closed_pipe_is_survived_and_told(bench: Bench) -> None:
    broken, tried = threading.Event(), threading.Event()
    broken.set()

    def write(data: bytes) -> None:
        if broken.is_set():
            tried.set()
            raise BrokenPipeError
        bench.written.append(data)

    bench.configure(write=write)
    structlog.get_logger().info("lost")
    assert tried.wait(PATIENCE)
    broken.clear()
    structlog.get_logger().info("kept")
    assert [event["event"] for event in bench.events()] == ["kept", "log_lines_dropped"]


def test_the_whole_line_goes_to_the_descriptor() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as source, os.fdopen(writer, "w") as target:
        log = log_module.configure("info", "json", target)
        structlog.get_logger().info("hello")
        log.close(PATIENCE)
        target.close()
        assert json.loads(source.read())["event"] == "hello"


def test_importing_the_log_leaves_rich_alone() -> None:
    code = "import sys, gateway.log; print([m for m in sys.modules if m.startswith('rich')]); import rich.text"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
