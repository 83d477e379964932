import hashlib
from pathlib import Path
from typing import Any

import pytest

from gateway import recipe as recipes
from gateway.recipe import RecipeError
from protocols.faults import Code
from protocols.signals import CHECKS, VALUES

MODEL = b"a model"
GOOD = f"""\
recipe: bracket
number: 1
model: {{file: model.onnx, sha256: {hashlib.sha256(MODEL).hexdigest()}}}
task: {{kind: detect, format: end2end, classes: [scratch, burr], min_score: 0.25}}
checks:
  - {{name: scratch, when: {{label: scratch}}}}
rules:
  - {{name: bad, when: {{any: true, min_score: 0.5}}, verdict: NG, code: 100}}
values:
  - {{name: x, take: x, of: {{labels: [scratch, burr]}}}}
"""
WHEN = "when: {any: true, min_score: 0.5}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "bracket"
    place.mkdir()
    (place / "recipe.yaml").write_text(GOOD)
    (place / "model.onnx").write_bytes(MODEL)
    return place


def change(folder: Path, old: str, new: str) -> None:
    assert old in GOOD
    (folder / "recipe.yaml").write_text(GOOD.replace(old, new, 1))


def refusal(folder: Path) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        recipes.load(folder)
    return caught.value


def test_a_good_recipe(folder: Path) -> None:
    recipe = recipes.load(folder)
    assert (recipe.name, recipe.number, recipe.revision, recipe.folder) == ("bracket", 1, 1, folder)
    assert recipe.path(recipe.models[0]) == folder / "model.onnx"
    assert recipe.classes == ("scratch", "burr")
    recipes.verify(recipe)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("number: 1", "number: 0", "recipe.yaml:2:1: number: 0 is too small; the least allowed is 1"),
        ("number: 1", "number: 65536", "2:1: number: 65536 is too large; the most allowed is 65535"),
        ("number: 1", "nummer: 1", "2:1: nummer: is not a known key; did you mean number?"),
        ("recipe: bracket", "recipe: ../x", "1:1: recipe: '../x' is not allowed here; use letters"),
        ("recipe: bracket", "recipe: 5", "1:1: recipe: 5 does not fit; write text, in quotes"),
        ("kind: detect", "kind: detct", "4:1: task: kind 'detct' is not known; use one of detect, "),
        ("format: end2end", "format: end-to-end", "task.format: 'end-to-end' is not allowed, did you mean end2end"),
        ("min_score: 0.25", "min_score: 25", "task.min_score: 25 is too large; the most allowed is 1"),
        ("min_score: 0.5", "min_score: '0.5'", "rules[0].when.min_score: '0.5' does not fit; write a number"),
        ("verdict: NG", "verdict: OK", "8:52: rules[0].verdict: 'OK' is not allowed; use 'NG' or 'RECHECK'"),
        ("code: 100", "code: 1000", "rules[0].code: 1000 is too large; the most allowed is 999"),
        ("code: 100", "code: 1.5", "rules[0].code: 1.5 does not fit; write a whole number"),
        ("any: true", "any: false", "rules[0].when.any: false is not allowed; use true"),
        ("{any: true, min_score: 0.5}", "{min_score: 0.5}", "rules[0].when: must say one of label, labels and any"),
        ("any: true", "any: true, label: burr", "8:17: rules[0].when: must say one of label, labels and any: true"),
        ("{label: scratch}", "{label: scrtch}", "checks[0].when.label: 'scrtch' is not one of task.classes; did you"),
        ("[scratch, burr]}}", "[scratch, dent]}}", "values[0].of.labels: 'dent' is not one of task.classes; use one"),
        ("min_score: 0.5", "min_score: 0.5, zone: face", "rules[0].when.zone: 'face' is not one of zones; use one of"),
        ("min_score: 0.5", "min_length: 5, max_length: 5", "rules[0].when.max_length: must be more than min_length"),
        ("min_score: 0.5", "near: {to: {label: brr}}", "rules[0].when.near.to.label: 'brr' is not one of task.classes"),
        ("min_score: 0.5", "near: {to: {min_score: 0.5}}", "rules[0].when.near.to: must say one of label, labels and"),
        ("number: 1", "number: 1\nzones: [{name: a}]", "zones[0]: needs either box or polygon"),
        (
            "number: 1",
            "number: 1\nzones: [{name: a, box: [5, 0, 5, 9]}]",
            "zones[0]: box is x1, y1, x2, y2 with x1 < x2",
        ),
        ("min_score: 0.5", "min_score: 0.5, max_score: 0.5", "rules[0].when.max_score: must be more than min_score"),
        ("min_score: 0.5", "min_area: 9, max_area: 9", "rules[0].when.max_area: must be more than min_area"),
        ("min_score: 0.5", "min_count: 3, max_count: 2", "rules[0].when.max_count: must not be less than min_count"),
        (WHEN, "expect: {any: true, count: 2, min_count: 1}", "rules[0].expect.count: is given beside min_count or"),
        (WHEN, "expect: {any: true, min_count: 0}", "rules[0].expect.min_count: expects nothing and forbids nothing"),
        (WHEN, "expect: {label: brr}", "rules[0].expect.label: 'brr' is not one of task.classes"),
        (WHEN, "expect: {any: true}, when: {any: true}", "rules[0]: has both when and expect; make two rules of it"),
        (WHEN, "band: {score: 0.1}", "rules[0]: needs when, expect or tag: something that makes it fire"),
        (WHEN, f"{WHEN}, band: {{value: 1}}", "rules[0].band.value: widens nothing, as the rule has no min_value or"),
        (WHEN, f"{WHEN}, band: {{code: 5}}", "rules[0].band: names no width; give score, area"),
        (WHEN, "when: {any: true, min_value: 2, max_value: 2}", "rules[0].when.max_value: must be more than min_value"),
        (WHEN, "tag: {of: load, min: 1}", "rules[0].tag.of: 'load' is not allowed here; name a tag as device.tag"),
        (WHEN, "tag: {of: cnc.load, min: 1, equals: 2}", "rules[0].tag: needs one of equals, differs, and min or max"),
        (WHEN, "tag: {of: cnc.load, min: 1, max: 1}", "rules[0].tag: max must be more than min (1.0), or the rule"),
        ("take: x", "take: z", "values[0].take: 'z' is not allowed; use"),
        ("classes: [scratch, burr]", "classes: [scratch, burr, burr]", "task.classes: a label is listed twice"),
        ("classes: [scratch, burr]", "classes: []", "task.classes: has too few entries"),
        ("classes: [scratch, burr]", "classes: [scratch, '']", "task.classes[1]: is too short"),
        (
            "[scratch, burr], min",
            '[scratch, "a\\nb"], min',
            "task.classes[1]: 'a\\nb' is not allowed here; it must be printable",
        ),
        ("rules:\n", "rules: []\nspare:\n", "rules: has too few entries; at least 1 needed"),
    ],
)
def test_a_mistake_is_one_clear_sentence(folder: Path, old: str, new: str, expected: str) -> None:
    change(folder, old, new)
    error = refusal(folder)
    assert error.code is Code.CONFIG_INVALID
    assert expected in error.text
    assert error.problems[0].line > 0


def test_the_page_s_rules_are_right(folder: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "recipes.md"
    example = page.read_text(encoding="utf-8").split("### rules\n")[1].split("```yaml\n")[1].split("```")[0]
    text = GOOD[: GOOD.index("checks:")].replace("scratch, burr", "hole, width, code, mark") + example
    (folder / "recipe.yaml").write_text(text + "zones: [{name: plate, box: [0, 0, 9, 9]}]\n")
    assert len(recipes.load(folder).rules) == 6


def test_the_hash_must_be_a_hash(folder: Path) -> None:
    change(folder, hashlib.sha256(MODEL).hexdigest(), "ABC")
    assert "model.sha256: 'ABC' is not allowed here; it must be 64 hexadecimal digits" in refusal(folder).text


def test_names_are_unique(folder: Path) -> None:
    change(folder, "values:\n", "  - {name: bad, when: {label: burr}, verdict: NG, code: 2}\nvalues:\n")
    assert "recipe.yaml:9:6: rules[1].name: 'bad' is already the name of rules[0]" in refusal(folder).text


@pytest.mark.parametrize(("part", "limit"), [("checks", CHECKS), ("values", VALUES)])
def test_there_are_only_so_many_bits_and_words(folder: Path, part: str, limit: int) -> None:
    row: dict[str, Any] = {"checks": "when: {any: true}", "values": "take: count, of: {any: true}"}
    rows = "".join(f"  - {{name: n{n}, {row[part]}}}\n" for n in range(limit + 1))
    kept = GOOD[: GOOD.index("values:")] if part == "values" else GOOD.replace(GOOD.splitlines()[5] + "\n", "")
    text = kept.replace("checks:\n", f"checks:\n{rows}") if part == "checks" else f"{kept}values:\n{rows}"
    (folder / "recipe.yaml").write_text(text)
    assert f"{part}: has too many entries; at most {limit} allowed" in refusal(folder).text


def test_all_mistakes_come_at_once(folder: Path) -> None:
    change(folder, "number: 1", "number: none")
    text = (folder / "recipe.yaml").read_text().replace("code: 100", "code: 0").replace("take: x", "tike: x")
    (folder / "recipe.yaml").write_text(text)
    assert [problem.path for problem in refusal(folder).problems] == [
        "number", "rules[0].code", "values[0].tike",
    ]  # fmt: skip


def test_a_missing_folder_and_a_missing_file(tmp_path: Path) -> None:
    assert "there is no such recipe folder" in refusal(tmp_path / "none").text
    assert "recipe.yaml: there is no such file" in refusal(tmp_path).text


@pytest.mark.parametrize(
    "name", ["../model.onnx", "/etc/passwd", "a/../../b.onnx", "C:model.onnx", "..\\\\model.onnx", "sub/../../x"]
)
def test_the_model_must_stay_in_the_folder(folder: Path, name: str) -> None:
    change(folder, "file: model.onnx", f'file: "{name}"')
    error = refusal(folder)
    assert error.code is Code.MODEL_LOAD
    assert "recipe.yaml:3:9: model.file:" in error.text
    assert "does not stay in the recipe folder" in error.text


def test_a_link_may_not_lead_out_of_the_folder(folder: Path) -> None:
    (folder.parent / "elsewhere.onnx").write_bytes(MODEL)
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to("../elsewhere.onnx")
    assert "is a link that leads out of the recipe folder" in refusal(folder).text
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to("model.onnx")
    assert refusal(folder).code is Code.MODEL_LOAD


def test_a_link_inside_the_folder_is_fine(folder: Path) -> None:
    (folder / "model.onnx").rename(folder / "model-7.onnx")
    (folder / "model.onnx").symlink_to("model-7.onnx")
    recipes.verify(recipes.load(folder))


def test_one_changed_byte_is_another_model(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(MODEL[:-1] + b"L")
    with pytest.raises(RecipeError) as caught:
        recipes.verify(recipes.load(folder))
    assert caught.value.code is Code.MODEL_HASH
    found = hashlib.sha256(MODEL[:-1] + b"L").hexdigest()
    assert f"has SHA-256 {found}" in caught.value.text
    assert "restore the file, or put the new value into" in caught.value.text


def test_a_missing_model_is_found_by_verify(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    recipe = recipes.load(folder)
    with pytest.raises(RecipeError) as caught:
        recipes.verify(recipe)
    assert caught.value.code is Code.MODEL_LOAD
    (folder / "model.onnx").mkdir()
    with pytest.raises(RecipeError, match="cannot be read"):
        recipes.verify(recipe)


def test_what_is_allowed_but_doubtful(folder: Path) -> None:
    change(folder, "{any: true, min_score: 0.5}", "{label: burr, max_score: 0.25}")
    assert list(recipes.doubts(recipes.load(folder))) == [
        "rule 'bad' never fires, as nothing below task.min_score (0.25) is found; lower that, or raise max_score",
        "no rule looks at scratch: such a part is OK; add a rule if it is not",
    ]


def test_labels_that_the_model_never_says(folder: Path) -> None:
    change(folder, "classes: [scratch, burr], ", "")
    found = list(recipes.unknown_labels(recipes.load(folder), ("burr", "dent")))
    assert found == [
        "check 'scratch': the model knows no 'scratch'; use one of burr, dent",
        "value 'x': the model knows no 'scratch'; use one of burr, dent",
    ]
