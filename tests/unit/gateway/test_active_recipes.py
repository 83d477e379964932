"""The recipe of the last run, over a restart."""

from pathlib import Path

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
