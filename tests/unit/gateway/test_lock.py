"""One gateway for one data directory, and a number for each start."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.lock import DataLock, LockedError


def test_each_start_has_another_number(tmp_path: Path) -> None:
    numbers = []
    for _ in range(3):
        lock = DataLock(tmp_path)
        numbers.append(lock.take())
        lock.release()
    assert numbers == [1, 2, 3]


def test_the_number_wraps_and_survives_garbage(tmp_path: Path) -> None:
    for text, number in (("65535", 1), ("0", 1), ("x", 1), ("", 1), ("99999999", 1), ("41", 42)):
        (tmp_path / "gateway.lock").write_text(text)
        lock = DataLock(tmp_path)
        assert lock.take() == number, text
        lock.release()


def test_a_second_gateway_is_refused_and_the_first_unharmed(tmp_path: Path) -> None:
    first, second = DataLock(tmp_path), DataLock(tmp_path)
    first.take()
    with pytest.raises(LockedError, match=r"another gateway runs on data_dir .*; stop it"):
        second.take()
    first.release()
    assert second.take() == 2
    second.release()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LockedError, match=r"cannot be used \(Not a directory\); give another"):
        DataLock(tmp_path / "file" / "data").take()
