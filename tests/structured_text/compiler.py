"""Statements and expressions of blark's tree as closures, with their types checked on the way."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any, Protocol

from blark import transform as tf

from tests.structured_text.values import LIMITS, TIMERS, Array, Bits, Env, StError, load, single, store, within

Get = Callable[[Env], Any]
LITERAL = "literal"
SIZES = {"INT": "<h", "DINT": "<i", "REAL": "<f"}
CONVERSIONS = re.compile(r"(\w+)_TO_(\w+)")


class Routine(Protocol):
    """A function, ready to be called."""

    types: dict[str, tuple[str, Any, Any]]
    returns: str

    def fresh(self) -> Env: ...
    def run(self, env: Env) -> None: ...


class Unit(Protocol):
    """What a statement may refer to beyond its own variables."""

    logix: bool
    structures: dict[str, dict[str, str]]

    def routine(self, name: str) -> Routine: ...


class Compiler:
    def __init__(self, program: Unit, types: dict[str, str]) -> None:
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
            case _:
                raise StError(f"{type(node).__name__} is not in the subset: {node}")

    def _assignment(self, target: Any, expression: Any) -> Callable[[Env], None]:
        kind, place = self.place(target)
        get = self.fitted(kind, *self.value(expression))

        def assign(env: Env) -> None:
            holder, key = place(env)
            store(holder, key, get(env))

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
            return lambda env: load(*place(env)).scan(env["#now"])
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
            items = holder.items[key:] if isinstance(holder, Array) else [load(holder, key)]
            raw = b"".join(struct.pack(SIZES[of], item) for item in items)
            size = struct.calcsize(SIZES[to])
            if len(raw) < size * length:
                raise StError(f"COP({source}, {target}, {count}) reads behind its source")
            holder, key = write(env)
            for n in range(length):
                (value,) = struct.unpack_from(SIZES[to], raw, n * size)
                store(holder, key + n if length > 1 else key, value)

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
            return kind.partition("[")[0], lambda env: (load(*place(env)), index)
        name = str(getattr(element.field, "name", element.field))
        if name.isdecimal() and self.program.logix:
            return "BOOL", lambda env: (Bits(*place(env)), int(name))
        if kind in TIMERS:
            running, preset, on = TIMERS[kind]
            of = {running: "BOOL", preset: "DINT" if self.program.logix else "TIME", on: "BOOL"}[name]
            return of, lambda env: (load(*place(env)).values, name)
        if name not in self.program.structures.get(kind, {}):
            raise StError(f"{kind} has no member {name}")
        return self.program.structures[kind][name], lambda env: (load(*place(env)), name)

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
                return kind, lambda env: load(*place(env))
            case _:
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
        return kind, lambda env: within(kind, _ARITHMETIC[op](left(env), right(env), kind))

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
            return target, lambda env: single(get(env))
        return target, lambda env: within(target, get(env))

    def fitted(self, kind: str, of: str, get: Get) -> Get:
        """The value for a variable of this type; StError where it does not fit."""
        if of == kind:
            return get
        if of == LITERAL:
            if kind == "BOOL" and self.program.logix:
                return lambda env: bool(get(env))
            if kind in LIMITS:
                return lambda env: within(kind, get(env))
        if self.program.logix and {of, kind} <= {"INT", "DINT"}:
            return lambda env: within(kind, get(env))
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
            value = single(float(str(node.value)))
            return "REAL", lambda env: value
        case tf.Duration():
            value = 1000 * int(node.seconds or 0) + int(node.milliseconds or 0)
            return "TIME", lambda env: value
        case _:
            raise StError(f"{type(node).__name__} is not in the subset: {node}")


def _divide(a: Any, b: Any, kind: str) -> Any:
    return single(a / b) if kind == "REAL" else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


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
    "+": lambda a, b, kind: single(a + b) if kind == "REAL" else a + b,
    "-": lambda a, b, kind: single(a - b) if kind == "REAL" else a - b,
    "*": lambda a, b, kind: single(a * b) if kind == "REAL" else a * b,
    "/": _divide,
    "MOD": lambda a, b, kind: a % b,
}
