"""Runs Structured Text: parsed by blark, checked for types, and executed scan by scan with a clock of its own.

Strict where PLCs differ: no implicit conversion, no overflow, both sides of AND and OR are evaluated. `logix=True` knows
INT, DINT, bit selection, COP and TONR as Logix 5000 has them.
"""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from blark import transform as tf
from blark.parse import new_parser

Env = dict[str, Any]
Get = Callable[[Env], Any]
LIMITS = {
    "INT": (-0x8000, 0x7FFF),
    "UINT": (0, 0xFFFF),
    "WORD": (0, 0xFFFF),
    "UDINT": (0, 0xFFFF_FFFF),
    "DWORD": (0, 0xFFFF_FFFF),
    "DINT": (-0x8000_0000, 0x7FFF_FFFF),
    "TIME": (0, 0x7FFF_FFFF),
}
LITERAL = "literal"
SIZES = {"INT": "<h", "DINT": "<i", "REAL": "<f"}
CONVERSIONS = re.compile(r"(\w+)_TO_(\w+)")
TIMERS = {"TON": ("IN", "PT", "Q"), "FBD_TIMER": ("TimerEnable", "PRE", "DN")}


class StError(Exception):
    """The text is no Structured Text that every PLC takes, or a value left its type."""


@dataclass
class Array:
    """Elements of one type, counted from 0."""

    type: str
    items: list[Any]


@dataclass
class Timer:
    """TON of IEC 61131-3, or TONR of Logix: on after `preset` ms of running without a pause."""

    names: tuple[str, str, str]
    values: dict[str, Any] = field(default_factory=dict)
    since: float | None = None

    def __post_init__(self) -> None:
        running, preset, on = self.names
        self.values = {running: False, preset: 0, on: False}

    def scan(self, now: float) -> None:
        running, preset, on = self.names
        if not self.values[running]:
            self.since = None
        elif self.since is None:
            self.since = now
        self.values[on] = self.since is not None and now - self.since >= self.values[preset] - 1e-6


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
        self._ready: dict[str, _Routine] = {}

    def routine(self, name: str) -> _Routine:
        """A function, ready to be called."""
        if name not in self._ready:
            item = self.functions[name]
            types = declared(item.declarations)
            returns = _plain(item.return_type.type)
            types[name] = ("VAR", returns, None)
            self._ready[name] = _Routine(self, types, item.body, returns)
        return self._ready[name]

    def instance(self, name: str) -> Instance:
        """A function block with its own variables."""
        item = self.blocks[name]
        return Instance(self, _Routine(self, declared(item.declarations), item.body, ""))

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

    def __init__(self, program: Program, routine: _Routine) -> None:
        self.values = routine.fresh()
        self._routine = routine

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def scan(self, now: float, **inputs: Any) -> None:
        """One call at `now` milliseconds; arrays of VAR_IN_OUT are lists that the call changes."""
        for name, value in inputs.items():
            section, kind, _ = self._routine.types[name]
            if section == "VAR_IN_OUT":
                value = Array(kind.partition("[")[0], value) if isinstance(value, list) else value
            elif section != "VAR_INPUT":
                raise StError(f"{name} is no input")
            self.values[name] = value
        self.values["#now"] = now
        self._routine.run(self.values)


class _Routine:
    def __init__(self, program: Program, types: dict[str, tuple[str, Any, Any]], body: Any, returns: str) -> None:
        self.program, self.types, self.returns = program, types, returns
        self._code = _Compiler(program, {name: kind for name, (_, kind, _) in types.items()})
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


class _Compiler:
    def __init__(self, program: Program, types: dict[str, str]) -> None:
        self.program, self.types = program, types

    # ------------------------------------------------------------ statements

    def statements(self, body: Any) -> list[Callable[[Env], None]]:
        return [] if body is None else [self.statement(one) for one in body.statements]

    def statement(self, node: Any) -> Callable[[Env], None]:
        match node:
            case tf.AssignmentStatement(variables=[target]):
                return self._assignment(target, node.expression)
            case tf.IfStatement():
                return self._if(node)
            case tf.CaseStatement():
                return self._case(node)
            case tf.WhileStatement():
                return self._while(node)
            case tf.FunctionCallStatement():
                return self._call_statement(node)
        raise StError(f"{type(node).__name__} is not in the subset: {node}")

    def _assignment(self, target: Any, expression: Any) -> Callable[[Env], None]:
        kind, place = self.place(target)
        get = self.fitted(kind, *self.value(expression))

        def assign(env: Env) -> None:
            holder, key = place(env)
            _store(holder, key, get(env))

        return assign

    def _block(self, body: Any) -> Callable[[Env], None]:
        statements = self.statements(body)

        def run(env: Env) -> None:
            for statement in statements:
                statement(env)

        return run

    def _if(self, node: Any) -> Callable[[Env], None]:
        arms = [(self._condition(node.if_expression), self._block(node.statements))]
        arms += [(self._condition(arm.if_expression), self._block(arm.statements)) for arm in node.else_ifs]
        other = self._block(node.else_clause.statements) if node.else_clause else None

        def run(env: Env) -> None:
            for holds, block in arms:
                if holds(env):
                    block(env)
                    return
            if other is not None:
                other(env)

        return run

    def _condition(self, expression: Any) -> Get:
        kind, get = self.value(expression)
        if kind != "BOOL":
            raise StError(f"{expression} is {kind}, a condition is BOOL")
        return get

    def _case(self, node: Any) -> Callable[[Env], None]:
        _, get = self.value(node.expression)
        arms: dict[int, Callable[[Env], None]] = {}
        for element in node.cases:
            for match in element.matches:
                number = int(str(match))
                if number in arms:
                    raise StError(f"CASE {number} stands twice")
                arms[number] = self._block(element.statements)

        def run(env: Env) -> None:
            arm = arms.get(get(env))
            if arm is not None:
                arm(env)

        return run

    def _while(self, node: Any) -> Callable[[Env], None]:
        holds, block = self._condition(node.expression), self._block(node.statements)

        def run(env: Env) -> None:
            for _ in range(1000):
                if not holds(env):
                    return
                block(env)
            raise StError("a loop of more than 1000 rounds would stop a PLC")

        return run

    def _call_statement(self, node: Any) -> Callable[[Env], None]:
        name = str(node.name)
        if self.program.logix and name == "COP":
            return self._cop(*(one.value for one in node.parameters))
        if self.program.logix and name == "TONR":
            _, place = self.place(node.parameters[0].value)
            return lambda env: _load(*place(env)).scan(env["#now"])  # type: ignore[no-any-return]
        if self.types.get(name) != "TON":
            raise StError(f"{name} is no timer")
        sets = []
        for one in node.parameters:
            kind = {"IN": "BOOL", "PT": "TIME"}[str(one.name)]
            sets.append((str(one.name), self.fitted(kind, *self.value(one.value))))

        def run(env: Env) -> None:
            for key, get in sets:
                env[name].values[key] = get(env)
            env[name].scan(env["#now"])

        return run

    def _cop(self, source: Any, target: Any, count: Any) -> Callable[[Env], None]:
        (of, read), (to, write), length = self.place(source), self.place(target), int(str(count))

        def run(env: Env) -> None:
            holder, key = read(env)
            items = holder.items[key:] if isinstance(holder, Array) else [_load(holder, key)]
            raw = b"".join(struct.pack(SIZES[of], item) for item in items)
            size = struct.calcsize(SIZES[to])
            if len(raw) < size * length:
                raise StError(f"COP({source}, {target}, {count}) reads behind its source")
            holder, key = write(env)
            for n in range(length):
                (value,) = struct.unpack_from(SIZES[to], raw, n * size)
                _store(holder, key + n if length > 1 else key, value)

        return run

    # ------------------------------------------------------------ places

    def place(self, node: Any) -> tuple[str, Callable[[Env], tuple[Any, Any]]]:
        """Type, and where the value lies: what holds it and the key in it."""
        if isinstance(node, tf.SimpleVariable):
            name = str(node.name)
            if name not in self.types:
                raise StError(f"{name} is not declared")
            return self.types[name], lambda env: (env, name)
        if not isinstance(node, tf.MultiElementVariable):
            raise StError(f"{node} is no variable")
        kind, place = self.place(node.name)
        for element in node.elements:
            kind, place = self._step(kind, place, element)
        return kind, place

    def _step(self, kind: str, place: Any, element: Any) -> tuple[str, Callable[[Env], tuple[Any, Any]]]:
        if isinstance(element, tf.SubscriptList):
            (only,) = element.subscripts
            index = int(str(only))
            length = int(kind.partition("[")[2].rstrip("]"))
            if not 0 <= index < length:
                raise StError(f"[{index}] is outside of {kind}")
            return kind.partition("[")[0], lambda env: (_load(*place(env)), index)
        name = str(getattr(element.field, "name", element.field))
        if name.isdecimal() and self.program.logix:
            return "BOOL", lambda env: (_Bits(*place(env)), int(name))
        if kind in TIMERS:
            running, preset, on = TIMERS[kind]
            of = {running: "BOOL", preset: "DINT" if self.program.logix else "TIME", on: "BOOL"}[name]
            return of, lambda env: (_load(*place(env)).values, name)
        if name not in self.program.structures.get(kind, {}):
            raise StError(f"{kind} has no member {name}")
        return self.program.structures[kind][name], lambda env: (_load(*place(env)), name)

    # ------------------------------------------------------------ values

    def value(self, node: Any) -> tuple[str, Get]:
        """Type and value of an expression."""
        match node:
            case tf.ParenthesizedExpression():
                return self.value(node.expr)
            case tf.UnaryOperation():
                return self._unary(node)
            case tf.BinaryOperation():
                return self._binary(node)
            case tf.FunctionCall():
                return self._function(node)
            case tf.SimpleVariable() | tf.MultiElementVariable():
                kind, place = self.place(node)
                return kind, lambda env: _load(*place(env))
        return _constant(node)

    def _unary(self, node: Any) -> tuple[str, Get]:
        kind, get = self.value(node.expr)
        if str(node.op).upper() == "NOT" and kind == "BOOL":
            return "BOOL", lambda env: not get(env)
        raise StError(f"{node} is not in the subset")

    def _binary(self, node: Any) -> tuple[str, Get]:
        op = str(node.op).upper()
        (a, left), (b, right) = self.value(node.left), self.value(node.right)
        kind = self._common(a, b, node)
        if op in _LOGIC:
            if kind not in ("BOOL", "WORD", "DWORD") and not self.program.logix:
                raise StError(f"{node}: {op} is for BOOL and WORD, not for {kind}")
            return kind, lambda env: _LOGIC[op](left(env), right(env))
        if op in _COMPARE:
            return "BOOL", lambda env: _COMPARE[op](left(env), right(env))
        if kind in ("BOOL", "WORD", "DWORD", "TIME") or op not in _ARITHMETIC:
            raise StError(f"{node}: no {op} for {kind}")
        return kind, lambda env: _within(kind, _ARITHMETIC[op](left(env), right(env), kind))

    def _common(self, a: str, b: str, node: Any) -> str:
        if a == b:
            return a
        if LITERAL in (a, b):
            other = b if a == LITERAL else a
            if other in LIMITS or other == "REAL":
                return other if not (self.program.logix and other == "INT") else "DINT"
        if self.program.logix and {a, b} <= {"INT", "DINT", LITERAL}:
            return "DINT"
        raise StError(f"{node}: {a} and {b} do not mix")

    def _function(self, node: Any) -> tuple[str, Get]:
        name = str(node.name)
        conversion = CONVERSIONS.fullmatch(name)
        if conversion:
            return self._conversion(node, conversion[1], conversion[2])
        routine = self.program.routine(name)
        given = {str(one.name): one.value for one in node.parameters}
        wanted = {key for key, (section, _, _) in routine.types.items() if section == "VAR_INPUT"}
        if given.keys() != wanted:
            raise StError(f"{node}: give {sorted(wanted)}")
        gets = {key: self.fitted(routine.types[key][1], *self.value(value)) for key, value in given.items()}

        def call(env: Env) -> Any:
            inner = routine.fresh()
            inner.update({key: get(env) for key, get in gets.items()})
            routine.run(inner)
            return inner[name]

        return routine.returns, call

    def _conversion(self, node: Any, source: str, target: str) -> tuple[str, Get]:
        (only,) = node.parameters
        kind, get = self.value(only.value)
        if kind != source:
            raise StError(f"{node}: the value is {kind}")
        if (source, target) == ("DWORD", "REAL"):  # STEP 7 takes the bits over
            return target, lambda env: struct.unpack(">f", struct.pack(">I", get(env)))[0]
        if target == "REAL":
            return target, lambda env: _single(get(env))
        return target, lambda env: _within(target, get(env))

    def fitted(self, kind: str, of: str, get: Get) -> Get:
        """The value for a variable of this type; StError where it does not fit."""
        if of == kind:
            return get
        if of == LITERAL:
            if kind == "BOOL" and self.program.logix:
                return lambda env: bool(get(env))
            if kind in LIMITS:
                return lambda env: _within(kind, get(env))
        if self.program.logix and {of, kind} <= {"INT", "DINT"}:
            return lambda env: _within(kind, get(env))
        raise StError(f"{of} assigned to {kind}")


def _constant(node: Any) -> tuple[str, Get]:
    match node:
        case tf.Boolean():
            value: Any = str(node.value).upper() in ("TRUE", "1")
            plain = str(node.value) in ("0", "1")
            return (LITERAL, lambda env: int(value)) if plain else ("BOOL", lambda env: value)
        case tf.BitString() | tf.Integer():
            value = int(str(node.value).replace("_", ""), node.base)
            kind = str(node.type_name) if node.type_name else LITERAL
            return kind, lambda env: value
        case tf.Real():
            value = _single(float(str(node.value)))
            return "REAL", lambda env: value
        case tf.Duration():
            value = 1000 * int(node.seconds or 0) + int(node.milliseconds or 0)
            return "TIME", lambda env: value
    raise StError(f"{type(node).__name__} is not in the subset: {node}")


@dataclass
class _Bits:
    """One word whose bits are selected."""

    holder: Any
    key: Any


def _load(holder: Any, key: Any) -> Any:
    if isinstance(holder, _Bits):
        return bool(_load(holder.holder, holder.key) >> key & 1)
    return holder.items[key] if isinstance(holder, Array) else holder[key]


def _store(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, _Bits):
        word = _load(holder.holder, holder.key) & 0xFFFF
        word = word | 1 << key if value else word & ~(1 << key)
        _store(holder.holder, holder.key, word - 0x1_0000 if word & 0x8000 else word)
    elif isinstance(holder, Array):
        holder.items[key] = _within(holder.type, value)
    else:
        holder[key] = value


def _single(value: float) -> float:
    return float(struct.unpack(">f", struct.pack(">f", value))[0])


def _within(kind: str, value: Any) -> Any:
    if kind in LIMITS and not LIMITS[kind][0] <= value <= LIMITS[kind][1]:
        raise StError(f"{value} leaves {kind}")
    return value


def _divide(a: Any, b: Any, kind: str) -> Any:
    return _single(a / b) if kind == "REAL" else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


_LOGIC: dict[str, Callable[[Any, Any], Any]] = {"AND": lambda a, b: a & b, "OR": lambda a, b: a | b}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
_ARITHMETIC: dict[str, Callable[[Any, Any, str], Any]] = {
    "+": lambda a, b, kind: _single(a + b) if kind == "REAL" else a + b,
    "-": lambda a, b, kind: _single(a - b) if kind == "REAL" else a - b,
    "*": lambda a, b, kind: _single(a * b) if kind == "REAL" else a * b,
    "/": _divide,
    "MOD": lambda a, b, kind: a % b,
}
