"""The catalogue speaks for every code."""

from __future__ import annotations

import pytest

from protocols.faults import CATALOGUE, Code, FaultClass, describe, fault_class


@pytest.mark.parametrize("code", [code for code in Code if code])
def test_every_code_has_text_cause_and_remedy(code: Code) -> None:
    info = CATALOGUE[code]
    assert all(
        text and text == text.strip() and not text.endswith(".") for text in (info.text, info.cause, info.remedy)
    )
    assert describe(code).startswith(f"{int(code)} ")


def test_unknown_code_counts_as_a_fault() -> None:
    assert fault_class(999) is FaultClass.FAULT
    assert describe(999) == "999: unknown code"
