"""How each language reads and writes the word arrays; all else of the block is the same text in every language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from gateway.plc.names import Member
from protocols.codec import WordOrder
from protocols.modbus.registers import Type


class Dialect(Protocol):
    """A language of PLC programs: statements that move values between variables and the arrays `command`, `status`."""

    def get_bit(self, target: str, word: int, bit: int) -> Iterator[str]:
        """`target` (BOOL) := one bit of a status word."""

    def get(self, target: str, kind: Type, word: int) -> Iterator[str]:
        """`target` := the value at a status word; a REAL that is no number becomes 0.0."""

    def put(self, word: int, kind: Type, source: str) -> Iterator[str]:
        """A command word (or two) := `source`."""

    def put_bits(self, word: int, bits: Iterable[tuple[int, str]]) -> Iterator[str]:
        """The low byte of a command word := these BOOL variables; its high byte is left alone."""

    def text(self, lines: Iterable[str]) -> Iterator[str]:
        """Lines of common text (IEC 61131-3, no words touched) in this language."""


def get_member(dialect: Dialect, owner: str, member: Member) -> Iterator[str]:
    """All elements of a member of a structure, from the status words."""
    width = 2 if member.type in (Type.REAL, Type.UDINT) else 1
    for index in range(member.count):
        subscript = f"[{index}]" if member.count > 1 else ""
        yield from dialect.get(f"{owner}.{member.name}{subscript}", member.type, member.word + index * width)


class Iec:
    """Structured Text as in IEC 61131-3: arrays of WORD, conversions by the functions of `functions`."""

    def get_bit(self, target: str, word: int, bit: int) -> Iterator[str]:
        yield f"{target} := (status[{word}] AND WORD#16#{1 << bit:04X}) <> WORD#16#0000;"

    def get(self, target: str, kind: Type, word: int) -> Iterator[str]:
        pair = f"(first := status[{word}], second := status[{word + 1}])"
        value = {
            Type.BITS: f"status[{word}]",
            Type.UINT: f"WORD_TO_UINT(status[{word}])",
            Type.UDINT: f"VisionUdint{pair}",
            Type.REAL: f"VisionReal{pair}",
        }
        yield f"{target} := {value[kind]};"

    def put(self, word: int, kind: Type, source: str) -> Iterator[str]:
        if kind is Type.UINT:
            yield f"command[{word}] := UINT_TO_WORD({source});"
            return
        yield f"command[{word}] := VisionWord(value := {source}, second := FALSE);"
        yield f"command[{word + 1}] := VisionWord(value := {source}, second := TRUE);"

    def put_bits(self, word: int, bits: Iterable[tuple[int, str]]) -> Iterator[str]:
        yield f"command[{word}] := command[{word}] AND WORD#16#FF00;"
        for bit, source in bits:
            yield f"IF {source} THEN command[{word}] := command[{word}] OR WORD#16#{1 << bit:04X}; END_IF;"

    def text(self, lines: Iterable[str]) -> Iterator[str]:
        yield from lines


class Logix:
    """Structured Text of Logix 5000: INT arrays, DINT for whatever has no sign, COP where bytes are moved unchanged.

    Logix 5000 Controllers General Instructions (1756-RM003), COP and TONR; the low byte stands first in its memory.
    """

    def __init__(self, order: WordOrder) -> None:
        self.low = 0 if order in (WordOrder.CDAB, WordOrder.DCBA) else 1
        """Which of two words is the low one."""
        self.swap = order in (WordOrder.BADC, WordOrder.DCBA)

    def get_bit(self, target: str, word: int, bit: int) -> Iterator[str]:
        yield f"{target} := status[{word}].{bit};"

    def get(self, target: str, kind: Type, word: int) -> Iterator[str]:
        if kind in (Type.BITS, Type.UINT):
            yield f"{target} := status[{word}] AND 65535;"
            return
        for half in (0, 1):
            source = f"status[{word + (self.low if half == 0 else 1 - self.low)}]"
            yield from self._half(half, source)
        yield "COP(pair[0], raw, 1);"
        if kind is Type.UDINT:
            yield f"{target} := raw;"
            return
        yield "IF (raw AND 2139095040) = 2139095040 THEN raw := 0; END_IF;"
        yield f"COP(raw, {target}, 1);"

    def _half(self, half: int, source: str) -> Iterator[str]:
        if not self.swap:
            yield f"pair[{half}] := {source};"
            return
        yield f"raw := {source} AND 65535;"
        yield "raw := ((raw AND 255) * 256) + (raw / 256);"
        yield f"COP(raw, pair[{half}], 1);"

    def put(self, word: int, kind: Type, source: str) -> Iterator[str]:
        if kind is Type.UINT:
            yield f"COP({source}, command[{word}], 1);"
            return
        yield f"COP({source}, pair[0], 2);"
        for half in (0, 1):
            target = f"command[{word + (self.low if half == 0 else 1 - self.low)}]"
            if self.swap:
                yield f"raw := pair[{half}] AND 65535;"
                yield "raw := ((raw AND 255) * 256) + (raw / 256);"
                yield f"COP(raw, {target}, 1);"
            else:
                yield f"{target} := pair[{half}];"

    def put_bits(self, word: int, bits: Iterable[tuple[int, str]]) -> Iterator[str]:
        used = dict(bits)
        for bit in range(8):
            yield f"command[{word}].{bit} := {used.get(bit, '0')};"

    def text(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            timer = re.fullmatch(r"(\w+)\(IN := (.+), PT := (\w+)\);", line)
            if timer:
                name, running, preset = timer.groups()
                yield from map(self._line, (f"{name}.PRE := {preset};", f"{name}.TimerEnable := {running};"))
                yield f"TONR({name});"
            else:
                yield self._line(line)

    @staticmethod
    def _line(line: str) -> str:
        line = re.sub(r"\bTRUE\b", "1", line)
        line = re.sub(r"\bFALSE\b", "0", line)
        return re.sub(r"(\w+Timer)\.Q\b", r"\1.DN", line)


def scl(lines: Iterable[str], names: Iterable[str], blocks: Iterable[str]) -> Iterator[str]:
    """Lines of IEC text as SCL of STEP 7: # before local variables, quotes around blocks and PLC data types."""
    local = re.compile(rf"(?<![\w.#])({'|'.join(sorted(names, key=len, reverse=True))})\b")
    block = re.compile(rf"\b({'|'.join(sorted(blocks, key=len, reverse=True))})\b")

    def marked(found: re.Match[str]) -> str:
        formal = found.string[: found.start()].endswith(("(", ", ")) and found.string[found.end() :].startswith(" := ")
        return found[0] if formal else f"#{found[0]}"

    for line in lines:
        code, comment, rest = line.partition("(*")
        yield block.sub(r'"\1"', local.sub(marked, code)) + comment + rest
