import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import yamlfile
from gateway.yamlfile import FileError, parse, read, resolve


def problems(text: str) -> list[str]:
    with pytest.raises(FileError) as caught:
        parse(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_values_and_their_places() -> None:
    document = parse("a: 1\nb:\n  - x\n  - {c: 2.5, d: yes}\n", "f.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": 2.5, "d": "yes"}]}
    assert document.places[("a",)] == (1, 1)
    assert document.places[("b", 1, "d")] == (4, 14)
    assert str(document.problem(("b", 1, "d"), "is odd")) == "f.yaml:4:14: b[1].d: is odd"


def test_a_problem_without_a_place_of_its_own_stands_at_the_nearest_enclosing_one() -> None:
    document = parse("a:\n  b: {c: 1}\n", "f.yaml")
    assert str(document.problem(("a", "b", "x", 3), "is missing")) == "f.yaml:2:3: a.b.x[3]: is missing"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2001-01-01", "2001-01-01"),
        ("=", "="),
        ("0b1", "0b1"),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_quoted_numbers_stay_text() -> None:
    assert parse("a: '1'\nb: \"true\"\nc: |\n  5\n", "f").data == {"a": "1", "b": "true", "c": "5\n"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: a: is given twice (first in line 1)"),
        ("x: {a: 1, a: 1}\n", "f.yaml:1:11: x.a: is given twice"),
        ("a: !!python/object/apply:os.system [id]\n", "f.yaml:1:4: a: tag"),
        ("a: !env HOME\n", "f.yaml:1:4: a: tag !env"),
        ("a: &x 1\nb: *x\n", "f.yaml:2:4: b: alias *x"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "f.yaml:2:5: c.<<: merge keys are not YAML 1.2"),
        ("a: .nan\n", "f.yaml:1:4: a: .nan is not a usable number"),
        ("a: -.inf\n", "f.yaml:1:4: a: -.inf is not a usable number"),
        ("a: 1e999\n", "f.yaml:1:4: a: 1e999 is too large"),
        (f"a: {'9' * 5000}\n", "f.yaml:1:4: a: this number has too many digits"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here"),
        ("", "f.yaml: is empty"),
        ("# only a comment\n", "f.yaml: is empty"),
        ("a:\n\t- 1\n", "f.yaml:2:1: is not YAML"),
        ("a: [1, 2\nb: 3\n", "is not YAML"),
        ("a: 'unfinished\n", "is not YAML"),
        ("a: b: c\n", "f.yaml:1:5: is not YAML"),
        ("? [1, 2]\n: 3\n", "f.yaml:1:3: a key must be a plain name"),
        ("a: \x00\n", "is not YAML"),
        ('a: "\\ud800"\n', "f.yaml:1:4: a: holds half a character"),
        ('"\\udfff": 1\n', "f.yaml:1:1: holds half a character"),
        ('a: "x\\0y"\n', "f.yaml:1:4: a: holds a NUL character"),
        ('"\\e[2J": !x 1\n', "f.yaml:1:10: '\\x1b[2J': tag !x"),
        ("[" * 100, "nested deeper than 32 levels"),
    ],
)
def test_what_is_refused_and_where(text: str, expected: str) -> None:
    assert expected in problems(text)[0]


def test_all_problems_come_at_once() -> None:
    found = problems("a: !x 1\nb: 1\nb: 2\nc: .nan\nd: *e\n")
    assert [line.split(":")[1] for line in found] == ["1", "3", "4", "5"]


def test_a_thousand_problems_end_at_the_bound() -> None:
    assert len(problems("".join(f"k{n}: .nan\n" for n in range(1000)))) == yamlfile.MAX_PROBLEMS


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\n" + "".join(f"a{n}: &a{n} [*a, *a]\n" for n in range(100)),
        "[" * 200_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "a: 1\n" * 100_000,
        "[" + "x, " * 300_000,
        "a: '" + "b" * 1_000_000,
        "&" + "a" * 1_000_000,
        "? " * 100_000,
    ],
    ids=["laughs", "lists", "maps", "dashes", "same", "flow", "quote", "anchor", "questions"],
)
def test_hostile_files_are_refused_within_a_second(text: str) -> None:
    before = time.process_time()
    problems(text)
    assert time.process_time() - before < 4.0  # one second on an idle computer


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def refusal(path: Path) -> str:
        with pytest.raises(FileError) as caught:
            read(path)
        return str(caught.value.problems[0])

    big, latin = tmp_path / "big.yaml", tmp_path / "latin.yaml"
    big.write_bytes(b"#" * (yamlfile.MAX_BYTES + 1))
    latin.write_bytes(b"name: x\ntext: Gr\xfc\xdfe\n")
    assert "larger than 1024 KiB" in refusal(big)
    assert f"{latin}:2:9: byte 0xfc is not UTF-8; save the file as UTF-8" in refusal(latin)
    assert "no such file" in refusal(tmp_path / "none.yaml")
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read(tmp_path / "f.yaml").data == {"a": 1, "b": 2}


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:-?[]{},&*!|>'\"%@`#\n\t \\x0~<=."), max_size=60) | st.text(max_size=60))
def test_any_text_is_a_plain_value_or_a_sentence(text: str) -> None:
    with contextlib.suppress(FileError):
        plain(parse(text, "f").data)


def plain(value: object) -> None:
    assert type(value) in (dict, list, str, int, float, bool, type(None))
    if isinstance(value, dict):
        for key, below in value.items():
            assert type(key) is str
            plain(below)
    elif isinstance(value, list):
        for below in value:
            plain(below)
