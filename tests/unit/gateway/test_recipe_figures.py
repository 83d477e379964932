"""What a recipe made of pictures of known truth, counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.inspection import Finding, Observation
from gateway.labelled import Labelled, LabelledError, read
from gateway.recipe import Recipe
from gateway.recipe_figures import Case, Share, case, figures, moves, worst
from protocols.faults import Code
from protocols.signals import Judgement

OK, NG, RECHECK, FAULT = Judgement.OK, Judgement.NG, Judgement.RECHECK, Judgement.FAULT


def recipe(*rules: dict[str, Any]) -> Recipe:
    named = [{"name": f"r{n}", "verdict": "NG", "code": 101 + n, **rule} for n, rule in enumerate(rules)]
    document = {
        "recipe": "test",
        "number": 1,
        "model": {"file": "m.onnx", "sha256": "0" * 64},
        "task": {"kind": "detect", "format": "end2end", "min_score": 0.25},
        "rules": named,
    }
    return Recipe.model_validate(document)


def cases(book: Recipe, *scores: tuple[bool, float]) -> list[Case]:
    return [
        case(book, Labelled(Path(f"{n}.png"), good), Observation((Finding("burr", score),)))
        for n, (good, score) in enumerate(scores)
    ]


LIMIT = {"when": {"label": "burr", "min_score": 0.5}, "band": {"score": 0.1}}
SEEN = ((True, 0.3), (True, 0.45), (True, 0.6), (False, 0.35), (False, 0.42), (False, 0.9), (False, 0.8))


def test_every_word_is_counted() -> None:
    book = recipe(LIMIT)
    found = cases(book, *SEEN)
    gone = case(book, Labelled(Path("x.png"), good=False), Observation(fault=Code.IMAGE_INVALID, detail="black"))
    counts = figures([*found, gone])
    assert counts.good == {OK: 1, NG: 1, RECHECK: 1, FAULT: 0}
    assert counts.bad == {OK: 1, NG: 2, RECHECK: 1, FAULT: 1}
    assert (counts.escapes, counts.rejects, counts.rechecks) == (Share(1, 5), Share(1, 3), 2)
    assert (gone.judgement, gone.reason, gone.rule) == (FAULT, 1004, "black")


@pytest.mark.parametrize(
    ("count", "of", "bound"),
    [(0, 100, 0.0295), (0, 1000, 0.00299), (0, 29, 0.0981), (1, 100, 0.0466), (5, 50, 0.199), (3, 3, 1.0), (0, 0, 1.0)],
)
def test_the_bound_is_that_of_the_tables(count: int, of: int, bound: float) -> None:
    """One-sided 95 % Clopper-Pearson: of none 1 - 0.05^(1/n), else beta.ppf(0.95, k + 1, n - k)."""
    assert Share(count, of).bound == pytest.approx(bound, rel=0.01)


def test_none_in_n_is_nearly_three_in_n() -> None:
    for n in (50, 300, 5000):
        assert Share(0, n).bound * n == pytest.approx(3, rel=0.05)


def test_escapes_come_first_then_false_rejects() -> None:
    found = worst(cases(recipe(LIMIT), *SEEN), 5)
    assert [str(one.picture.path) for one in found] == ["3.png", "2.png", "1.png", "4.png", "0.png"]
    assert [one.escaped for one in found] == [True, False, False, False, False]
    assert [one.rejected for one in found] == [False, True, False, False, False]


def moved(book: Recipe, found: Sequence[Case], limit: str) -> dict[float, tuple[int, int, int]]:
    return {
        one.value: (one.figures.escapes.count, one.figures.rejects.count, one.figures.rechecks)
        for one in moves(book, found)
        if one.limit == limit
    }


def test_a_limit_is_moved_and_judged_anew() -> None:
    book = recipe({"when": {"label": "burr", "min_score": 0.5}})
    table = moved(book, cases(book, *SEEN), "min_score")
    assert table[0.5] == (2, 1, 0)
    assert table[0.4] == (1, 2, 0)
    assert table[0.3] == (0, 3, 0)
    assert table[0.7] == (2, 0, 0)
    assert min(table) >= 0.25  # below, the vision process tells of nothing
    assert [one.value for one in moves(book, cases(book, *SEEN)) if one.now] == [0.5]


def test_limits_of_variants_are_moved_too() -> None:
    rule = {"name": "r", "when": {"label": "burr", "min_score": 0.5}, "verdict": "NG", "code": 1}
    book = recipe({"when": {"label": "burr", "min_score": 0.5}})
    big = {"name": "big", "part_ids": [[1, 1]], "rules": [rule]}
    like = {"name": "like", "part_ids": [[2, 2]]}
    book = Recipe.model_validate({**book.model_dump(), "variants": [big, like]})
    seen = Observation((Finding("burr", 0.45),))
    found = [case(book, Labelled(Path(f"{n}.png"), good=True, part_id=n), seen) for n in (1, 2)]
    assert [one.judgement for one in found] == [OK, OK]
    table = {(one.rule, one.value): one.figures.rejects.count for one in moves(book, found)}
    assert (table["big: r", 0.5], table["big: r", 0.4], table["r0", 0.5], table["r0", 0.4]) == (0, 1, 0, 1)


def test_counts_and_distances_are_moved_too() -> None:
    near = {"to": {"label": "hole"}, "max_distance": 100}
    book = recipe({"expect": {"label": "burr", "count": 1}}, {"when": {"label": "burr", "near": near}})
    found = cases(book, (True, 0.9), (False, 0.9))
    assert moved(book, found, "count") == {0: (0, 1, 0), 1: (1, 0, 0), 2: (0, 1, 0)}
    assert 125 in moved(book, found, "max_distance")


# ---------------------------------------------------------------- pictures of known truth


def pictures(place: Path, *names: str) -> None:
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()


def test_folders_say_what_is_good(tmp_path: Path) -> None:
    pictures(tmp_path, "good/1.png", "ok/2.JPG", "scratch/3.bmp", "ng/4.png", "ng/notes.txt", ".hidden/5.png", "6.png")
    found = {one.path.name: one.good for one in read(tmp_path)}
    assert found == {"1.png": True, "2.JPG": True, "3.bmp": False, "4.png": False}


def test_lists_say_more(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png")
    (tmp_path / "a.csv").write_text("file,truth,serial,part_id\n1.png,OK,SN-1,7\n2.png,ng,,\n")
    found = read(tmp_path / "a.csv")
    assert found == (Labelled(tmp_path / "1.png", True, "SN-1", 7), Labelled(tmp_path / "2.png", False))
    (tmp_path / "a.json").write_text('[{"file": "1.png", "truth": "good"}]')
    assert read(tmp_path / "a.json") == (Labelled(tmp_path / "1.png", True),)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "file,truth\n1.png,maybe\n", "entry 1 has the truth 'maybe'; write ok or ng"),
        ("a.csv", "picture,truth\n1.png,ok\n", "entry 1 names no file"),
        ("a.csv", "file,truth\nnone.png,ok\n", "is no picture that is there"),
        ("a.csv", "file,truth,part_id\n1.png,ok,x\n", "has the part_id 'x'"),
        ("a.csv", "", "holds no picture"),
        ("a.json", "{", "is no usable list"),
        ("a.json", "{}", "is no list"),
        ("a.json", "[1]", "entry 1 names no file"),
        ("a.json", "[" * 100_000, "is no usable list"),
    ],
)
def test_a_list_that_is_wrong_is_one_sentence(name: str, text: str, told: str, tmp_path: Path) -> None:
    pictures(tmp_path, "1.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(LabelledError) as caught:
        read(tmp_path / name)
    assert told in str(caught.value)


def test_a_folder_without_pictures_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabelledError, match="put them into folders ok and ng"):
        read(tmp_path)
    with pytest.raises(LabelledError, match="cannot be read"):
        read(tmp_path / "none")
