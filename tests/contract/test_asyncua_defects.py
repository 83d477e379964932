"""Each defect of asyncua that protocols.opcua.compat works around is still there; one that is not needs no work-around.

A test that goes red here is good news: take the work-around out, or say why it stays.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.contract import asyncua_defects


@pytest.fixture(scope="module")
def defects() -> dict[str, Any]:
    """What asyncua does when nobody has touched it: in a process of its own."""
    command = [sys.executable, "-m", "tests.contract.asyncua_defects"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(150)
@pytest.mark.parametrize("case", [case.__name__ for case in asyncua_defects.CASES])
def test_asyncua_still_has_the_defect(defects: dict[str, Any], case: str) -> None:
    assert defects[case] is True
