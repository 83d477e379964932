"""What a comparison of two engines makes of their findings."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import recipe as recipes
from gateway.inspection import Finding
from gateway.recipe import Recipe
from gateway.vision import proof
from gateway.vision.compare import Compared, note
from tests import models

HOLE = Finding("scratch", 0.8, (10.0, 10.0, 20.0, 20.0))
RUNS = proof.Runs("openvino 2026.4.1", "OpenVINO CPU f32", "f32", "a processor")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return recipes.load(models.recipe(tmp_path / "part", b"model"))


def compared(recipe: Recipe, theirs: list[Finding], ours: list[Finding]) -> Compared:
    found = Compared()
    note(found, recipe, "picture", theirs, ours, 0.01)
    return found


def test_the_largest_differences_are_kept(recipe: Recipe) -> None:
    moved = Finding("scratch", 0.7, (10.0, 10.0, 20.0, 23.0))
    found = compared(recipe, [HOLE, Finding("burr", 0.5)], [Finding("burr", 0.49), moved])
    assert (found.box, found.worst) == (3.0, "picture")
    assert found.score == pytest.approx(0.1)
    assert (found.alone, found.verdicts) == ([], [])


def test_neighbours_of_one_label_are_paired_by_place(recipe: Recipe) -> None:
    other = Finding("scratch", 0.6, (50.0, 50.0, 60.0, 60.0))
    assert compared(recipe, [HOLE, other], [other, HOLE]).box == 0.0


def test_what_one_engine_does_not_find_is_told_and_changes_the_verdict(recipe: Recipe) -> None:
    for theirs, ours in (([HOLE], []), ([], [HOLE])):
        found = compared(recipe, theirs, ours)
        assert found.alone == ["picture: scratch 0.80"]
        assert found.verdicts == ["picture"]


def test_the_verdict_is_compared_by_every_variant(recipe: Recipe) -> None:
    """A part that no variant fits gets the same word whatever was found, which would hide the difference."""
    variants = [{"name": "odd", "part_ids": [[7, 7]]}, {"name": "long", "serial": "L*"}]
    unknown = {"verdict": "RECHECK", "code": 950}
    document = {**recipe.model_dump(mode="json"), "variants": variants, "unknown_part": unknown}
    assert compared(Recipe.model_validate(document), [HOLE], []).verdicts == ["picture"]


def test_at_the_limit_one_may_miss_it(recipe: Recipe) -> None:
    faint = Finding("scratch", 0.255)
    assert compared(recipe, [HOLE, faint], [HOLE]).alone == []
    assert compared(recipe, [HOLE, Finding("scratch", 0.27)], [HOLE]).alone


def test_a_moved_keypoint_counts(recipe: Recipe) -> None:
    one, other = (Finding("scratch", 0.8, HOLE.box, points=((15.0, y, 0.9),)) for y in (15.0, 19.0))
    assert compared(recipe, [one], [other]).box == 4.0


def test_a_moved_outline_counts_however_its_corners_are_listed(recipe: Recipe) -> None:
    square = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    one = Finding("scratch", 0.8, (0, 0, 10, 10), square)
    finer = replace(one, outline=((5.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0), (0.0, 0.0)))
    assert compared(recipe, [one], [finer]).box == 0.0
    turned = replace(one, outline=((5.0, 0.0), (10.0, 5.0), (5.0, 10.0), (0.0, 5.0)))
    assert compared(recipe, [one], [turned]).box == compared(recipe, [turned], [one]).box > 3.5
    assert compared(recipe, [one], [replace(one, outline=())]).box == math.inf


def test_a_record_whose_own_figures_say_no_is_none(tmp_path: Path) -> None:
    for figures in ((10, 5, 0.02, 0.0), (10, 5, 0.0, 2.0), (0, 0, 0.0, 0.0), (10, 5, math.nan, 0.0)):
        proof.write(tmp_path, proof.Proof(("a" * 64,), RUNS, *figures, 0.01, 1.0, "now"))
    assert not proof.proven(tmp_path, "a" * 64, RUNS)


def test_a_record_holds_for_its_network_and_engine_alone(tmp_path: Path) -> None:
    assert proof.proven(tmp_path, "a" * 64, proof.Runs("onnxruntime 1.31.1", "CPUExecutionProvider", "f32", "x"))
    assert not proof.proven(tmp_path, "a" * 64, RUNS)
    proof.write(tmp_path, proof.Proof(("a" * 64,), RUNS, 10, 5, 0.0, 0.0, 0.01, 1.0, "now"))
    assert proof.proven(tmp_path, "a" * 64, RUNS)
    assert not proof.proven(tmp_path, "b" * 64, RUNS)
    assert not proof.proven(tmp_path, "a" * 64, proof.Runs(RUNS.engine, RUNS.provider, "bf16", RUNS.device))
    proof.forget(tmp_path, ("a" * 64,), RUNS)
    assert not proof.proven(tmp_path, "a" * 64, RUNS)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"comparisons": [{}]}', '{"comparisons": [[]]}', "[" * 100_000])
def test_a_record_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / proof.FILE).write_text(text)
    assert not proof.proven(tmp_path, "a" * 64, RUNS)
