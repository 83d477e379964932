"""Widths, diameters and areas in millimetres; by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gateway.calibration import Calibration
from gateway.inspection import Finding, Judged, Verdict
from gateway.judge import judge
from gateway.measured import in_unit
from gateway.recipe import Recipe, mistakes
from gateway.ruler import Ruler

WIDTH = Finding("width", 1.0, (10, 10, 50, 20), ((10, 10), (50, 10), (50, 20), (10, 20)), value=40.5)
AREA = Finding("blob", 1.0, (0, 0, 10, 10), ((0, 0), (10, 0), (10, 10), (0, 10)), value=90.0)
HALF = Ruler(0.5)
SQUEEZED = Ruler(
    plane=Calibration(
        kind="camera calibration", width=640, height=480, camera=(1000, 1000, 319.5, 239.5), distortion=(0, 0, 0, 0, 0),
        plane=(0.1, 0, 0, 0, 0.2, 0, 0, 0, 1), boards=5, error_px=0.1, plane_error_mm=0.01,
    )
)  # fmt: skip
"""0.1 mm for each pixel across, 0.2 mm down."""


def test_a_width_is_measured_along_itself() -> None:
    assert in_unit(WIDTH, "length", HALF).value == pytest.approx(20.25)
    assert in_unit(WIDTH, "length", SQUEEZED).value == pytest.approx(4.05)
    down = replace(WIDTH, outline=((10, 10), (10, 50), (0, 50), (0, 10)))
    assert in_unit(down, "length", SQUEEZED).value == pytest.approx(8.1)


def test_an_area_and_a_diameter_follow_the_area_of_the_outline() -> None:
    assert in_unit(AREA, "area", HALF).value == pytest.approx(22.5)
    assert in_unit(AREA, "area", SQUEEZED).value == pytest.approx(1.8)
    assert in_unit(AREA, "diameter", HALF).value == pytest.approx(45)
    assert in_unit(AREA, "diameter", SQUEEZED).value == pytest.approx(90 * math.sqrt(0.02))


def test_what_is_no_length_stays_as_it_is() -> None:
    assert in_unit(AREA, "other", HALF) is AREA
    assert in_unit(replace(AREA, value=None), "area", HALF).value is None


@pytest.mark.parametrize("outline", [(), ((1.0, 1.0), (2.0, 2.0)), ((1.0, 1.0),) * 4])
def test_pixels_never_pass_for_millimetres(outline: tuple[tuple[float, float], ...]) -> None:
    assert in_unit(replace(AREA, outline=outline), "area", HALF).value is None
    assert in_unit(replace(WIDTH, outline=outline), "length", HALF).value is None


WITHIN = {"label": "width", "min_value": 20, "max_value": 21}


def recipe(**more: object) -> Recipe:
    return Recipe.model_validate(
        {
            "recipe": "plate", "number": 1, "task": {"kind": "width", "line": [10, 15, 60, 15]},
            "rules": [{"name": "w", "expect": WITHIN, "verdict": "NG", "code": 5}],
            "values": [{"name": "width", "take": "value", "of": {"label": "width"}}],
            **more,
        }
    )  # fmt: skip


def word(judged: Judged) -> tuple[Verdict, tuple[float, ...]]:
    return judged.verdict, judged.values


def test_the_limits_and_the_words_of_the_plc_are_millimetres() -> None:
    assert word(judge(recipe(mm_per_px=0.5), [WIDTH])) == (Verdict.OK, (20.25,))
    assert word(judge(recipe(), [WIDTH])) == (Verdict.NG, (40.5,))
    broken = judge(recipe(mm_per_px=0.5), [replace(WIDTH, outline=())])
    assert broken.verdict is not Verdict.OK
    assert math.isnan(broken.values[0])


def test_one_label_has_one_unit() -> None:
    steps = [
        {"name": "a", "task": {"kind": "width", "line": [10, 15, 60, 15], "label": "size"}},
        {"name": "b", "task": {"kind": "blob", "looks": "dark", "label": "size"}},
    ]
    wrong = recipe(
        task=None, steps=steps, rules=[{"name": "a", "when": {"label": "size"}, "verdict": "NG", "code": 1}], values=[]
    )
    assert [message for _, message in mistakes(wrong)] == [
        "'size' is the label of an earlier step that measures something else; give it another one"
    ]
