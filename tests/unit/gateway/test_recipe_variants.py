"""Limits of their own for some parts, chosen by PART_ID and SERIAL."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import facts
from gateway import recipe as recipes
from gateway.cycle import Cycle
from gateway.inspection import Finding, Observation, Trigger, Verdict
from gateway.judge import NO_VARIANT, judge
from gateway.recipe import Recipe, RecipeError

DOCUMENT: dict[str, Any] = {
    "recipe": "shafts",
    "number": 1,
    "model": {"file": "m.onnx", "sha256": "0" * 64},
    "task": {"kind": "detect", "format": "end2end", "classes": ["pit"], "min_score": 0.1},
    "zones": [{"name": "face", "box": [0, 0, 100, 100]}],
    "checks": [{"name": "on face", "when": {"label": "pit", "zone": "face"}}],
    "rules": [{"name": "pit", "when": {"label": "pit", "min_score": 0.5}, "verdict": "NG", "code": 100}],
    "variants": [
        {"name": "long", "part_ids": [[10, 19], [30, 30]], "serial": "A*",
         "rules": [{"name": "any pit", "when": {"label": "pit", "min_score": 0.2}, "verdict": "NG", "code": 110}]},
        {"name": "short", "part_ids": [[10, 99]], "zones": [{"name": "face", "box": [0, 0, 10, 10]}]},
        {"name": "rest", "serial": "B#*"},
    ],
    "unknown_part": {"verdict": "RECHECK", "code": 950},
}  # fmt: skip


def recipe(**parts: Any) -> Recipe:
    return Recipe.model_validate({key: value for key, value in {**DOCUMENT, **parts}.items() if value is not None})


def part(part_id: int, serial: str = "") -> Trigger:
    return Trigger(cycle=1, trigger_seq=1, part_id=part_id, serial=serial)


PIT = Finding("pit", 0.3, (40, 40, 60, 60))


@pytest.mark.parametrize(
    ("part_id", "serial", "variant", "verdict", "code"),
    [
        (10, "A1", "long", Verdict.NG, 110),
        (19, "A", "long", Verdict.NG, 110),
        (30, "A1", "long", Verdict.NG, 110),
        (20, "A1", "short", Verdict.OK, 0),
        (10, "C1", "short", Verdict.OK, 0),
        (99, "", "short", Verdict.OK, 0),
        (100, "B7x", "rest", Verdict.OK, 0),
        (100, "Bx", "", Verdict.RECHECK, 950),
        (0, "", "", Verdict.RECHECK, 950),
    ],
)
def test_the_first_that_fits_judges(part_id: int, serial: str, variant: str, verdict: Verdict, code: int) -> None:
    judged = judge(recipe(), [PIT], part(part_id, serial))
    assert (judged.variant, judged.verdict, judged.reason) == (variant, verdict, code)
    assert (judged.rule == NO_VARIANT) is (variant == "")


def test_what_a_variant_does_not_say_is_as_in_the_recipe() -> None:
    strong = Finding("pit", 0.9, (40, 40, 60, 60))
    assert judge(recipe(), [strong], part(50)).reason == 100
    assert judge(recipe(), [strong], part(100, "B1")).checks == 1
    assert judge(recipe(), [strong], part(50)).checks == 0  # its face lies elsewhere


def test_a_recipe_without_variants_is_that_for_all() -> None:
    judged = judge(recipe(variants=None, unknown_part=None), [PIT], part(5))
    assert (judged.variant, judged.verdict) == ("", Verdict.OK)


@given(st.integers(0, 2**32 - 1), st.text(max_size=32))
def test_every_part_is_judged_by_one_variant_or_not_ok(part_id: int, serial: str) -> None:
    judged = judge(recipe(), [], part(part_id, serial))
    assert (judged.variant != "") is (judged.verdict is Verdict.OK)


@pytest.mark.parametrize(("part_id", "detail"), [(50, "variant short"), (0, "")])
def test_the_record_names_the_variant(part_id: int, detail: str) -> None:
    trigger = part(part_id)
    judged = judge(recipe(), [], trigger)
    record = Cycle("cell", 1, trigger, recipe(), model_crc=1).judged(judged, Observation(), 1, 0.0)
    assert (record.detail, record.judgement.name) == (detail, "OK" if detail else "RECHECK")


def test_all_codes_are_told() -> None:
    assert facts.recipe_facts(recipe()).codes == ((100, "pit"), (110, "any pit"), (950, NO_VARIANT))


def test_a_change_of_a_variant_is_another_recipe() -> None:
    other = json.loads(json.dumps(DOCUMENT["variants"]))
    other[0]["part_ids"][0][1] = 18
    assert facts.digest(recipe()) != facts.digest(recipe(variants=other))
    assert "variants" not in recipe(variants=None, unknown_part=None).model_dump(mode="json")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"variants": [{"name": "all"}]}, "variants[0]: must say for which parts: part_ids, serial or both"),
        ({"variants": [{"name": "all", "part_ids": [[5, 4]]}]}, "variants[0]: part_ids are ranges, each [first, last]"),
        ({"variants": [{"name": "a", "serial": "*"}] * 2}, "variants[1].name: 'a' is already the name of variants[0]"),
        ({"unknown_part": None}, "variants: need unknown_part, which says what becomes of a part that none fits"),
        ({"variants": None}, "unknown_part: has no place without variants"),
        ({"variants": [{"name": "a", "serial": "*", "zones": []}]},
         "variants[0].zones: checks[0].when.zone: 'face' is not one of zones"),
        ({"variants": [{"name": "a", "serial": "*", "rules": [
            {"name": "x", "when": {"label": "pti"}, "verdict": "NG", "code": 1}]}]},
         "variants[0].rules[0].when.label: 'pti' is not one of task.classes; did you mean pit"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(tmp_path: Path, parts: dict[str, Any], expected: str) -> None:
    document = {key: value for key, value in {**DOCUMENT, **parts}.items() if value is not None}
    (tmp_path / "recipe.yaml").write_text(json.dumps(document))
    with pytest.raises(RecipeError) as caught:
        recipes.load(tmp_path)
    assert expected in caught.value.text
