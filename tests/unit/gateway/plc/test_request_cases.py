"""The wrong requests of the acceptance, put to the gateway's own registers without a wire."""

from __future__ import annotations

import pytest

from gateway.plc.request_cases import RequestCase, frame, request_cases
from protocols.codec import Codec
from protocols.modbus.mbap import Framer
from protocols.modbus.pdu import Units
from protocols.modbus.registers import RegisterMap

MAPS = {"default": RegisterMap(), "moved": RegisterMap(1000, 2000, 3000)}
CASES = [(name, case) for name, registers in MAPS.items() for case in request_cases(registers, 1)]


@pytest.mark.parametrize(("name", "case"), CASES, ids=lambda one: getattr(one, "name", one))
def test_is_refused_as_demanded_and_changes_nothing(name: str, case: RequestCase) -> None:
    written: list[bytes] = []
    units = Units(lambda *_: None)
    image = units.add(1, MAPS[name], Codec().encode_signature(), lambda block, _: written.append(block))
    image.permit = lambda _: None  # type: ignore[attr-defined,unused-ignore]
    asked = frame(9, case.unit or 1, case.pdu)
    assert list(Framer().feed(asked)) == [asked], "it is a whole frame"
    assert units.answer(asked, None)[7:] == bytes((case.pdu[0] | 0x80, case.code))
    assert written == []


def test_there_are_thirty_of_them_with_names_of_their_own() -> None:
    names = [case.name for case in request_cases(RegisterMap(), 1)]
    assert len(set(names)) == len(names) >= 30


def test_another_unit_is_never_the_station_s_own() -> None:
    assert [case.unit for unit in (1, 246, 247) for case in request_cases(RegisterMap(), unit) if case.unit] == [
        247, 247, 246,
    ]  # fmt: skip
