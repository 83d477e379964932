"""Fixtures of the gateway's unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.history_store import Store
from protocols.faults import Code
from tests.unit.gateway.played_workers import Line, make


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path, boot_id=9)
    store.open()
    yield store
    store.drop()


@pytest.fixture
def starting() -> Line:
    """A pool whose first worker still loads."""
    line = make()
    assert line.news() == [("down", Code.STARTING)]
    return line


@pytest.fixture
def pair(starting: Line) -> Iterator[Line]:
    """A pool with worker 0 active and worker 1 as standby."""
    starting.ready(0)
    starting.ready(1)
    assert starting.news() == [("ready", 1)]
    yield starting
    assert len([worker for worker in starting.workers if worker.alive()]) <= 3


@pytest.fixture
def single() -> Line:
    """A pool without standby."""
    line = make(standby=False)
    line.pool.tend()
    line.ready(0)
    line.told.clear()
    return line
