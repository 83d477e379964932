"""The three functions that FB_VisionStation needs: words as UDINT and REAL, and a UDINT as words, in one word order."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.codec import WordOrder


@dataclass(frozen=True, slots=True)
class Function:
    """A function: names and types of its variables, its statements without frame."""

    name: str
    returns: str
    meaning: str
    inputs: dict[str, str]
    body: tuple[str, ...]
    locals: dict[str, str] = field(default_factory=dict)


def iec(order: WordOrder) -> tuple[Function, ...]:
    """For IEC 61131-3: arithmetic only, since makers differ in what a conversion from bits to REAL means."""
    return _udint(order), _word(order), _real(_DECODE)


def step7(order: WordOrder) -> tuple[Function, ...]:
    """For SCL of STEP 7, where DWORD_TO_REAL takes the bits over unchanged."""
    return _udint(order), _word(order), _real(_TAKE_OVER)


def _swapped(name: str) -> str:
    return f"{name} := ({name} MOD 256) * 256 + {name} / 256;"


def _udint(order: WordOrder) -> Function:
    high, low = ("first", "second") if order in (WordOrder.ABCD, WordOrder.BADC) else ("second", "first")
    lines = [f"high := WORD_TO_UINT({high});", f"low := WORD_TO_UINT({low});"]
    if order in (WordOrder.BADC, WordOrder.DCBA):
        lines += [_swapped("high"), _swapped("low")]
    lines.append("VisionUdint := UINT_TO_UDINT(high) * UDINT#65536 + UINT_TO_UDINT(low);")
    pair = {"first": "WORD", "second": "WORD"}
    meaning = f"Two words in the order {order.value} as a number."
    return Function("VisionUdint", "UDINT", meaning, pair, tuple(lines), {"high": "UINT", "low": "UINT"})


def _word(order: WordOrder) -> Function:
    low_first = order in (WordOrder.CDAB, WordOrder.DCBA)
    lines = [
        f"IF {'NOT second' if low_first else 'second'} THEN",
        "  half := UDINT_TO_UINT(value MOD UDINT#65536);",
        "ELSE",
        "  half := UDINT_TO_UINT(value / UDINT#65536);",
        "END_IF;",
    ]
    if order in (WordOrder.BADC, WordOrder.DCBA):
        lines.append(_swapped("half"))
    lines.append("VisionWord := UINT_TO_WORD(half);")
    inputs = {"value": "UDINT", "second": "BOOL"}
    meaning = f"The first or the second word of a number in the order {order.value}."
    return Function("VisionWord", "WORD", meaning, inputs, tuple(lines), {"half": "UINT"})


_DECODE = """\
exponent := UDINT_TO_UINT((raw / UDINT#8388608) MOD UDINT#256);
IF (exponent = 0) OR (exponent = 255) THEN
  VisionReal := 0.0;
ELSE
  magnitude := UDINT_TO_REAL(raw MOD UDINT#8388608 + UDINT#8388608);
  WHILE exponent > 150 DO
    magnitude := magnitude * 2.0;
    exponent := exponent - 1;
  END_WHILE;
  WHILE exponent < 150 DO
    magnitude := magnitude / 2.0;
    exponent := exponent + 1;
  END_WHILE;
  IF raw >= UDINT#2147483648 THEN magnitude := 0.0 - magnitude; END_IF;
  VisionReal := magnitude;
END_IF;
""".splitlines()

_TAKE_OVER = """\
exponent := UDINT_TO_UINT((raw / UDINT#8388608) MOD UDINT#256);
IF (exponent = 0) OR (exponent = 255) THEN
  VisionReal := 0.0;
ELSE
  VisionReal := DWORD_TO_REAL(UDINT_TO_DWORD(raw));
END_IF;
""".splitlines()


def _real(decode: list[str]) -> Function:
    used = {"raw": "UDINT", "exponent": "UINT"}
    return Function(
        "VisionReal",
        "REAL",
        "Two words as a REAL (binary32 of IEEE 754-2019, 3.4); what is no number, or too small, is 0.0.",
        {"first": "WORD", "second": "WORD"},
        ("raw := VisionUdint(first := first, second := second);", *decode),
        used | {"magnitude": "REAL"} if decode is _DECODE else used,
    )
