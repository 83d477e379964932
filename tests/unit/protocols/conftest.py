"""Fixtures of the protocols' unit tests."""

from __future__ import annotations

import pytest

from tests.unit.protocols.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench().enable()
