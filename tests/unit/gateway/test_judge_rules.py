"""Rules for measured values, texts, tags and what must be there; bands; and what nobody knows is never OK."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspection import Finding, Judged, Trigger, Verdict
from gateway.judge import judge
from gateway.recipe import Recipe, mistakes
from gateway.scene import alike
from protocols.faults import Code
from protocols.tags import Quality, TagValue, Value

LABELS = ("hole", "width", "code", "burr")
OK, NG, RECHECK = Verdict.OK, Verdict.NG, Verdict.RECHECK


def recipe(*rules: dict[str, Any], **parts: Any) -> Recipe:
    named = [{"name": f"r{n}", "verdict": "NG", "code": 101 + n, **rule} for n, rule in enumerate(rules)]
    document = {
        "recipe": "test",
        "number": 1,
        "model": {"file": "m.onnx", "sha256": "0" * 64},
        "task": {"kind": "detect", "format": "end2end", "classes": LABELS},
        "rules": named,
    }
    made = Recipe.model_validate({**document, **parts})
    assert list(mistakes(made)) == []
    return made


def hole(score: float = 0.9, **other: Any) -> Finding:
    return Finding("hole", score, (10, 20, 30, 60), **other)


def width(value: float | None, score: float = 1.0) -> Finding:
    return Finding("width", score, (0, 0, 10, 5), value=value)


def code(text: str) -> Finding:
    return Finding("code", 1.0, (0, 0, 10, 5), text=text)


def word(book: Recipe, findings: Sequence[Finding], trigger: Trigger | None = None) -> tuple[Verdict, int]:
    judged = judge(book, findings) if trigger is None else judge(book, findings, trigger)
    return judged.verdict, judged.reason


# ---------------------------------------------------------------- what must be there


@pytest.mark.parametrize(("count", "verdict"), [(0, NG), (3, NG), (4, OK), (5, NG)])
def test_just_so_many_are_expected(count: int, verdict: Verdict) -> None:
    book = recipe({"expect": {"label": "hole", "min_score": 0.6, "count": 4}})
    assert judge(book, [hole()] * count + [hole(0.5)]).verdict is verdict


@pytest.mark.parametrize(("count", "verdict"), [(0, NG), (1, NG), (2, OK), (3, OK), (4, NG)])
def test_so_many_to_so_many_are_expected(count: int, verdict: Verdict) -> None:
    book = recipe({"expect": {"label": "hole", "min_count": 2, "max_count": 3}})
    assert judge(book, [hole()] * count).verdict is verdict


def test_one_is_expected_where_nothing_else_is_said() -> None:
    book = recipe({"expect": {"label": "hole"}})
    assert (word(book, []), word(book, [hole()]), word(book, [hole()] * 9)) == ((NG, 101), (OK, 0), (OK, 0))


# ---------------------------------------------------------------- measured values


def gauge(**more: Any) -> Recipe:
    return recipe({"expect": {"label": "width", "min_value": 9.9, "max_value": 10.1, "count": 1}, **more})


@pytest.mark.parametrize(("value", "verdict"), [(9.89, NG), (9.9, OK), (10.0, OK), (10.1, NG), (-10, NG), (None, NG)])
def test_a_measured_width_within_its_limits(value: float | None, verdict: Verdict) -> None:
    assert judge(gauge(), [width(value)]).verdict is verdict


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (9.89, (NG, 101)),
        (9.91, (RECHECK, 901)),
        (9.93, (OK, 0)),
        (10.07, (OK, 0)),
        (10.09, (RECHECK, 901)),
        (10.1, (NG, 101)),
    ],
)
def test_a_band_asks_for_a_second_look_on_both_ends(value: float, said: tuple[Verdict, int]) -> None:
    assert word(gauge(band={"value": 0.02, "code": 901}), [width(value)]) == said


@pytest.mark.parametrize(
    ("score", "said"), [(0.29, (OK, 0)), (0.3, (RECHECK, 101)), (0.5, (NG, 101)), (0.9, (NG, 101))]
)
def test_a_band_below_a_score(score: float, said: tuple[Verdict, int]) -> None:
    book = recipe({"when": {"label": "burr", "min_score": 0.5}, "band": {"score": 0.2}})
    assert word(book, [Finding("burr", score)]) == said


def test_a_hole_that_is_hardly_seen_is_no_proof_that_it_is_there() -> None:
    book = recipe({"expect": {"label": "hole", "min_score": 0.6, "count": 2}, "band": {"score": 0.1}})
    assert word(book, [hole(), hole(0.65)]) == (RECHECK, 101)
    assert word(book, [hole(), hole(0.71)]) == (OK, 0)
    assert word(book, [hole(), hole(0.59)]) == (NG, 101)
    assert word(book, [hole(), hole(), hole(0.55)]) == (RECHECK, 101)  # perhaps a third one


def test_a_band_holds_for_every_limit_within_it() -> None:
    """Two count with the limit as it is or lower, none with the highest; but at 0.55 it is the one that fires."""
    book = recipe({"when": {"label": "burr", "min_score": 0.5, "max_count": 1}, "band": {"score": 0.1}})
    assert word(book, [Finding("burr", 0.52), Finding("burr", 0.58)]) == (RECHECK, 101)
    assert word(book, [Finding("burr", 0.62), Finding("burr", 0.68)]) == (OK, 0)


def test_what_is_certain_goes_before_a_band() -> None:
    first = {"when": {"label": "burr", "min_score": 0.5}, "band": {"score": 0.4}}
    book = recipe(first, {"when": {"label": "hole"}})
    assert word(book, [Finding("burr", 0.4), hole()]) == (NG, 102)


@pytest.mark.parametrize("what", ["area", "length", "angle", "distance"])
def test_every_limit_may_have_a_band(what: str) -> None:
    when: dict[str, Any] = {"label": "hole", f"min_{what}": 50.0, f"max_{what}": 60.0}
    if what == "distance":
        near = {"to": {"label": "burr"}, "min_distance": 50.0, "max_distance": 60.0}
        when = {"label": "hole", "near": near}
    book = recipe({"when": when, "band": {what: 5}})

    def of(size: float) -> list[Finding]:
        box = (0.0, 0.0, size, 1.0)
        far = Finding("burr", 0.1, (size, 0, size, 0)) if what == "distance" else Finding("burr", 0.1)
        return [Finding("hole", 0.9, (0, 0, 0, 0) if what == "distance" else box, angle=size), far]

    said = [judge(book, of(size)).verdict for size in (44, 45, 49, 50, 59, 60, 64, 65)]
    assert said == [OK, RECHECK, RECHECK, NG, NG, RECHECK, RECHECK, OK]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", ["value", "angle"])
def test_a_value_that_is_no_number_is_never_ok(odd: float, key: str) -> None:
    book = recipe({"when": {"label": "burr"}})
    assert word(book, [hole(**{key: odd})]) == (RECHECK, Code.OUTPUT_INVALID)


@pytest.mark.parametrize(
    ("when", "finding"),
    [
        ({"label": "width", "min_value": 5}, width(None)),
        ({"label": "hole", "max_angle": 5}, hole()),
        ({"label": "code", "text": "BAD"}, code("")),
        ({"label": "code", "pattern": "B*"}, code("")),
        ({"label": "code", "text_is": "serial"}, code("A1")),
        ({"label": "hole", "near": {"to": {"label": "width", "min_value": 5}}}, width(None)),
    ],
)
def test_what_was_not_measured_or_read_is_never_ok(when: dict[str, Any], finding: Finding) -> None:
    judged = judge(recipe({"when": when}), [finding])
    assert (judged.verdict, judged.reason, judged.rule) == (RECHECK, Code.OUTPUT_INVALID, "r0")


def test_values_for_the_plc() -> None:
    values = [{"name": take, "take": take, "of": {"any": True}} for take in ("value", "angle")]
    book = recipe({"when": {"label": "burr"}}, values=values, mm_per_px=0.5)
    assert judge(book, [hole(0.5, value=1, angle=2), hole(0.9, value=-7.25, angle=30)]).values == (-7.25, 30)
    assert all(math.isnan(value) for value in judge(book, [hole()]).values)


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("text", "pattern", "same"),
    [
        ("SN-0042", "SN-####", True),
        ("SN-042", "SN-####", False),
        ("SN-00x2", "SN-####", False),
        ("A1", "@#", True),
        ("11", "@#", False),
        ("ab-12-ab-34", "*-34", True),
        ("ab-12-ab-345", "*-34", False),
        ("anything", "*", True),
        ("", "*", True),
        ("abc", "a?c", True),
        ("ac", "a?c", False),
        ("a", "a***", True),
        ("x" * 200, "*x" * 90 + "y", False),
    ],
)
def test_a_pattern(text: str, pattern: str, same: bool) -> None:
    assert alike(text, pattern) is same


@given(st.text("ab#", max_size=8), st.text("ab?*", max_size=6))
def test_a_pattern_is_what_the_shell_makes_of_it(text: str, pattern: str) -> None:
    from fnmatch import fnmatchcase

    assert alike(text, pattern) is fnmatchcase(text, pattern)


def test_the_code_on_the_part_must_be_its_serial() -> None:
    unread = {"expect": {"label": "code"}, "verdict": "RECHECK", "code": 900}
    book = recipe(unread, {"expect": {"label": "code", "text_is": "serial"}})
    part = Trigger(1, 1, serial="SN-7")
    assert word(book, [code("SN-7")], part) == (OK, 0)
    assert word(book, [code("SN-8")], part) == (NG, 102)
    assert word(book, [], part) == (RECHECK, 900)
    assert word(book, [code("")], part) == (NG, 102)
    assert word(book, [code("")], Trigger(1, 1)) == (NG, 102)
    assert word(book, [code("SN-7")], Trigger(1, 1)) == (NG, 102)


def test_a_text_that_must_not_be_there() -> None:
    book = recipe({"when": {"label": "code", "text": "SCRAP"}}, {"when": {"label": "code", "pattern": "X*"}})
    assert [word(book, [code(text)])[1] for text in ("SCRAP", "X1", "A1")] == [101, 102, 0]


# ---------------------------------------------------------------- tags


def told(value: Value | None, quality: Quality = Quality.GOOD, age: float = 0.0) -> Trigger:
    reading = TagValue(value, quality, Code.NONE, "", at=100 - age, max_age=2.0)
    return Trigger(1, 1, accepted=100.0, tags={"cnc.load": reading})


@pytest.mark.parametrize(
    ("limit", "value", "fires"),
    [
        ({"min": 80}, 80, True),
        ({"min": 80}, 79.9, False),
        ({"max": 10}, 9, True),
        ({"max": 10}, 10, False),
        ({"min": 1, "max": 2}, 1.5, True),
        ({"equals": 12}, 12.0, True),
        ({"equals": "O1"}, "O1", True),
        ({"equals": "O1"}, "O2", False),
        ({"differs": "O1"}, "O2", True),
        ({"differs": "O1"}, "O1", False),
        ({"equals": True}, True, True),
        ({"equals": False}, True, False),
    ],
)
def test_a_tag_fires_a_rule(limit: dict[str, Any], value: Value, fires: bool) -> None:
    book = recipe({"tag": {"of": "cnc.load", **limit}})
    assert word(book, [], told(value)) == ((NG, 101) if fires else (OK, 0))


@pytest.mark.parametrize(
    "trigger",
    [
        told(None),
        told(5, Quality.BAD),
        told(5, Quality.UNCERTAIN),
        told(5, age=2.1),
        told("five"),
        told(True),
        told(math.nan),
        Trigger(1, 1),
    ],
    ids=["none", "bad", "uncertain", "old", "text", "truth", "nan", "not recorded"],
)
def test_a_tag_that_cannot_be_trusted_is_never_ok(trigger: Trigger) -> None:
    book = recipe({"tag": {"of": "cnc.load", "min": 80}})
    judged = judge(book, [], trigger)
    assert (judged.verdict, judged.reason, judged.rule) == (RECHECK, Code.TAG_DOUBTFUL, "r0")


def test_a_tag_beside_a_condition_fires_with_both_only() -> None:
    book = recipe({"tag": {"of": "cnc.load", "min": 80}, "when": {"label": "burr", "min_score": 0.5}})
    burr = Finding("burr", 0.9)
    assert word(book, [burr], told(90)) == (NG, 101)
    assert word(book, [burr], told(70)) == (OK, 0)
    assert word(book, [], told(90)) == (OK, 0)
    assert word(book, [], told(None)) == (OK, 0)  # whatever it would have said
    assert word(book, [burr], told(None)) == (RECHECK, Code.TAG_DOUBTFUL)


def test_a_doubtful_tag_does_not_hide_what_is_certain() -> None:
    book = recipe({"tag": {"of": "cnc.load", "min": 80}}, {"when": {"label": "burr"}})
    assert word(book, [Finding("burr", 0.9)], told(None)) == (NG, 102)


# ---------------------------------------------------------------- whatever the rules

numbers = st.none() | st.floats(-20, 20) | st.sampled_from([math.nan, math.inf])
seen = st.builds(
    Finding,
    st.sampled_from((*LABELS, "dust")),
    st.floats(0, 1) | st.just(math.nan),
    st.sampled_from([(0.0, 0.0, 4.0, 4.0), (2.0, 2.0, 30.0, 9.0)]),
    value=numbers,
    angle=numbers,
    text=st.sampled_from(["", "SN-7", "SN-8"]),
)
limits = st.fixed_dictionaries(
    {"label": st.sampled_from(LABELS)},
    optional={
        "min_score": st.floats(0, 1),
        "min_value": st.floats(-20, 20),
        "max_angle": st.floats(-20, 20),
        "min_area": st.floats(0, 100),
        "pattern": st.sampled_from(["SN-#", "*"]),
        "text_is": st.just("serial"),
    },
)
conditions = st.builds(lambda of, least: {"when": {**of, "min_count": least}}, limits, st.integers(1, 3))
expectations = st.builds(lambda of, count: {"expect": {**of, "count": count}}, limits, st.integers(1, 3))
rules = st.lists(conditions | expectations, min_size=1, max_size=4)
tags = st.fixed_dictionaries({}, optional={"tag": st.just({"of": "cnc.load", "min": 1})})
triggers = st.sampled_from([Trigger(1, 1), Trigger(1, 1, serial="SN-7"), told(5), told(0), told(5, age=9)])


@settings(deadline=None)
@given(rules, st.lists(tags, min_size=4, max_size=4), st.lists(seen, max_size=5), triggers, st.randoms())
def test_the_order_of_findings_never_matters(
    given: list[dict[str, Any]], extra: list[dict[str, Any]], findings: list[Finding], part: Trigger, random: Any
) -> None:
    book = recipe(*({**rule, **more} for rule, more in zip(given, extra, strict=False)))
    other = list(findings)
    random.shuffle(other)
    assert repr(judge(book, findings, part)) == repr(judge(book, other, part))


@settings(deadline=None)
@given(st.lists(conditions, min_size=1, max_size=4), st.lists(seen, max_size=5), seen, triggers)
def test_another_finding_never_turns_ng_into_ok(
    given: list[dict[str, Any]], findings: list[Finding], another: Finding, part: Trigger
) -> None:
    book = recipe(*given)
    if judge(book, findings, part).verdict is not OK:
        assert judge(book, [*findings, another], part).verdict is not OK


@settings(deadline=None)
@given(rules, st.lists(seen, max_size=5), triggers, st.floats(0.01, 5))
def test_a_band_never_turns_anything_into_ok(
    given: list[dict[str, Any]], findings: list[Finding], part: Trigger, width: float
) -> None:
    def banded(rule: dict[str, Any]) -> dict[str, Any]:
        asks = next(iter(rule.values()))
        kinds = [what for what in ("value", "angle", "area") if asks.get(f"min_{what}") or asks.get(f"max_{what}")]
        return {**rule, "band": dict.fromkeys(kinds, width)} if kinds else rule

    plain, wide = judge(recipe(*given), findings, part), judge(recipe(*map(banded, given)), findings, part)
    if plain.verdict is NG:
        assert wide == replace(plain, values=wide.values)
    assert plain.verdict is OK or wide.verdict is not OK


@settings(deadline=None)
@given(rules, st.lists(seen, max_size=4), seen, triggers)
def test_a_finding_that_cannot_be_judged_is_never_ok(
    given: list[dict[str, Any]], findings: list[Finding], odd: Finding, part: Trigger
) -> None:
    broken = [math.isnan(odd.score), odd.label == "dust"]
    broken += [number is not None and not math.isfinite(number) for number in (odd.value, odd.angle)]
    if any(broken):
        assert judge(recipe(*given), [*findings, odd], part).verdict is not OK


def test_what_is_said_has_no_more_than_it_had() -> None:
    book = recipe({"when": {"label": "burr"}})
    assert judge(book, []) == Judged(OK)
