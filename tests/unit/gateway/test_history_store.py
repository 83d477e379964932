"""The data base file: what comes back, what is set aside, what is told."""

import math
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.history import HistoryError, HistoryRefusedError, newest
from gateway.history_store import Accepted, Store, companions, error_of, set_aside
from gateway.inspection import Finding, Inspection, Trigger
from protocols.faults import Code
from protocols.signals import Judgement
from protocols.tags import Quality, TagValue
from tests.unit.gateway.records import inspection, query, reopened, trigger

RICH = Finding(
    "code", 1.0, (1, 2, 30, 40), ((1, 2), (30, 2), (30, 40.5)), ((5, 6, 0.25),), angle=0.0, text="(10)ß", value=0.0
)


def test_every_field_of_an_inspection_comes_back(store: Store, path: Path) -> None:
    full = Inspection(
        station="cell1", trigger=Trigger(3, 65535, 4_294_967_295, "Teil-ß", (1, 2, 3), utc=1.7e9, by_bit=True),
        judgement=Judgement.NG, reason=12, result_seq=44, recipe=2, recipe_name="bracket", model_crc=0xBEEF, score=0.25,
        rule="scratch", checks=0b101, values=(1.5, math.inf), findings=(Finding("scratch", 0.75, (1, 2, 3.5, 4)), RICH),
        detail="why", total=0.031, grab=0.01, infer=0.02, exposed_utc=1.7e9 + 0.5, simulated=True, boot_id=9,
    )  # fmt: skip
    store.write([full], 1)
    (read,) = newest(path, 5)
    assert math.isnan(read.values[1])  # JSON knows no infinity
    assert read.values[0] == 1.5
    same = {name for name in Inspection.__slots__ if getattr(read, name) == getattr(full, name)}
    assert set(Inspection.__slots__) - same == {"values"}


TAGS = {
    "cnc.tool": TagValue(7, Quality.GOOD, Code.NONE, "", at=99.75, max_age=1.0),
    "cnc.program": TagValue("O1204", Quality.GOOD, Code.NONE, "", at=90.0, max_age=1.0),
    "cnc.load": TagValue(None, Quality.BAD, Code.LINK_LOST, "unplugged", at=99.0),
}


def test_tags_come_back_as_they_were_worth_at_the_trigger(store: Store, path: Path) -> None:
    at = Trigger(1, 1, accepted=100.0, tags=TAGS)
    store.write([Accepted("cell1", at, 1)], 1)
    store.write([Inspection("cell1", at, Judgement.OK, 0, 1, 1), inspection(2)], 1)
    plain, row = newest(path, 5)
    assert plain.trigger.tags == {}
    tags = row.trigger.tags
    assert [(tag.value, tag.quality) for tag in tags.values()] == [
        (7, Quality.GOOD), ("O1204", Quality.UNCERTAIN), (None, Quality.BAD),
    ]  # fmt: skip
    assert [tags[name].age(0.0) for name in ("cnc.tool", "cnc.program")] == [0.25, 10.0]
    assert tags["cnc.load"].reason == "unplugged"


def test_an_interrupted_inspection_keeps_its_tags(store: Store, path: Path) -> None:
    store.write([Accepted("cell1", Trigger(1, 1, accepted=100.0, tags=TAGS), 1)], 1)
    store.drop()
    assert reopened(path)["cell1"].interrupted[0].trigger.tags["cnc.tool"].value == 7
    assert newest(path, 1)[0].trigger.tags["cnc.tool"].value == 7


def made_old(path: Path) -> None:
    """The file as the first version made it."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("ALTER TABLE inspection DROP COLUMN tags")
        raw.execute("ALTER TABLE inspection DROP COLUMN provider")
        raw.execute("PRAGMA user_version = 1")
        raw.commit()


def test_a_history_without_tags_is_read_as_it_is_and_taken_over_at_the_next_start(store: Store, path: Path) -> None:
    store.write([inspection(1), inspection(2, Judgement.NG)], 1)
    store.close()
    made_old(path)
    before = [(row.trigger, row.judgement) for row in newest(path, 5)]
    assert [judgement for _, judgement in before] == [Judgement.NG, Judgement.OK]
    assert reopened(path)["cell1"].result_seq == 2
    assert query(path, "PRAGMA user_version") == [(3,)]
    assert [(row.trigger, row.judgement) for row in newest(path, 5)] == before
    again = Store(path, boot_id=11)
    again.open()
    again.write([Inspection("cell1", Trigger(3, 3, accepted=100.0, tags=TAGS), Judgement.OK, 0, 3, 1)], 1)
    again.close()
    assert newest(path, 1)[0].trigger.tags["cnc.tool"].value == 7
    assert [row.provider for row in newest(path, 3)] == ["", "", ""]
    assert not list(path.parent.glob("*.corrupt-*"))


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
