"""YAML 1.2 files as plain values that remember where they stood; safe to read from a stranger.

Tags, aliases, merge keys, duplicate keys, deep nesting and oversized files are problems, never objects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ruamel.yaml
from ruamel.yaml import events
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from typing_extensions import override

MAX_BYTES = 2**20
MAX_DEPTH = 32
MAX_NODES = 10_000
"""The pure Python parser takes some 40 µs a node: a file at the limit is refused in well under a second."""
MAX_PROBLEMS = 50

Location = tuple[str | int, ...]
"""The way from the root of a document to a value: keys and list positions."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: `file:line:column: path: message`; line and column from 1, 0 where there is no place."""

    file: str
    line: int
    column: int
    path: str
    message: str

    @override
    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class FileError(Exception):
    """A file that cannot be used: all that is wrong with it, in the order of the file."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(slots=True)
class Document:
    """A parsed file: its value, and line and column (from 1) of every key and list element."""

    file: str
    data: Any = None
    places: dict[Location, tuple[int, int]] = field(default_factory=dict)

    def problem(self, location: Location, message: str) -> Problem:
        """A problem at `location`, or at the nearest enclosing place that was written down."""
        line, column = next((self.places[at] for at in _outward(location) if at in self.places), (0, 0))
        return Problem(self.file, line, column, dotted(location), message)

    def at(self, location: Location) -> Any:
        """The value at `location`, None where there is none."""
        value = self.data
        for step in location:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def dotted(location: Location) -> str:
    """`stations[0].cycle.deadline_ms` for ("stations", 0, "cycle", "deadline_ms")."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            shown = step if step.isprintable() else repr(step)  # what a terminal would obey is not printed as it is
            text += f".{shown}" if text else shown
    return text


def read(path: Path) -> Document:
    """The document in `path`; raises FileError."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _refusal(path, "there is no such file; check the path") from None
    except OSError as error:
        raise _refusal(path, f"cannot be read ({error.strerror}); check what it is and its permissions") from None
    if len(raw) > MAX_BYTES:
        raise _refusal(path, f"is larger than {MAX_BYTES // 1024} KiB; this is not a configuration")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise _refusal(path, message, line, column) from None
    return parse(text, str(path))


def _refusal(path: Path, message: str, line: int = 0, column: int = 0) -> FileError:
    return FileError([Problem(str(path), line, column, "", message)])


def parse(text: str, file: str) -> Document:
    """The document in `text`; `file` is the name that problems bear. Raises FileError."""
    builder = _Builder(Document(file))
    yaml = ruamel.yaml.YAML(typ="safe", pure=True)
    try:
        builder.document(yaml.parse(text))
    except _StopError:
        pass
    except MarkedYAMLError as error:
        builder.complain(error.problem_mark or error.context_mark, (), _syntax(error))
    except YAMLError as error:
        builder.problems.append(Problem(file, 0, 0, "", f"is not YAML: {' '.join(str(error).split())[:200]}"))
    except (ValueError, IndexError, AttributeError, AssertionError) as error:
        # ruamel.yaml 0.19 trips over some broken escapes and directives with one of these instead of its own error
        builder.problems.append(Problem(file, 0, 0, "", f"is not YAML ({error})"))
    if builder.problems:
        raise FileError(builder.problems)
    return builder.out


class _StopError(Exception):
    """Reading on makes no sense."""


class _Builder:
    """Builds plain values from parser events: no constructor that a tag could reach, no recursion in the parser."""

    def __init__(self, out: Document) -> None:
        self.out = out
        self.problems: list[Problem] = []
        self.nodes = 0

    def complain(self, mark: Any, location: Location, message: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        self.problems.append(Problem(self.out.file, line, column, dotted(location), message))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _StopError

    def document(self, stream: Iterator[Any]) -> None:
        documents = 0
        for event in stream:
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.complain(event.start_mark, (), "a second document begins here; only one is allowed")
                    raise _StopError
            elif isinstance(event, events.NodeEvent):
                self.out.places[()] = (event.start_mark.line + 1, event.start_mark.column + 1)
                self.out.data = self.node(event, stream, ())
        if self.out.data is None and not self.problems:
            self.problems.append(Problem(self.out.file, 0, 0, "", "is empty; see docs/configuration.md for an example"))

    def node(self, event: Any, stream: Iterator[Any], location: Location) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.complain(event.start_mark, (), f"more than {MAX_NODES} values; this is not a configuration")
            raise _StopError
        if len(location) > MAX_DEPTH:
            self.complain(event.start_mark, location[:4], f"nested deeper than {MAX_DEPTH} levels")
            raise _StopError
        if isinstance(event, events.AliasEvent):
            text = f"alias *{event.anchor}: aliases are not used here; write the value"
            self.complain(event.start_mark, location, text)
            return None
        if event.tag is not None:
            text = f"tag {event.tag}: tags are not used here; write a plain value"
            self.complain(event.start_mark, location, text)
        if isinstance(event, events.MappingStartEvent):
            return self.mapping(stream, location)
        if isinstance(event, events.SequenceStartEvent):
            return self.sequence(stream, location)
        return self.scalar(event, location)

    def mapping(self, stream: Iterator[Any], location: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(stream), events.MappingEndEvent):
            mark = event.start_mark
            if not isinstance(event, events.ScalarEvent):
                self.complain(mark, location, "a key must be a plain name")
                raise _StopError
            key = self.text(event, location)
            here = (*location, key)
            twice = key in values
            if twice:
                first = self.out.places[here][0]
                self.complain(mark, here, f"is given twice (first in line {first}); remove one of the two")
            elif key == "<<":
                self.complain(mark, here, "merge keys are not YAML 1.2; write the values")
            else:
                self.out.places[here] = (mark.line + 1, mark.column + 1)
            value = self.node(next(stream), stream, here)
            if not twice:
                values[key] = value
        return values

    def sequence(self, stream: Iterator[Any], location: Location) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(stream), events.SequenceEndEvent):
            here = (*location, len(values))
            self.out.places[here] = (event.start_mark.line + 1, event.start_mark.column + 1)
            values.append(self.node(event, stream, here))
        return values

    def text(self, event: Any, location: Location) -> str:
        text = str(event.value)
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            self.complain(event.start_mark, location, "holds half a character (a surrogate); write it whole")
            return ""
        if "\0" in text:
            self.complain(event.start_mark, location, "holds a NUL character; remove it")
        return text

    def scalar(self, event: Any, location: Location) -> str | int | float | bool | None:
        if event.style is not None:
            return self.text(event, location)
        try:
            return resolve(event.value)
        except ValueError as error:
            self.complain(event.start_mark, location, str(error))
            return None


_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar (YAML 1.2.2 §10.3.2, core schema); raises ValueError for what is no finite number."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        if len(text) > 20:
            raise ValueError("this number has too many digits; put it in quotes if it is text")
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"{text[:40]} is too large a number; put it in quotes if it is text")
        return number
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a usable number; write a finite one, or leave the key out")
    return text


def _syntax(error: MarkedYAMLError) -> str:
    """What the parser says, as one sentence, with the commonest cause where it is known."""
    text = ", ".join(part for part in (error.context, error.problem) if part)
    if "\\t" in text:
        text += "; indent with spaces, not with tabs"
    elif "could not find expected ':'" in text or "<block end>" in text:
        text += "; look for wrong indentation, or a missing colon or quote, just above"
    return f"is not YAML: {text}"


def _outward(location: Location) -> Iterator[Location]:
    for length in range(len(location), -1, -1):
        yield location[:length]
