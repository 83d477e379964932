"""The disk does not take the record: the verdict is withheld, FAULT 4001 comes by the deadline, and it mends itself."""

from __future__ import annotations

import contextlib
import resource
import sqlite3
from collections.abc import Iterator

import psutil
import pytest

from protocols.faults import Code
from protocols.signals import Judgement
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import line
from tests.scenario.stand import Stand

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]


@contextlib.contextmanager
def locked(stand: Stand) -> Iterator[None]:
    """Another program holds the data base."""
    other = sqlite3.connect(stand.data_dir / "history.sqlite3", isolation_level=None)
    try:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


@contextlib.contextmanager
def full(stand: Stand) -> Iterator[None]:
    """No file of the gateway may grow any more: what a disk without room or a quota does, without being root."""
    process = psutil.Process(stand.pid)
    before = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("trouble", [locked, full])
async def test_a_disk_that_does_not_take_the_record(
    new_stand: NewStand, bench: Bench, trouble: type[Iterator[None]]
) -> None:
    stand = new_stand()
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        assert (await plant.plc.inspect(1)).judgement is bench.verdict(1)
        with trouble(stand):  # type: ignore[call-arg, attr-defined]
            answer = await plant.plc.inspect(2)
            assert answer.judgement is Judgement.FAULT, answer
            assert answer.reason in (Code.STORE_WRITE, Code.DISK_FULL)
            assert answer.response is not None
            assert answer.response <= plant.evidence.deadline + plant.evidence.margin
            await plant.see(lambda b: not b.ready and b.not_ready_reason == answer.reason, 1, "Ready goes off")
        await plant.ready(5)
        assert (await plant.plc.inspect(3)).judgement is bench.verdict(3)
        assert await stand.stop() == 0
    assert [(row.trigger.part_id, int(row.judgement)) for row in stand.history()] == [
        (1, bench.verdict(1)), (2, Judgement.FAULT), (3, bench.verdict(3))
    ]  # fmt: skip
