import asyncio
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from gateway import history as history_module
from gateway.history import History, HistoryError, HistoryRefusedError, newest
from gateway.history_store import Accepted, Store, companions, error_of, set_aside
from gateway.inspection import Finding, Inspection, Trigger
from protocols.faults import Code
from protocols.signals import Judgement

PATIENCE = 20.0


def trigger(cycle: int, **fields: object) -> Trigger:
    return Trigger(cycle, cycle + 100, part_id=cycle * 7, serial=f"S{cycle}", utc=1.7e9 + cycle, **fields)  # type: ignore[arg-type]


def inspection(
    cycle: int, judgement: Judgement = Judgement.OK, station: str = "cell1", seq: int | None = None
) -> Inspection:
    return Inspection(
        station, trigger(cycle), judgement, reason=0, result_seq=cycle if seq is None else seq, recipe=1, boot_id=9
    )


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(sql).fetchall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path, boot_id=9)
    store.open()
    yield store
    store.drop()


def reopened(path: Path) -> dict[str, history_module.Recovered]:
    again = Store(path, boot_id=10)
    try:
        return again.open()
    finally:
        again.close()


# ── the store ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_field_of_an_inspection_comes_back(store: Store, path: Path) -> None:
    full = Inspection(
        station="cell1", trigger=Trigger(3, 65535, 4_294_967_295, "Teil-ß", (1, 2, 3), utc=1.7e9, by_bit=True),
        judgement=Judgement.NG, reason=12, result_seq=44, recipe=2, recipe_name="bracket", model_crc=0xBEEF, score=0.25,
        rule="scratch", checks=0b101, values=(1.5, math.inf), findings=(Finding("scratch", 0.75, (1, 2, 3.5, 4)),),
        detail="why", total=0.031, grab=0.01, infer=0.02, exposed_utc=1.7e9 + 0.5, simulated=True, boot_id=9,
    )  # fmt: skip
    store.write([full], 1)
    (read,) = newest(path, 5)
    assert math.isnan(read.values[1])  # JSON knows no infinity
    assert read.values[0] == 1.5
    same = {name for name in Inspection.__slots__ if getattr(read, name) == getattr(full, name)}
    assert set(Inspection.__slots__) - same == {"values"}


def test_an_open_row_is_ended_as_restarted_once(store: Store, path: Path) -> None:
    store.write([inspection(1, seq=65535)], 1)
    store.write([Accepted("cell1", trigger(2), 1)], 1)
    store.write([Accepted("cell1", trigger(3), 1), Accepted("cell2", trigger(4), 1)], 1)
    store.drop()

    first = reopened(path)
    assert [(i.trigger.cycle, i.result_seq) for i in first["cell1"].interrupted] == [(2, 1), (3, 2)]
    assert {(i.judgement, i.reason) for i in first["cell1"].interrupted} == {(Judgement.FAULT, 5006)}
    assert first["cell1"].result_seq == 2
    assert first["cell1"].last == first["cell1"].interrupted[-1]
    assert (first["cell1"].trigger_seq, first["cell1"].part_id, first["cell1"].serial) == (103, 21, "S3")
    assert [i.result_seq for i in first["cell2"].interrupted] == [1]

    second = reopened(path)
    assert all(not station.interrupted for station in second.values())
    assert second["cell1"].result_seq == 2
    assert query(path, "SELECT count(*), count(judgement) FROM inspection") == [(4, 4)]


def test_a_boot_id_that_comes_again_overwrites_nothing(path: Path) -> None:
    for judgement in (Judgement.NG, Judgement.OK):
        store = Store(path, boot_id=9)
        store.open()
        store.write([inspection(1, judgement)], 1)
        store.close()
    assert [i.judgement for i in newest(path, 9)] == [Judgement.OK, Judgement.NG]


def test_the_last_sequence_number_survives_wrap_and_overtaking(store: Store, path: Path) -> None:
    for cycle, seq in ((1, 65534), (2, 1), (3, 65535), (4, 0)):
        store.write([inspection(cycle, seq=seq)], 1)
    store.drop()
    recovered = reopened(path)["cell1"]
    assert recovered.result_seq == 1
    assert recovered.last is not None
    assert recovered.last.trigger.cycle == 4


def test_one_row_a_cycle_whatever_is_written(store: Store, path: Path) -> None:
    store.write([inspection(1)], 1)  # its accept was refused
    store.write([Accepted("cell1", trigger(1), 5)], 1)  # and comes too late
    store.write([inspection(1, Judgement.FAULT), inspection(2)], 1)
    assert [(i.trigger.cycle, i.judgement, i.recipe) for i in newest(path, 9)] == [
        (2, Judgement.OK, 1),
        (1, Judgement.FAULT, 1),
    ]


def test_a_serial_that_is_no_text_costs_no_row(store: Store, path: Path) -> None:
    store.write([Inspection("cell1", Trigger(1, 1, serial="a\ud800"), Judgement.OK, 0, 1, 1)], 1)
    assert newest(path, 1)[0].trigger.serial == "a?"


@pytest.mark.parametrize("damage", ["garbage", "empty", "truncated", "flipped"])
def test_a_damaged_data_base_is_set_aside(store: Store, path: Path, damage: str) -> None:
    store.write([inspection(cycle) for cycle in range(1, 400)], 1)
    store.close()
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[4096 * 3 : 4096 * 4] = bytes(range(256)) * 16
    whole = bytes(content)
    broken = {"garbage": b"x" * 9000, "empty": b"", "truncated": whole[:20000], "flipped": whole}[damage]
    path.write_bytes(broken)
    for companion in companions(path)[1:]:
        companion.write_bytes(b"stale")

    again = Store(path, boot_id=10)
    assert again.open() == {}
    assert again.damage is not None
    assert again.damage.code is Code.STORE_CORRUPT
    again.write([inspection(1)], 1)
    again.close()
    (kept,) = path.parent.glob("*.corrupt-*Z")
    assert kept.read_bytes() == broken
    assert kept.name in again.damage.text
    assert reopened(path)["cell1"].result_seq == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE inspection SET findings = '[{'",
        "UPDATE inspection SET findings = '[3]'",
        "UPDATE inspection SET judgement = 77",
    ],
)
def test_a_row_that_makes_no_sense_is_damage(store: Store, path: Path, change: str) -> None:
    store.write([inspection(1)], 1)
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(change)
    with pytest.raises(HistoryError, match="a row cannot be read"):
        newest(path, 1)
    again = Store(path, boot_id=1)
    assert again.open() == {}
    assert again.damage is not None
    again.close()


def test_a_new_data_base_never_meets_the_old_ones_log(path: Path) -> None:
    for file in companions(path):
        file.write_text(file.name)
    kept = set_aside(path)
    assert sorted(path.parent.iterdir()) == sorted(companions(kept))
    assert [file.read_text() for file in companions(kept)] == [file.name for file in companions(path)]


def test_damage_found_while_running_is_set_aside_and_writing_goes_on(store: Store, path: Path) -> None:
    store.write([inspection(1)], 1)
    store.condemn(error_of(sqlite_error("corrupt"), path))
    store.write([inspection(2)], 1)
    assert store.damage is not None
    assert [i.trigger.cycle for i in newest(path, 9)] == [2]
    assert len(list(path.parent.glob("*.corrupt-*Z"))) == 1


def sqlite_error(kind: str) -> sqlite3.Error:
    error = sqlite3.DatabaseError(kind)
    error.sqlite_errorcode = {"corrupt": sqlite3.SQLITE_CORRUPT, "full": sqlite3.SQLITE_FULL}[kind]
    return error


def test_a_full_disk_is_told_and_left_by_itself(store: Store, path: Path) -> None:
    assert store._raw is not None
    pages = store._raw.execute("PRAGMA page_count").fetchone()[0]
    store._raw.execute(f"PRAGMA max_page_count = {pages}")
    big = [inspection(cycle) for cycle in range(1, 400)]
    with pytest.raises(HistoryError) as caught:
        store.write(big, 1)
    assert caught.value.code is Code.DISK_FULL
    assert not store._raw.in_transaction
    assert newest(path, 9) == []
    store._raw.execute("PRAGMA max_page_count = 1000000")
    store.write(big, 1)
    assert len(newest(path, 500)) == 399


def test_a_lock_is_waited_for_within_the_budget_only(store: Store, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        with pytest.raises(HistoryError) as caught:
            store.write([inspection(1)], 0.05)
        assert 0.05 <= time.monotonic() - start < 2
        assert caught.value.code is Code.STORE_WRITE
        assert "locked" in caught.value.text
        other.execute("ROLLBACK")
    store.write([inspection(1)], 0.05)
    assert len(newest(path, 9)) == 1


def test_a_read_only_data_base_is_told(store: Store) -> None:
    assert store._raw is not None
    store._raw.execute("PRAGMA query_only = ON")
    with pytest.raises(HistoryError, match="cannot be written") as caught:
        store.write([inspection(1)], 1)
    assert caught.value.code is Code.STORE_WRITE


def test_a_folder_in_its_place_is_told(path: Path) -> None:
    path.mkdir()
    with pytest.raises(HistoryError, match="cannot be written") as caught:
        Store(path, boot_id=1).open()
    assert caught.value.code is Code.STORE_WRITE
    assert path.is_dir()


def test_deleted_log_files_lose_nothing(store: Store, path: Path) -> None:
    store.write([inspection(1)], 1)
    store.write([Accepted("cell1", trigger(2), 1)], 1)
    for companion in companions(path)[1:]:
        companion.unlink()
    store.write([inspection(3)], 1)
    assert [i.judgement for i in newest(path, 9)] == [Judgement.OK, Judgement.NONE, Judgement.OK]  # 2 still runs
    store.write([inspection(2)], 1)
    assert [i.trigger.cycle for i in newest(path, 9)] == [3, 2, 1]
    store.close()
    assert reopened(path)["cell1"].interrupted == ()


def test_a_deleted_data_base_is_begun_anew(store: Store, path: Path) -> None:
    store.write([inspection(1)], 1)
    for file in companions(path):
        file.unlink()
    store.write([inspection(2)], 1)
    assert [i.trigger.cycle for i in newest(path, 9)] == [2]


@pytest.mark.parametrize(
    ("sql", "word"),
    [("PRAGMA user_version = 99", "newer"), ("PRAGMA user_version = 0", "another program")],
)
def test_a_newer_or_foreign_data_base_is_refused_untouched(store: Store, path: Path, sql: str, word: str) -> None:
    store.write([inspection(1)], 1)
    store.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(sql)
    with pytest.raises(HistoryRefusedError, match=word):
        Store(path, boot_id=1).open()
    assert query(path, "SELECT count(*) FROM inspection") == [(1,)]
    assert not list(path.parent.glob("*.corrupt*"))


def test_retention_keeps_the_newest_rows(store: Store, path: Path) -> None:
    store.write([inspection(cycle) for cycle in range(1, 51)], 1)
    deleted = [store.prune(20, None, 16) for _ in range(4)]
    assert deleted == [16, 14, 0, 0]
    assert [i.trigger.cycle for i in newest(path, 99)] == list(range(50, 30, -1))


def test_retention_by_days(store: Store, path: Path) -> None:
    old, new = inspection(1), Inspection("cell1", Trigger(2, 2, utc=time.time()), Judgement.OK, 0, 2, 1)
    store.write([old, new], 1)
    assert store.prune(1000, 1.0, 100) == 1
    assert [i.trigger.cycle for i in newest(path, 9)] == [2]


def test_synchronous_is_full_for_a_result_and_normal_for_a_trigger(store: Store) -> None:
    assert store._raw is not None
    said: list[str] = []
    store._raw.set_trace_callback(said.append)
    store.write([Accepted("cell1", trigger(1), 1)], 1)
    assert said[0].endswith("NORMAL")
    said.clear()
    store.write([Accepted("cell1", trigger(2), 1), inspection(1)], 1)
    assert said[0].endswith("FULL")
    assert (said[1], said[-1]) == ("BEGIN IMMEDIATE", "COMMIT")


def test_reading_one_station_newest_first(store: Store, path: Path) -> None:
    store.write([inspection(1), inspection(2, station="cell2"), inspection(3)], 1)
    store.write([Accepted("cell1", trigger(4), 1)], 1)
    assert [i.trigger.cycle for i in newest(path, 2, "cell1")] == [4, 3]
    assert newest(path, 1)[0].judgement is Judgement.NONE
    assert newest(path, 5, "cell3") == []


def test_reading_what_is_not_there_or_no_history(path: Path) -> None:
    with pytest.raises(HistoryError, match="no history yet"):
        newest(path, 1)
    assert not path.exists()
    path.write_bytes(b"not a data base, " * 300)
    with pytest.raises(HistoryError, match="cannot be read"):
        newest(path, 1)


# ── the writer thread ────────────────────────────────────────────────────────────────────────────────────────────────


class Desk:
    """A history under test with what it told."""

    def __init__(self, path: Path, **settings: int) -> None:
        self.troubles: list[HistoryError] = []
        self.history = History(path, boot_id=9, trouble=self.troubles.append, **settings)

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
