"""Runs Structured Text: parsed by blark, checked for types, and executed scan by scan with a clock of its own.

Strict where PLCs differ: no implicit conversion, no overflow, both sides of AND and OR are evaluated. `logix=True`
knows INT, DINT, bit selection, COP and TONR as Logix 5000 has them.
"""

from tests.structured_text.program import Instance, Program, parse
from tests.structured_text.values import StError

__all__ = ["Instance", "Program", "StError", "parse"]
