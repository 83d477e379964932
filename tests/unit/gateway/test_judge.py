import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspection import MAX_FINDINGS, Finding, Judged, Verdict
from gateway.judge import INVALID, TOO_MANY, judge
from gateway.recipe import Recipe
from gateway.recipe_task import UNSEEN
from gateway.scene import inside
from protocols.faults import Code

LABELS = ("scratch", "burr", "missing_hole")
NG_FROM, RECHECK_FROM = 0.5, 0.3


def recipe(**parts: Any) -> Recipe:
    document: dict[str, Any] = {
        "recipe": "test",
        "number": 1,
        "model": {"file": "m.onnx", "sha256": "0" * 64},
        "task": {"kind": "detect", "format": "end2end", "classes": LABELS},
        "rules": [
            {"name": "hole", "when": {"label": "missing_hole", "min_score": NG_FROM}, "verdict": "NG", "code": 103},
            {"name": "bad", "when": {"any": True, "min_score": NG_FROM}, "verdict": "NG", "code": 100},
            {
                "name": "unsure",
                "when": {"any": True, "min_score": RECHECK_FROM, "max_score": NG_FROM},
                "verdict": "RECHECK",
                "code": 900,
            },
        ],
    }
    return Recipe.model_validate({**document, **parts})


def seen(label: str, score: float, box: tuple[float, float, float, float] = (10, 20, 30, 60)) -> Finding:
    return Finding(label, score, box)


edges = st.floats(-1e6, 1e6)
boxes = st.tuples(edges, edges, edges, edges).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
scores = st.floats(0, 1)
outlines = st.lists(st.tuples(edges, edges), min_size=3, max_size=5).map(tuple)
sound = st.builds(Finding, st.sampled_from(LABELS), scores, boxes) | st.builds(
    Finding,
    st.sampled_from(LABELS),
    scores,
    boxes,
    outlines,
    st.lists(st.tuples(edges, edges, scores), max_size=2).map(tuple),
    st.none() | st.floats(-360, 360),
    st.text(max_size=2),
    st.none() | st.floats(-1e9, 1e9),
)
anything = st.builds(
    Finding,
    st.sampled_from((*LABELS, "dust", "")),
    st.floats(),
    st.tuples(st.floats(), st.floats(), st.floats(), st.floats()),
    st.lists(st.tuples(st.floats(), st.floats()), max_size=4).map(tuple),
    st.lists(st.tuples(st.floats(), st.floats(), st.floats()), max_size=2).map(tuple),
    st.none() | st.floats(),
    st.text(max_size=2),
    st.none() | st.floats(),
)
VALUES = [
    {"name": take, "take": take, "of": {"any": True, "min_score": 0.2}}
    for take in ("count", "max_score", "x", "y", "width", "height", "area")
]
DISTANCES: list[dict[str, Any]] = [
    {"name": "length", "take": "length", "of": {"any": True}},
    {"name": "gap", "take": "distance", "of": {"label": "burr", "near": {"to": {"label": "scratch"}}}},
]
ZONES = [{"name": "face", "box": [0, 0, 100, 50]}, {"name": "rim", "polygon": [[0, 0], [100, 0], [0, 100]]}]
CHECKS = [{"name": label, "when": {"label": label, "min_score": 0.4}} for label in LABELS]


def same(one: Judged, other: Judged) -> bool:
    return repr(one) == repr(other)  # NaN equals nothing, but reads the same


@settings(deadline=None)
@given(st.lists(sound | anything, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_findings_does_not_matter(findings: list[Finding], random: Any) -> None:
    placed = {"name": "near", "when": {"any": True, "outside": "rim", "near": {"to": {"any": True, "zone": "face"}}}}
    book = recipe(values=[*VALUES, *DISTANCES], checks=[*CHECKS, placed], zones=ZONES)
    shuffled = list(findings)
    random.shuffle(shuffled)
    assert same(judge(book, findings), judge(book, shuffled))


@pytest.mark.parametrize(
    ("outline", "area"),
    [
        ((), 800.0),
        (((10, 20), (30, 20), (10, 60)), 400.0),
        (((10, 60), (30, 20), (10, 20)), 400.0),
        (((10, 20), (30, 20), (30, 60), (20, 40), (10, 60)), 600.0),
    ],
)
def test_the_area_is_that_of_the_outline_where_there_is_one(outline: Any, area: float) -> None:
    book = recipe(values=[{"name": "area", "take": "area", "of": {"any": True}}], mm_per_px=0.5)
    assert judge(book, [Finding("burr", 0.9, (10, 20, 30, 60), outline)]).values == (area / 4,)


def test_an_oriented_box_is_as_long_as_its_own_side() -> None:
    book = recipe(values=[{"name": "length", "take": "length", "of": {"any": True}}])
    corners = ((0.0, 0.0), (30.0, 40.0), (22.0, 46.0), (-8.0, 6.0))
    found = Finding("burr", 0.9, (-8, 0, 30, 46), corners, angle=53.13)
    assert judge(book, [found]).values == (50.0,)
    assert judge(book, [replace(found, angle=None)]).values == (46.0,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"outline": ((1, 2), (3, 4))},
        {"outline": ((1, 2), (3, 4), (5, math.nan))},
        {"points": ((1, 2, 1.5),)},
        {"points": ((1, math.inf, 0.5),)},
        {"angle": math.nan},
        {"value": math.inf},
    ],
)
def test_a_detail_that_makes_no_sense_is_never_ok(wrong: dict[str, Any]) -> None:
    judged = judge(recipe(), [Finding("burr", 0.1, (1, 2, 3, 4), **wrong)])
    assert (judged.verdict, judged.reason, judged.rule) == (Verdict.RECHECK, int(Code.OUTPUT_INVALID), INVALID)


def test_no_findings_are_ok() -> None:
    assert judge(recipe(), ()) == Judged(Verdict.OK)


@settings(deadline=None)
@given(st.lists(sound, max_size=6), sound.filter(lambda finding: finding.score >= NG_FROM))
def test_a_finding_at_or_above_the_ng_limit_is_always_ng(others: list[Finding], bad: Finding) -> None:
    assert judge(recipe(), (*others, bad)).verdict is Verdict.NG


@settings(deadline=None)
@given(st.lists(sound.filter(lambda finding: finding.score < RECHECK_FROM), max_size=6))
def test_below_every_limit_is_ok_with_the_highest_score(findings: list[Finding]) -> None:
    judged = judge(recipe(), findings)
    assert judged.verdict is Verdict.OK
    assert judged.reason == 0
    assert judged.score == max((finding.score for finding in findings), default=0.0)


@settings(deadline=None)
@given(st.lists(sound, max_size=4), anything)
def test_a_finding_that_makes_no_sense_is_never_ok(others: list[Finding], odd: Finding) -> None:
    x1, y1, x2, y2 = odd.box
    sensible = 0 <= odd.score <= 1 and x1 <= x2 and y1 <= y2 and odd.label in LABELS and max(map(abs, odd.box)) <= 1e6
    if not sensible:
        assert judge(recipe(), (*others, odd)).verdict is not Verdict.OK


@pytest.mark.parametrize(
    "odd",
    [
        seen("scratch", math.nan),
        seen("scratch", math.inf),
        seen("scratch", -0.1),
        seen("scratch", 1.0001),
        seen("scratch", 0.1, (0, 0, math.nan, 5)),
        seen("scratch", 0.1, (0, 0, math.inf, 5)),
        seen("scratch", 0.1, (9, 0, 5, 5)),
        seen("scratch", 0.1, (-1e300, -1e300, 1e300, 1e300)),
        seen("dust", 0.1),
    ],
)
def test_garbage_alone_asks_for_a_recheck_with_the_fault_code(odd: Finding) -> None:
    judged = judge(recipe(), (odd,))
    assert (judged.verdict, judged.reason, judged.rule) == (Verdict.RECHECK, Code.OUTPUT_INVALID, INVALID)
    assert judged.score == 0.0


def test_garbage_does_not_hide_a_defect() -> None:
    assert judge(recipe(), (seen("scratch", math.nan), seen("burr", 0.9))).reason == 100


@pytest.mark.parametrize(
    ("scores", "verdict", "reason", "rule", "score"),
    [
        ((0.29999,), Verdict.OK, 0, "", 0.29999),
        ((0.3,), Verdict.RECHECK, 900, "unsure", 0.3),
        ((0.49999, 0.35), Verdict.RECHECK, 900, "unsure", 0.49999),
        ((0.5,), Verdict.NG, 100, "bad", 0.5),
        ((0.4, 0.7, 0.6), Verdict.NG, 100, "bad", 0.7),
    ],
)
def test_limits_include_the_lower_end_and_exclude_the_upper(
    scores: Sequence[float], verdict: Verdict, reason: int, rule: str, score: float
) -> None:
    judged = judge(recipe(), [seen("scratch", score) for score in scores])
    assert (judged.verdict, judged.reason, judged.rule, judged.score) == (verdict, reason, rule, score)


def test_rules_are_tried_in_the_order_written() -> None:
    both = (seen("scratch", 0.9), seen("missing_hole", 0.6))
    assert judge(recipe(), both).reason == 103
    assert judge(recipe(), both).score == 0.6
    rules = [
        {"name": "first look again", "when": {"label": "burr"}, "verdict": "RECHECK", "code": 7},
        {"name": "bad", "when": {"any": True}, "verdict": "NG", "code": 8},
    ]
    assert judge(recipe(rules=rules), (seen("burr", 0.9), seen("scratch", 0.9))).verdict is Verdict.RECHECK


def test_a_rule_may_demand_that_something_is_there() -> None:
    rules = [
        {
            "name": "hole not found",
            "when": {"label": "burr", "min_score": 0.5, "min_count": 0, "max_count": 1},
            "verdict": "NG",
            "code": 5,
        }
    ]
    book = recipe(rules=rules)
    assert judge(book, ()) == Judged(Verdict.NG, 5, "hole not found")
    assert judge(book, (seen("burr", 0.9),)).reason == 5
    assert judge(book, (seen("burr", 0.9), seen("burr", 0.8))).verdict is Verdict.OK


def test_counts_labels_and_areas_select() -> None:
    when = {"labels": ["scratch", "burr"], "min_count": 2, "min_area": 100, "max_area": 400}
    book = recipe(rules=[{"name": "two", "when": when, "verdict": "NG", "code": 1}])
    fits, small, large = (0, 0, 10, 10), (0, 0, 9, 11), (0, 0, 20, 20)
    assert judge(book, (seen("scratch", 0.5, fits), seen("burr", 0.5, fits))).verdict is Verdict.NG
    assert judge(book, (seen("scratch", 0.5, fits), seen("missing_hole", 0.5, fits))).verdict is Verdict.OK
    assert judge(book, (seen("scratch", 0.5, fits), seen("burr", 0.5, small))).verdict is Verdict.OK
    assert judge(book, (seen("scratch", 0.5, fits), seen("burr", 0.5, large))).verdict is Verdict.OK


def test_checks_are_bits_of_what_was_found_whatever_the_verdict() -> None:
    book = recipe(checks=CHECKS)
    assert judge(book, ()).checks == 0
    assert judge(book, (seen("scratch", 0.4),)).checks == 0b001
    assert judge(book, (seen("missing_hole", 0.9), seen("scratch", 0.45), seen("burr", 0.39))).checks == 0b101


def test_values_come_from_the_best_finding() -> None:
    book = recipe(values=VALUES)
    findings = (seen("scratch", 0.3, (0, 0, 1, 1)), seen("burr", 0.8, (10, 20, 30, 60)), seen("burr", 0.1))
    assert judge(book, findings).values == (2.0, 0.8, 20.0, 40.0, 20.0, 40.0, 800.0)


def test_values_of_nothing_are_nan_but_a_count_is_zero() -> None:
    count, *rest = judge(recipe(values=VALUES), ()).values
    assert count == 0.0
    assert all(map(math.isnan, rest))


def test_without_classes_any_label_may_come() -> None:
    book = recipe(task={"kind": "detect", "format": "end2end"})
    assert judge(book, (seen("dust", 0.1),)).verdict is Verdict.OK


# ---------------------------------------------------------------- places, lengths, distances


def count(findings: Sequence[Finding], of: dict[str, Any], **parts: Any) -> float:
    book = recipe(values=[{"name": "n", "take": "count", "of": of}], zones=ZONES, **parts)
    return judge(book, findings).values[0]


def dot(x: float, y: float, label: str = "burr", side: float = 2) -> Finding:
    return seen(label, 0.9, (x - side / 2, y - side / 2, x + side / 2, y + side / 2))


@pytest.mark.parametrize(
    ("x", "y", "face", "rim"),
    [
        (50, 25, True, True),
        (100, 50, True, False),
        (99, 1, True, True),
        (100, 0, True, True),
        (50, 50, True, True),
        (10, 60, False, True),
        (60, 60, False, False),
        (-1, 10, False, False),
        (0, 101, False, False),
    ],
)
def test_a_zone_takes_what_has_its_centre_in_it(x: float, y: float, face: bool, rim: bool) -> None:
    findings = [dot(x, y)]
    assert count(findings, {"any": True, "zone": "face"}) == face
    assert count(findings, {"any": True, "outside": "face"}) == (not face)
    assert count(findings, {"any": True, "zone": "rim"}) == rim


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=8, unique=True),
    st.tuples(st.integers(-60, 60), st.integers(-60, 60)),
    st.integers(0, 7),
    st.booleans(),
)
def test_where_a_polygon_begins_and_which_way_it_runs_does_not_matter(
    corners: list[tuple[float, float]], point: tuple[float, float], turn: int, back: bool
) -> None:
    other = [*corners[turn:], *corners[:turn]]
    assert inside(point, tuple(corners)) == inside(point, tuple(reversed(other) if back else other))


@settings(deadline=None)
@given(*[st.integers(-20, 20)] * 6)
def test_a_box_is_the_polygon_of_its_corners(x: int, y: int, x1: int, y1: int, wide: int, high: int) -> None:
    x2, y2 = x1 + abs(wide) + 1, y1 + abs(high) + 1
    corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    assert inside((x, y), corners) == (x1 <= x <= x2 and y1 <= y <= y2)


def test_how_long_a_finding_is_counts_in_pixels_or_millimetres() -> None:
    scratch = seen("scratch", 0.9, (0, 0, 40, 10))
    assert count([scratch], {"any": True, "min_length": 40}) == 1
    assert count([scratch], {"any": True, "max_length": 40}) == 0
    assert count([scratch], {"any": True, "min_length": 2, "max_length": 2.1}, mm_per_px=0.05) == 1
    assert count([scratch], {"any": True, "min_area": 1, "max_area": 1.1}, mm_per_px=0.05) == 1


def test_values_are_in_millimetres_once_a_pixel_has_a_size() -> None:
    takes = ("x", "y", "width", "height", "area", "length")
    book = recipe(values=[{"name": take, "take": take, "of": {"any": True}} for take in takes], mm_per_px=0.5)
    assert judge(book, [seen("burr", 0.9, (10, 20, 30, 60))]).values == (10, 20, 10, 20, 200, 20)


def test_the_distance_to_the_nearest_other_decides() -> None:
    findings = [dot(0, 0), dot(30, 40, "scratch"), dot(300, 400, "scratch"), dot(1, 1, "missing_hole")]
    near = {"to": {"label": "scratch"}}
    assert count(findings, {"label": "burr", "near": near}) == 1
    assert count(findings, {"label": "burr", "near": {**near, "min_distance": 50}}) == 1
    assert count(findings, {"label": "burr", "near": {**near, "max_distance": 50}}) == 0
    assert count(findings, {"label": "burr", "near": {**near, "max_distance": 5.1}}, mm_per_px=0.1) == 1
    assert count(findings, {"label": "scratch", "near": near}) == 2  # each to the other, none to itself
    assert count(findings, {"label": "burr", "near": {"to": {"label": "burr"}}}) == 0


def test_a_distance_for_the_plc() -> None:
    value = {"name": "gap", "take": "distance", "of": {"label": "burr", "near": {"to": {"label": "scratch"}}}}
    book = recipe(values=[value], mm_per_px=0.1)
    assert judge(book, [dot(0, 0), dot(30, 40, "scratch")]).values == (5,)
    assert math.isnan(judge(book, [dot(0, 0)]).values[0])


def test_a_part_that_misses_an_expected_thing_in_its_place_is_ng() -> None:
    missing = {"label": "burr", "zone": "face", "min_count": 0, "max_count": 1}
    book = recipe(rules=[{"name": "two in the face", "when": missing, "verdict": "NG", "code": 7}], zones=ZONES)
    assert judge(book, [dot(10, 10), dot(20, 10)]).verdict is Verdict.OK
    assert judge(book, [dot(10, 10), dot(20, 100)]).reason == 7


def chained(rules: list[dict[str, Any]]) -> Recipe:
    model = {"file": "m.onnx", "sha256": "0" * 64}
    task = {"kind": "detect", "format": "end2end"}
    steps = [
        {"name": "find", "model": model, "task": {**task, "classes": ["part"]}},
        {"name": "look", "on": {"step": "find"}, "model": model, "task": {**task, "classes": ["scratch"]}},
    ]
    return Recipe.model_validate({"recipe": "test", "number": 1, "steps": steps, "rules": rules})


NOTHING_SEEN = Finding(UNSEEN, 1.0, (0, 0, 640, 480), text="look")
SCRATCHED = {"name": "scratch", "when": {"label": "scratch", "min_score": 0.5}, "verdict": "NG", "code": 101}
BAD = {"name": "bad", "when": {"any": True, "min_score": 0.5}, "verdict": "NG", "code": 100}
GONE = {"name": "no part", "when": {"label": "part", "min_count": 0, "max_count": 0}, "verdict": "NG", "code": 104}
BLIND = {"name": "blind", "when": {"label": UNSEEN}, "verdict": "NG", "code": 105}


def test_a_step_that_saw_nothing_is_never_ok() -> None:
    """Neither rule fires: `any` does not mean `unseen`."""
    judged = judge(chained([SCRATCHED, BAD]), [NOTHING_SEEN])
    assert (judged.verdict, judged.reason, judged.rule) == (Verdict.RECHECK, Code.NOTHING_TO_LOOK_AT, UNSEEN)
    assert judged.score == 0
    assert judge(chained([SCRATCHED]), [seen("part", 0.75), NOTHING_SEEN]).score == 0.75


@pytest.mark.parametrize(("rule", "code"), [(GONE, 104), (BLIND, 105)])
def test_a_rule_may_say_what_it_means(rule: dict[str, Any], code: int) -> None:
    judged = judge(chained([SCRATCHED, rule]), [NOTHING_SEEN])
    assert (judged.verdict, judged.reason) == (Verdict.NG, code)


def test_what_was_seen_elsewhere_is_judged_first() -> None:
    judged = judge(chained([SCRATCHED]), [NOTHING_SEEN, seen("scratch", 0.9)])
    assert (judged.verdict, judged.reason) == (Verdict.NG, 101)


def test_nonsense_comes_before_nothing() -> None:
    judged = judge(chained([SCRATCHED]), [NOTHING_SEEN, seen("scratch", math.nan)])
    assert (judged.verdict, judged.reason) == (Verdict.RECHECK, Code.OUTPUT_INVALID)


def test_more_than_can_be_told_is_never_ok() -> None:
    """Who saw a hundred things may have seen more: the next one might be the defect, or one too many."""
    crowd = [seen("burr", 0.9, (n, 0, n + 1, 1)) for n in range(MAX_FINDINGS)]
    rule = {"name": "all", "expect": {"label": "burr", "count": MAX_FINDINGS}, "verdict": "NG", "code": 101}
    book = recipe(rules=[rule])
    judged = judge(book, crowd)
    assert (judged.verdict, judged.reason, judged.rule) == (Verdict.RECHECK, Code.OUTPUT_INVALID, TOO_MANY)
    assert judge(book, crowd[1:]).verdict is Verdict.NG  # what is certain stays so
    assert judge(recipe(rules=[{**rule, "expect": {"label": "burr"}}]), crowd[1:]).verdict is Verdict.OK


def test_what_the_ruler_cannot_measure_is_never_ok() -> None:
    book = recipe(rules=[{"name": "large", "when": {"label": "burr", "min_area": 5}, "verdict": "NG", "code": 101}])
    assert judge(book, [seen("burr", 0.9, (0, 0, 1, 1))]).verdict is Verdict.OK
    nowhere = book.model_copy(update={"mm_per_px": math.nan})
    judged = judge(nowhere, [seen("burr", 0.9, (0, 0, 1, 1))])
    assert (judged.verdict, judged.rule) == (Verdict.RECHECK, INVALID)
