"""The writer thread."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from gateway import history as history_module
from gateway.history import History, HistoryError, HistoryRefusedError, newest
from gateway.history_store import Accepted
from gateway.inspection import Inspection, Trigger
from protocols.faults import Code
from protocols.signals import Judgement
from tests.unit.gateway.records import PATIENCE, inspection, trigger


class Desk:
    """A history under test with what it told."""

    def __init__(self, path: Path, **settings: int) -> None:
        self.troubles: list[HistoryError] = []
        self.well = asyncio.Event()
        self.history = History(path, boot_id=9, trouble=self.told, **settings)

    def told(self, error: HistoryError | None) -> None:
        if error is None:
            self.well.set()
        else:
            self.troubles.append(error)

    def commit(self, what: Inspection) -> asyncio.Future[HistoryError | None]:
        done: asyncio.Future[HistoryError | None] = asyncio.get_running_loop().create_future()
        self.history.commit(what, done.set_result)
        return done

    async def committed(self, what: Inspection) -> HistoryError | None:
        return await asyncio.wait_for(self.commit(what), PATIENCE)


@pytest_asyncio.fixture
async def desk(path: Path) -> AsyncIterator[Desk]:
    desk = Desk(path)
    desk.history.start(asyncio.get_running_loop())
    await asyncio.wait_for(desk.history.opened, PATIENCE)
    yield desk
    await desk.history.close(PATIENCE)


class Gate:
    """Holds the data base locked as a backup tool would."""

    def __init__(self, path: Path) -> None:
        self._raw = sqlite3.connect(path, isolation_level=None)
        self._raw.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self._raw.close()


@pytest.mark.asyncio
async def test_done_comes_after_the_row_is_readable_and_on_the_loop(desk: Desk, path: Path) -> None:
    desk.history.accept("cell1", trigger(1), 1)
    assert await desk.committed(inspection(1)) is None
    assert [(i.trigger.cycle, i.judgement) for i in newest(path, 9)] == [(1, Judgement.OK)]


@pytest.mark.asyncio
async def test_order_is_kept_and_a_burst_shares_transactions(desk: Desk, path: Path) -> None:
    order: list[int] = []
    writes: list[int] = []
    write = desk.history._store.write

    def counted(rows: Sequence[Accepted | Inspection], budget: float) -> None:
        writes.append(len(rows))
        write(rows, budget)

    desk.history._store.write = counted  # type: ignore[method-assign]
    gate = Gate(path)
    futures = [desk.commit(inspection(cycle)) for cycle in range(1, 31)]
    for cycle, future in enumerate(futures, 1):
        future.add_done_callback(lambda _, cycle=cycle: order.append(cycle))  # type: ignore[misc]
    gate.release()
    await asyncio.wait_for(asyncio.gather(*futures), PATIENCE)
    await asyncio.sleep(0)
    assert order == list(range(1, 31))
    assert [i.trigger.cycle for i in newest(path, 99)] == list(range(30, 0, -1))
    assert sum(writes) == 30
    assert len(writes) <= 3


@pytest.mark.asyncio
async def test_an_amendment_rewrites_the_row(desk: Desk, path: Path) -> None:
    done = desk.commit(inspection(1))
    desk.history.amend(inspection(1, Judgement.FAULT))
    await done
    await desk.committed(inspection(2))
    assert [(i.trigger.cycle, i.judgement) for i in newest(path, 9)] == [(2, Judgement.OK), (1, Judgement.FAULT)]


@pytest.mark.asyncio
async def test_locked_each_commit_fails_in_time_and_the_amendment_is_written_later(desk: Desk, path: Path) -> None:
    gate = Gate(path)
    error = await desk.committed(inspection(1))
    assert error is not None
    assert error.code is Code.STORE_WRITE
    desk.history.amend(inspection(1, Judgement.FAULT))
    error = await desk.committed(inspection(2))
    assert error is not None
    gate.release()
    assert await desk.committed(inspection(3)) is None
    assert [(i.trigger.cycle, i.judgement) for i in newest(path, 9)] == [(3, Judgement.OK), (1, Judgement.FAULT)]
    assert {trouble.code for trouble in desk.troubles} == {Code.STORE_WRITE}


@pytest.mark.asyncio
async def test_an_owed_amendment_is_written_without_other_work(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "RETRY", 0.01)
    monkeypatch.setattr(history_module, "COMMIT_BUDGET", 0.0)
    failed = asyncio.Event()
    desk = Desk(path)
    desk.history._trouble = lambda _: failed.set()
    desk.history.start(asyncio.get_running_loop())
    await desk.history.opened
    gate = Gate(path)
    desk.history.amend(inspection(1, Judgement.FAULT))
    await asyncio.wait_for(failed.wait(), PATIENCE)
    gate.release()
    await desk.history.close(PATIENCE)
    assert [i.judgement for i in newest(path, 9)] == [Judgement.FAULT]


@pytest.mark.asyncio
async def test_a_full_queue_refuses_at_once_but_takes_amendments(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "COMMIT_BUDGET", PATIENCE)
    desk = Desk(path, queue=2)
    desk.history.start(asyncio.get_running_loop())
    await desk.history.opened
    gate = Gate(path)
    futures = [desk.commit(inspection(cycle)) for cycle in range(1, 12)]
    await asyncio.sleep(0)
    refused = [future for future in futures if future.done()]
    assert len(refused) >= 3
    assert {error.code for future in refused if (error := future.result())} == {Code.STORE_WRITE}
    desk.history.amend(inspection(11, Judgement.FAULT))
    gate.release()
    await asyncio.wait_for(asyncio.gather(*futures), PATIENCE)
    await desk.history.close(PATIENCE)
    assert newest(path, 1)[0].judgement is Judgement.FAULT
    assert len(newest(path, 99)) == 11 - len(refused) + 1


@pytest.mark.asyncio
async def test_one_bad_row_fails_alone(desk: Desk, path: Path) -> None:
    gate = Gate(path)
    futures = [
        desk.commit(inspection(1)),
        desk.commit(Inspection("cell1", Trigger(2, 2**70), Judgement.OK, 0, 2, 1)),
        desk.commit(inspection(3)),
    ]
    gate.release()
    first, bad, last = await asyncio.wait_for(asyncio.gather(*futures), PATIENCE)
    assert (first, last) == (None, None)
    assert bad is not None
    assert bad.code is Code.INTERNAL
    assert [i.trigger.cycle for i in newest(path, 9)] == [3, 1]


@pytest.mark.asyncio
async def test_a_reader_sees_whole_inspections_while_rows_are_written(desk: Desk, path: Path) -> None:
    for cycle in range(1, 60):
        desk.history.accept("cell1", trigger(cycle), 1)
        done = desk.commit(inspection(cycle))
        rows = await asyncio.to_thread(newest, path, 100)
        cycles = [row.trigger.cycle for row in rows]
        assert cycles == list(range(len(cycles), 0, -1))
        assert await done is None


@pytest.fixture
def blocked(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.fixture
def damaged(path: Path) -> Path:
    path.write_bytes(b"x" * 5000)
    return path


@pytest.mark.asyncio
async def test_opening_is_tried_until_it_succeeds(blocked: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "RETRY", 0.01)
    failed = asyncio.Event()
    history = History(path, boot_id=1, trouble=lambda _: failed.set())
    history.start(asyncio.get_running_loop())
    await asyncio.wait_for(failed.wait(), PATIENCE)
    assert not history.opened.done()
    await asyncio.to_thread(blocked.rmdir)
    assert await asyncio.wait_for(history.opened, PATIENCE) == {}
    await history.close(PATIENCE)


@pytest.fixture
def foreign(path: Path) -> Iterator[Path]:
    """A data base of another program, which must stay as it is to the last byte."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before


@pytest.mark.asyncio
async def test_a_refused_data_base_ends_the_opening(foreign: Path) -> None:
    desk = Desk(foreign)
    desk.history.start(asyncio.get_running_loop())
    early = desk.commit(inspection(2))
    with pytest.raises(HistoryRefusedError, match="another program"):
        await asyncio.wait_for(desk.history.opened, PATIENCE)
    assert await asyncio.wait_for(early, PATIENCE) is not None
    assert (await desk.committed(inspection(1))) is not None
    await desk.history.close(PATIENCE)


@pytest.mark.asyncio
async def test_a_defect_in_the_writer_is_no_silence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> dict[str, history_module.Recovered]:
        raise ZeroDivisionError

    desk = Desk(path)
    monkeypatch.setattr(desk.history._store, "open", broken)
    desk.history.start(asyncio.get_running_loop())
    with pytest.raises(HistoryError, match="ZeroDivisionError"):
        await asyncio.wait_for(desk.history.opened, PATIENCE)
    error = await desk.committed(inspection(1))
    assert error is not None
    await desk.history.close(PATIENCE)
    assert [trouble.code for trouble in desk.troubles] == [Code.INTERNAL]


@pytest.mark.asyncio
async def test_a_done_that_raises_spoils_no_other(desk: Desk, path: Path) -> None:
    loop = asyncio.get_running_loop()
    said: list[object] = []
    loop.set_exception_handler(lambda _, context: said.append(context["exception"]))

    def raising(_: HistoryError | None) -> None:
        raise LookupError

    gate = Gate(path)
    desk.history.commit(inspection(1), raising)
    other = desk.commit(inspection(2))
    gate.release()
    assert await asyncio.wait_for(other, PATIENCE) is None
    assert isinstance(said[0], LookupError)


@pytest.mark.asyncio
async def test_damage_at_start_is_told(damaged: Path) -> None:
    desk = Desk(damaged)
    desk.history.start(asyncio.get_running_loop())
    assert await asyncio.wait_for(desk.history.opened, PATIENCE) == {}
    assert [trouble.code for trouble in desk.troubles] == [Code.STORE_CORRUPT]
    await desk.history.close(PATIENCE)


@pytest.mark.asyncio
async def test_close_writes_what_is_queued_and_leaves_one_file(path: Path) -> None:
    desk = Desk(path)
    desk.history.start(asyncio.get_running_loop())
    await desk.history.opened
    futures = [desk.commit(inspection(cycle)) for cycle in range(1, 20)]
    await desk.history.close(PATIENCE)
    assert [future.result() for future in futures] == [None] * 19
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name]
    assert (await desk.committed(inspection(20))) is not None


@pytest.mark.asyncio
async def test_retention_and_checkpoint_happen_in_idle_moments(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "PRUNE_EVERY", 10)
    monkeypatch.setattr(history_module, "CHECKPOINT_IDLE", 1)
    monkeypatch.setattr(history_module, "IDLE", 0.0)
    desk = Desk(path, keep_rows=5)
    checkpointed = asyncio.Event()
    loop = asyncio.get_running_loop()
    checkpoint = desk.history._store.checkpoint

    def seen() -> None:
        checkpoint()
        loop.call_soon_threadsafe(checkpointed.set)

    desk.history._store.checkpoint = seen  # type: ignore[method-assign]
    desk.history.start(loop)
    await desk.history.opened
    await asyncio.gather(*(desk.commit(inspection(cycle)) for cycle in range(1, 40)))
    await asyncio.wait_for(checkpointed.wait(), PATIENCE)
    assert [i.trigger.cycle for i in newest(path, 99)] == [39, 38, 37, 36, 35]
    await desk.history.close(PATIENCE)


async def test_after_an_error_the_disk_is_probed_until_it_writes_again(desk: Desk, path: Path) -> None:
    """Nobody triggers while Ready is off: without a probe the station would stay down after a short lock."""
    gate = Gate(path)
    assert await desk.committed(inspection(1)) is not None
    assert not desk.well.is_set()
    gate.release()
    await asyncio.wait_for(desk.well.wait(), PATIENCE)


async def test_a_trigger_that_meets_a_lock_is_no_trouble(desk: Desk, path: Path) -> None:
    gate = Gate(path)
    desk.history.accept("cell1", trigger(1), 1)
    assert await desk.committed(inspection(2)) is not None
    gate.release()
    assert await desk.committed(inspection(1)) is None
    assert desk.troubles == []
