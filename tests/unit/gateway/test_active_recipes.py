"""The recipe of the last run, over a restart."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import pytest

from gateway.active_recipes import ActiveRecipes


def test_each_station_keeps_its_own(tmp_path: Path) -> None:
    active = ActiveRecipes(tmp_path)
    assert active.of("cell1") is None
    active.keep("cell1", 2)
    active.keep("cell2", 7)
    again = ActiveRecipes(tmp_path)
    assert (again.of("cell1"), again.of("cell2"), again.of("cell3")) == (2, 7, None)
    assert [file.name for file in tmp_path.iterdir()] == ["active-recipes.json"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cell1": "2"}', '{"cell1": true}', "\x00"])
def test_a_damaged_file_means_the_first_recipe(tmp_path: Path, text: str) -> None:
    (tmp_path / "active-recipes.json").write_text(text)
    assert ActiveRecipes(tmp_path).of("cell1") is None


def test_stations_that_change_over_at_once_lose_nothing(tmp_path: Path) -> None:
    active = ActiveRecipes(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: active.keep(f"cell{n}", n), range(1, 33)))
    again = ActiveRecipes(tmp_path)
    assert [again.of(f"cell{n}") for n in range(1, 33)] == list(range(1, 33))


async def test_a_disk_that_refuses_is_told_in_words(tmp_path: Path) -> None:
    active = ActiveRecipes(tmp_path)
    assert await active.kept("cell1", 2) == ""
    with patch.object(ActiveRecipes, "keep", side_effect=OSError(28, "No space left on device")):
        assert await active.kept("cell1", 3) == "No space left on device"
    assert ActiveRecipes(tmp_path).of("cell1") == 2
