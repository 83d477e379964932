"""What each variable of the plain face shows: outputs of the contract as plain values by path. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from protocols.codec import Codec
from protocols.faults import CATALOGUE, Code
from protocols.modbus.registers import FIELDS, RESULT_BITS, STATUS_BITS, Block
from protocols.opcua.plain_map import CHECKS_FOLDER, RESULT, STATUS, STRUCTURE_FIELDS, VALUES_FOLDER
from protocols.signals import Judgement, Result, ResultBit, Status
from protocols.station_view import RecipeFacts, StationFacts

Plain = bool | int | float | str | datetime | tuple[float, ...]
"""Of one variable, without its data type."""

_CODEC = Codec()
_JUDGEMENTS = {int(judgement): judgement.name for judgement in Judgement}
_BITS = {"STATUS": STATUS_BITS, "RESULT_BITS": RESULT_BITS}
_WORDS = {"STATUS": "bits", "RESULT_BITS": "bits", "RESULT_SEQ_COPY": "result_seq"}
"""Where the record's attribute is not the field's name in small letters."""


def fitted(result: Result) -> Result:
    """The same as every carrier shows it: numbers saturated, reals of 32 bits, 13 values."""
    shown = _CODEC.decode_result(_CODEC.encode_result(result))
    if shown is None:
        return result
    # One NaN for all: a subscriber is told of a change, and another NaN would be one.
    return replace(shown, values=tuple(math.nan if math.isnan(value) else value for value in shown.values))


def status_values(status: Status) -> Iterator[tuple[str, Plain]]:
    """Path and value of all below Status; RESULT_VALID and the word with it come last."""
    status = _CODEC.decode_status(_CODEC.encode_status(status))
    for path, read in _STATUS_READS:
        yield path, read(status)
    yield f"{STATUS}.FAULT_TEXT", code_text(status.fault_code)
    yield f"{STATUS}.NOT_READY_TEXT", code_text(status.not_ready_reason)
    yield f"{STATUS}.STATUS", status.bits
    for bit in STATUS_BITS:
        yield f"{STATUS}.STATUS.{bit.name}", bool(status.bits >> bit.number & 1)


def result_values(result: Result, facts: StationFacts) -> Iterator[tuple[str, Plain | None]]:
    """Path and value of all below Result, for a result as `fitted`; RESULT_SEQ comes last. None: there is no such."""
    recipe = next((recipe for recipe in facts.recipes if recipe.number == result.recipe), None)
    yield from _named(result, recipe, facts)
    yield f"{RESULT}.VALUE", result.values
    yield f"{RESULT}.JUDGEMENT_TEXT", judgement_text(result.judgement)
    yield f"{RESULT}.REASON_TEXT", reason_text(result.reason, recipe)
    yield f"{RESULT}.TIME", _time(result)
    for bit in RESULT_BITS:
        yield f"{RESULT}.RESULT_BITS.{bit.name}", bool(result.bits >> bit.number & 1)
    for path, read in reversed(_RESULT_READS):
        yield path, read(result)


def structure_values(result: Result) -> dict[str, Plain]:
    """The fields of the structure by name, for a result as `fitted`."""
    reads = dict(_RESULT_READS)
    return {
        field.name: result.values if field.length else reads[f"{RESULT}.{field.name}"](result)
        for field in STRUCTURE_FIELDS
    }


def code_text(code: int) -> str:
    """A fault code in words; "" for 0."""
    if code == 0:
        return ""
    return CATALOGUE[Code(code)].text if code in CATALOGUE else f"code {code}"


def judgement_text(judgement: int) -> str:
    """The judgement by its name in the contract."""
    return _JUDGEMENTS.get(judgement, str(judgement))


def reason_text(reason: int, recipe: RecipeFacts | None) -> str:
    """The rule that fired, by the recipe's own name, or the fault in words."""
    if reason >= 1000 or recipe is None:
        return code_text(reason)
    return dict(recipe.codes).get(reason, code_text(reason))


def _named(result: Result, recipe: RecipeFacts | None, facts: StationFacts) -> Iterator[tuple[str, Plain | None]]:
    values: Mapping[str, float] = dict(zip(recipe.values, result.values, strict=False)) if recipe else {}
    for name in dict.fromkeys(name for known in facts.recipes for name in known.values):
        value = values.get(name, math.nan)
        yield f"{VALUES_FOLDER}.{name}", None if math.isnan(value) else value
    checks = recipe.checks if recipe else ()
    for name in dict.fromkeys(name for known in facts.recipes for name in known.checks):
        bit = ResultBit.CHECK_0 << checks.index(name) if name in checks else 0
        yield f"{CHECKS_FOLDER}.{name}", bool(result.bits & bit) if bit else None


def _time(result: Result) -> Plain | None:
    if not result.time_s:
        return None
    return datetime.fromtimestamp(result.time_s, UTC).replace(microsecond=min(result.time_ms, 999) * 1000)


def _status_reads() -> Iterator[tuple[str, Callable[[Status], Plain]]]:
    for field in FIELDS:
        if field.block is Block.STATUS and field.name not in _BITS:
            yield f"{STATUS}.{field.name}", _attribute(field.name.lower())


def _result_reads() -> Iterator[tuple[str, Callable[[Result], Plain]]]:
    for field in FIELDS:
        if field.block is Block.RESULT:
            path = f"{RESULT}.{field.name}"
            if field.name.startswith("VALUE_"):
                yield path, _value(int(field.name.removeprefix("VALUE_")))
            else:
                yield path, _attribute(_WORDS.get(field.name, field.name.lower()))


def _attribute(name: str) -> Callable[[object], Plain]:
    def read(record: object) -> Plain:
        value: Plain = getattr(record, name)
        return value

    return read


def _value(index: int) -> Callable[[Result], Plain]:
    return lambda result: result.values[index]


_STATUS_READS = tuple(_status_reads())
_RESULT_READS = tuple(_result_reads())
