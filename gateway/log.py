"""The log: one line an event, on stderr, rendered and written by a thread of its own: a stuck reader stops nobody.

Import this module before anything else imports structlog: it keeps structlog from loading rich, half its import time.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TextIO

from protocols.faults import Code
from protocols.signals import Judgement

if "rich" in sys.modules:
    import structlog
else:
    # structlog.dev draws tracebacks with rich where it is found; None in sys.modules means "not there", and saves 50 ms
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
    finally:
        del sys.modules["rich"]

if TYPE_CHECKING:
    from gateway.inspection import Inspection

Format = Literal["console", "json"]
Write = Callable[[bytes], object]
Fields = MutableMapping[str, Any]
Render = Callable[[Fields], str]

INSPECTION = "inspection"
LINES = 8192
"""Lines that wait for a slow reader at most; more are dropped and counted."""
WRITTEN_AT_ONCE = 256
REPEATS = 30
"""Lines a minute of one event of one station, code and logger; more are counted and told in one line."""
PERIOD = 60.0
"""Seconds in which repeats are counted."""
KEYS = 512
"""Events whose repeats are counted at a time; beyond, the counts begin anew."""

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_COLOURS = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}
_RESET = "\x1b[0m"
_QUOTED = frozenset(" =\"'\\")


class Spool:
    """A bounded queue of lines and the thread that writes them. As a logger of structlog it never waits."""

    def __init__(self, write: Write, render: Render, *, lines: int = LINES) -> None:
        self._write = write
        self._render = render
        self._bound = lines
        self._refused = 0
        self._failed = 0
        self._told = 0
        self._queue: queue.SimpleQueue[Fields | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines lost so far because the queue was full or could not be written."""
        return self._refused + self._failed

    def put(self, fields: Fields) -> None:
        """Queue one event, which is the spool's from now on; dropped and counted when the reader is too slow."""
        if self._queue.qsize() >= self._bound:
            self._refused += 1
        else:
            self._queue.put(fields)

    debug = info = warning = warn = error = critical = exception = fatal = msg = log = put

    def close(self, wait: float) -> None:
        """Write what is queued, for at most `wait` seconds; a stuck reader is left behind."""
        self._queue.put(None)
        self._thread.join(wait)

    def _run(self) -> None:
        more = True
        while more:
            events = [self._queue.get()]
            while len(events) < WRITTEN_AT_ONCE:
                try:
                    events.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            more = None not in events
            self._out([self._line(event) for event in events if event is not None])

    def _line(self, fields: Fields) -> str:
        try:
            return self._render(fields)
        except Exception as error:  # noqa: BLE001  # the thread's boundary: a value that cannot be printed ends no log
            return self._render(_stamp(None, "error", {"event": "log_line_unprintable", "error": type(error).__name__}))

    def _out(self, lines: list[str]) -> None:
        dropped = self.dropped
        if dropped > self._told:
            lines.append(
                self._line(_stamp(None, "warning", {"event": "log_lines_dropped", "lines": dropped - self._told}))
            )
        if not lines:
            return
        try:
            self._write(("\n".join(lines) + "\n").encode("utf-8", "replace"))
        except OSError:  # closed pipe or full disk: it is told in the next line that gets through
            self._failed += len(lines)
        else:
            self._told = dropped


class Repeats:
    """Processor: lets the first `limit` lines a period of one event pass, counts the others, tells the count later."""

    def __init__(self, tell: Callable[[Fields], None], *, limit: int = REPEATS, clock: Callable[[], float]) -> None:
        self._tell = tell
        self._limit = limit
        self._clock = clock
        self._counts: dict[tuple[object, ...], int] = {}
        self._ends = clock() + PERIOD

    def __call__(self, _logger: object, _method: str, fields: Fields) -> Fields:
        template = fields.pop("_template", fields["event"])
        if template == INSPECTION:  # the record of production is never thinned
            return fields
        if self._clock() >= self._ends or len(self._counts) >= KEYS:
            self.sweep()
        key = (template, fields.get("station"), fields.get("code"), fields.get("logger"))
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count > self._limit:
            raise structlog.DropEvent
        return fields

    def sweep(self) -> None:
        """Tell what was held back and begin a new period."""
        counts, self._counts = self._counts, {}
        self._ends = self._clock() + PERIOD
        for (event, station, code, logger), count in counts.items():
            if count > self._limit:
                fields = {"station": station, "code": code, "logger": logger}
                told: Fields = {name: value for name, value in fields.items() if value is not None}
                self._tell({"event": "repeated", "what": str(event), "times": count - self._limit, **told})


class Log:
    """The configured log; close it last."""

    def __init__(self, spool: Spool, repeats: Repeats, routed: logging.Handler, root_level: int) -> None:
        self._spool = spool
        self._repeats = repeats
        self._routed = routed
        self._root_level = root_level

    @property
    def dropped(self) -> int:
        """Lines lost because the reader of stderr was too slow."""
        return self._spool.dropped

    def close(self, wait: float = 1.0) -> None:
        """Tell held-back repeats, write what is queued for at most `wait` seconds, forget the configuration."""
        self._repeats.sweep()
        root = logging.getLogger()
        root.removeHandler(self._routed)
        root.setLevel(self._root_level)
        structlog.reset_defaults()
        self._spool.close(wait)


def _route(log: Any, record: logging.LogRecord) -> bool:
    """Hand a record of the standard library's logging (asyncio, pymodbus …) to structlog."""
    try:
        text = record.getMessage()
    except (TypeError, ValueError):  # a foreign library's wrong format arguments must not stop the caller
        text = str(record.msg)
    fields: dict[str, Any] = {"logger": record.name, "_template": str(record.msg)}
    if record.exc_info:
        fields["exc_info"] = record.exc_info
    log.log(record.levelno, text, **fields)
    return False  # told: the handler has nothing left to do


def configure(level: str = "info", form: Format = "console", stream: TextIO | None = None) -> Log:
    """Set up structlog and the standard library's logging for this process, once; lines go to `stream` (stderr)."""
    out = sys.stderr if stream is None else stream
    colours = form == "console" and out.isatty() and "NO_COLOR" not in os.environ
    return configure_with(_writer(out), level=level, render=_renderer(form, colours=colours))


def configure_with(
    write: Write, *, level: str, render: Render, clock: Callable[[], float] = time.monotonic, lines: int = LINES
) -> Log:
    """As `configure`, for any sink of bytes."""
    spool = Spool(write, render, lines=lines)
    repeats = Repeats(lambda fields: spool.put(_stamp(None, "warning", fields)), clock=clock)
    structlog.configure(
        processors=[repeats, _stamp, structlog.processors.format_exc_info, _whole],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: spool,
        cache_logger_on_first_use=True,
    )
    _inspections.bind_anew()
    routed = logging.Handler(logging.WARNING)
    routed.addFilter(partial(_route, structlog.get_logger()))
    root = logging.getLogger()
    root_level = root.level
    root.addHandler(routed)
    root.setLevel(logging.WARNING)
    return Log(spool, repeats, routed, root_level)


def _writer(stream: TextIO) -> Write:
    """Bytes to the stream's descriptor, whole; a stream without one (a test's) takes text."""
    try:
        descriptor = stream.fileno()
    except OSError:
        return lambda data: stream.write(data.decode())

    def write(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    return write


# ── one line ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _stamp(_logger: object, method: str, fields: Fields) -> Fields:
    fields["level"] = "warning" if method == "warn" else "error" if method == "exception" else method
    fields["time"] = time.time()  # made readable by the spool's thread
    return fields


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _whole(_logger: object, _method: str, fields: Fields) -> tuple[tuple[Fields], dict[str, object]]:
    """The last processor: the spool takes the event as it is."""
    return (fields,), {}


def _renderer(form: Format, *, colours: bool) -> Render:
    if form == "json":
        return _json
    return partial(_console, colours=colours)


def _json(fields: Fields) -> str:
    line = {"time": _utc(fields.pop("time")), "level": fields.pop("level"), "event": fields.pop("event"), **fields}
    try:
        return json.dumps(line, default=str, allow_nan=False, ensure_ascii=False)
    except ValueError:  # NaN and infinity are no JSON
        finite = {name: repr(value) if isinstance(value, float) else value for name, value in line.items()}
        return json.dumps(finite, default=str, ensure_ascii=False)


def _console(fields: Fields, *, colours: bool) -> str:
    level = fields.pop("level")
    head = f"{_utc(fields.pop('time'))} {level:<8} "
    if colours and level in _COLOURS:
        head = f"{_COLOURS[level]}{head}{_RESET}"
    event = plain(str(fields.pop("event")))
    trace = fields.pop("exception", None)
    parts = [f"{name}={_value(value)}" for name, value in fields.items()]
    line = f"{head}{event}" + (f" {' '.join(parts)}" if parts else "")
    return line if trace is None else f"{line}\n{trace}"


def _value(value: object) -> str:
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    return text if text.isprintable() and text and not _QUOTED.intersection(text) else json.dumps(text)


def plain(text: str) -> str:
    """`text` on one line: what a PLC or a peer sent must not forge a second one, nor steer a terminal."""
    return text if text.isprintable() else json.dumps(text)[1:-1]


# ── the canonical line ───────────────────────────────────────────────────────────────────────────────────────────────


class _Inspections:
    """The bound logger of the inspection lines; a proxy used before `configure` would keep the old settings."""

    def __init__(self) -> None:
        self.log: Any = structlog.get_logger(INSPECTION)

    def bind_anew(self) -> None:
        self.log = structlog.get_logger(INSPECTION)


_inspections = _Inspections()


def _told(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Values by name; of one that is not good its quality beside it."""
    return {
        name: row["value"] if row["quality"] == "good" else {"value": row["value"], "quality": row["quality"]}
        for name, row in rows.items()
    }


def log_inspection(inspection: Inspection) -> None:
    """The canonical line of one cycle: everything needed to find and judge it, at warning if it is a FAULT."""
    trigger = inspection.trigger
    more: dict[str, Any] = {"detail": inspection.detail} if inspection.detail else {}
    frame = inspection.frame
    if frame.number is not None:
        more["frame"] = frame.number
    if frame.clock_jumped:
        more["camera_clock"] = f"{int(Code.CLOCK_STEPPED)} the camera's clock jumped"
    if trigger.tags:
        from protocols.tags import records

        more["tags"] = _told(records(trigger.tags, trigger.accepted))
    write = _inspections.log.warning if inspection.judgement is Judgement.FAULT else _inspections.log.info
    write(
        INSPECTION,
        station=inspection.station,
        cycle=trigger.cycle,
        result_seq=inspection.result_seq,
        trigger_seq=trigger.trigger_seq,
        part_id=trigger.part_id,
        serial=trigger.serial,
        verdict=inspection.judgement.name,
        reason=int(inspection.reason),
        rule=inspection.rule,
        score=round(inspection.score, 4),
        findings=len(inspection.findings),
        recipe=inspection.recipe,
        grab_ms=round(inspection.grab * 1e3, 2),
        infer_ms=round(inspection.infer * 1e3, 2),
        total_ms=round(inspection.total * 1e3, 2),
        **more,
    )
