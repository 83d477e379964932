"""Source texts parsed by blark, and function blocks that are called scan by scan."""

from __future__ import annotations

import functools
import re
from typing import Any

from blark import transform as tf
from blark.parse import new_parser

from tests.structured_text.compiler import Compiler
from tests.structured_text.values import LIMITS, TIMERS, Array, Env, StError, Timer


@functools.cache
def parse(text: str) -> tuple[Any, ...]:
    """The declarations of a source text; raises lark's error for what is no Structured Text. Takes seconds: kept."""
    plain = re.sub(r"\(\*.*?\*\)", "", text)
    plain = re.sub(r"[ \t]+", " ", plain)
    tree = _parser().parse(plain)
    return tuple(tf.transform(plain, tree).items)


@functools.cache
def _parser() -> Any:
    return new_parser(start=["iec_source"])


def declared(blocks: Any) -> dict[str, tuple[str, Any, Any]]:
    """Section, type and initial value (blark's) of every variable of declaration blocks."""
    found: dict[str, tuple[str, Any, Any]] = {}
    for part in blocks or ():
        for item in part.items:
            for variable in item.variables:
                name = str(variable.variable.name)
                if name in found:
                    raise StError(f"{name} is declared twice")
                found[name] = (part.block_header, _type(item.init.spec), getattr(item.init, "value", None))
    return found


def _type(spec: Any) -> str:
    if isinstance(spec, tf.ArraySpecification):
        (only,) = spec.subranges
        if str(only.start) != "0":
            raise StError("an array begins at 0")
        return f"{_plain(spec.type.type_name)}[{int(str(only.stop)) + 1}]"
    return _plain(spec.type)


def _plain(name: Any) -> str:
    if isinstance(name, str):  # a token, whose own `type` is that of the grammar
        return str(name)
    return _plain(getattr(name, "type_name", None) or name.type)


class Program:
    """All types, functions and function blocks of a source text."""

    def __init__(self, text: str, *, logix: bool = False) -> None:
        self.logix = logix
        self.structures: dict[str, dict[str, str]] = {}
        self.functions: dict[str, Any] = {}
        self.blocks: dict[str, Any] = {}
        for item in parse(text):
            if isinstance(item, tf.DataTypeDeclaration):
                rows = {
                    str(v.variable.name): _type(row.init.spec)
                    for row in item.declaration.declarations
                    for v in row.variables
                }
                self.structures[str(item.declaration.name)] = rows
            elif isinstance(item, tf.Function):
                self.functions[str(item.name)] = item
            elif isinstance(item, tf.FunctionBlock):
                self.blocks[str(item.name)] = item
        self._ready: dict[str, Routine] = {}

    def routine(self, name: str) -> Routine:
        """A function, ready to be called."""
        if name not in self._ready:
            item = self.functions[name]
            types = declared(item.declarations)
            returns = _plain(item.return_type.type)
            types[name] = ("VAR", returns, None)
            self._ready[name] = Routine(self, types, item.body, returns)
        return self._ready[name]

    def instance(self, name: str) -> Instance:
        """A function block with its own variables."""
        item = self.blocks[name]
        return Instance(self, Routine(self, declared(item.declarations), item.body, ""))

    def new(self, kind: str) -> Any:
        """The initial value of a type."""
        array = re.fullmatch(r"(\w+)\[(\d+)\]", kind)
        if array:
            return Array(array[1], [self.new(array[1]) for _ in range(int(array[2]))])
        if kind in self.structures:
            return {name: self.new(of) for name, of in self.structures[kind].items()}
        if kind in TIMERS:
            return Timer(TIMERS[kind])
        if kind == "BOOL":
            return False
        if kind == "REAL":
            return 0.0
        if kind in LIMITS:
            return 0
        raise StError(f"unknown type {kind}")


class Instance:
    """A function block that is called scan by scan."""

    def __init__(self, program: Program, routine: Routine) -> None:
        self.values = routine.fresh()
        self._routine = routine

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def scan(self, now: float, **inputs: Any) -> None:
        """One call at `now` milliseconds; arrays of VAR_IN_OUT are lists that the call changes."""
        for name, value in inputs.items():
            section, kind, _ = self._routine.types[name]
            if section not in ("VAR_INPUT", "VAR_IN_OUT"):
                raise StError(f"{name} is no input")
            self.values[name] = Array(kind.partition("[")[0], value) if isinstance(value, list) else value
        self.values["#now"] = now
        self._routine.run(self.values)


class Routine:
    def __init__(self, program: Program, types: dict[str, tuple[str, Any, Any]], body: Any, returns: str) -> None:
        self.program, self.types, self.returns = program, types, returns
        self._code = Compiler(program, {name: kind for name, (_, kind, _) in types.items()})
        self._statements = self._code.statements(body)

    def fresh(self) -> Env:
        values: Env = {"#now": 0.0}
        for name, (_, kind, first) in self.types.items():
            values[name] = self.program.new(kind)
            if first is not None:
                of, get = self._code.value(first)
                values[name] = self._code.fitted(kind, of, get)({})
        return values

    def run(self, env: Env) -> None:
        for statement in self._statements:
            statement(env)
