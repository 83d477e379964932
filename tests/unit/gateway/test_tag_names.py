"""Mistakes with devices and tags: place, cause and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config as configuration
from gateway.config import ConfigError

RECIPE = """\
recipe: part
number: 1
model: {file: model.onnx, sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}
task: {kind: detect, format: end2end}
rules: [{name: bad, when: {any: true, min_score: 0.5}, verdict: NG, code: 1}]
"""
COUNTER = "tag: cnc.counter, on: count, part_id: cnc.part"
GOOD = """\
data_dir: data
devices:
  - name: cnc
    link: {kind: modbus_tcp, host: 10.0.0.2}
    groups: [{name: fast, period_ms: 20}, {name: slow, period_ms: 500}]
    tags:
      - {name: counter, address: 0, group: fast}
      - {name: part, address: 1, type: uint32, group: fast}
      - {name: serial, address: 4, type: "string[8]", group: slow}
      - {name: tool, address: 10, group: slow}
      - {name: load, address: 12, type: float32, group: slow}
      - {name: door, address: 3, table: discrete, group: slow}
      - {name: lamp, address: 50, access: write}
      - {name: gate, address: 7, table: coil, access: write}
stations:
  - name: cell1
    link: {kind: loopback}
    camera: {kind: simulated}
    recipes: [one]
    cycle: {enable: always, acknowledge: none}
    tags:
      record: [cnc.tool, cnc.load]
      trigger: {tag: cnc.counter, on: count, part_id: cnc.part}
      outputs:
        - {kind: lamp, tag: cnc.lamp}
        - {kind: gate, tag: cnc.gate, delay_ms: 500}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "line.yaml").write_text(GOOD)
    return tmp_path / "line.yaml"


def problems(place: Path, old: str, new: str) -> list[str]:
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        configuration.read(place)
    return [str(problem).replace(f"{place.parent}/", "") for problem in caught.value.problems]


def test_a_good_one(place: Path) -> None:
    loaded = configuration.read(place)
    assert loaded.warnings == ()
    assert loaded.config.stations[0].tags.record == ("cnc.tool", "cnc.load")


def test_a_rule_s_tag_must_be_recorded(place: Path) -> None:
    recipe = place.parent / "one" / "recipe.yaml"
    rule = "{name: t, tag: {of: cnc.load, min: 80}, verdict: NG, code: 2}"
    recipe.write_text(RECIPE.replace("code: 1}]", f"code: 1}}, {rule}]"))
    assert len(configuration.read(place).recipes["cell1"][0].rules) == 2
    told = problems(place, "record: [cnc.tool, cnc.load]", "record: [cnc.tool]")
    assert (
        "stations[0].recipes[0]: recipe 'part' has a rule for the tag cnc.load, which this station does not" in told[0]
    )


def test_the_page_s_example_is_right(place: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "tags.md"
    example = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    whole = example.replace("    # camera, recipes … as usual\n", "    camera: {kind: simulated}\n    recipes: [one]\n")
    place.write_text("data_dir: data\n" + whole)
    assert len(configuration.read(place).config.devices) == 2


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "[cnc.tool, cnc.load]",
            "[cnc.tol]",
            "line.yaml:22:16: stations[0].tags.record[0]: 'cnc.tol' is no tag of any device; did you mean cnc.tool?",
        ),
        ("[cnc.tool, cnc.load]", "[cnc.tool, cnc.tool]", "'cnc.tool' is named twice; remove one"),
        ("[cnc.tool, cnc.load]", "[cnc.lamp]", "'cnc.lamp' has access: write and is never read"),
        ("tag: cnc.lamp", "tag: cnc.tool", "'cnc.tool' has access: read; set access: write"),
        ("tag: cnc.lamp", "tag: cnc.gate, ng: 0, recheck: 0, fault: 0", "'cnc.gate' is already written by"),
        ("tag: cnc.lamp", "tag: cnc.lamp, ng: red", "'red' does not fit uint16; give a number"),
        ("tag: cnc.lamp", "tag: cnc.lamp, ng: 1", "outputs[0].ng: is the same as ok, so a part that is not good"),
        ("tag: cnc.lamp", "tag: cnc.lamp, recheck: 1.0", "outputs[0].recheck: is the same as ok"),
        ("tag: cnc.lamp", "tag: cnc.lamp, ok: 4", "outputs[0].fault: is the same as ok"),
        ("table: coil, access", "table: coil, access: write}\n      - {name: flap, address: 7, table: coil, access",
         "devices[0].tags[8].address: 'flap' lies upon 'gate', which is written too; give it another address"),
        ("address: 50, access", "address: 50, access: write}\n      - {name: b, address: 49, type: uint32, access",
         "devices[0].tags[7].address: 'b' lies upon 'lamp'"),
        ("delay_ms: 500", "delay_ms: 500, pass_value: 2", "2 does not fit bool; give 0 or 1"),
        ("delay_ms: 500", "delay_ms: 500, pass_value: 0", "so the gate could never reject"),
        ("delay_ms: 500", "pulse_ms: 50", "a gate needs delay_ms or after_parts"),
        ("delay_ms: 500", "after_parts: 9, queue: 9", "queue 9 is too small for after_parts 9"),
        ("on: count, part_id: cnc.part", "on: above", "on: above needs a threshold; add it"),
        (COUNTER, "tag: cnc.load, on: count", "count needs an integer"),
        (COUNTER, "tag: cnc.door, on: above, threshold: 1", "above needs a number"),
        (COUNTER, "tag: cnc.serial, on: rise", "rise needs a number"),
        ("part_id: cnc.part", "part_id: cnc.load", "'cnc.load' is float32; a part number is a uint16 or uint32"),
        ("part_id: cnc.part", "serial: cnc.serial", "'cnc.serial' is not read together with 'cnc.counter'"),
        ("enable: always, ", "", "set cycle.enable: always"),
        (", acknowledge: none", "", "set cycle.acknowledge: none"),
        ("address: 10, group: slow", "address: 10, group: slwo", "did you mean slow?"),
        ("name: tool", "name: load", "'load' is already the name of tags[3]"),
        ("type: float32", "type: float16", "is not allowed here"),
        ("table: discrete", "table: discrete, type: uint16", "a discrete holds one bit; remove type"),
        ("name: lamp, address: 50", "name: lamp, address: 50, table: input", "only coils and whole holding registers"),
        ("name: part, address: 1", "name: part, address: 65535", "leaves the table"),
        ("host: 10.0.0.2", "host: 10.0.0.2, quirks: {max_read: 1}", "but the device gives 1 in one request"),
        ("    groups:", "    alive: {tag: tol}\n    groups:", "'tol' is no tag of this device"),
        ("  - name: cnc\n", "  - name: CNC\n", "use a-z, 0-9 and _, a letter first"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_remedy(place: Path, old: str, new: str, told: str) -> None:
    found = problems(place, old, new)
    assert any(told in text for text in found), found
    assert all(text.startswith("line.yaml:") for text in found)


def test_outputs_side_by_side_of_another_table_or_unit_do_not_lie_upon_each_other(place: Path) -> None:
    more = (
        "      - {name: wide, address: 51, type: uint32, access: write}\n"
        "      - {name: coil50, address: 50, table: coil, access: write}\n"
        "      - {name: next, address: 53, access: write}\n"
        "      - {name: far, address: 50, access: write, modbus_unit: 9}\n"
        "      - {name: shown, address: 50, group: slow}\n"
    )
    place.write_text(place.read_text().replace("stations:", more + "stations:", 1))
    assert len(configuration.read(place).config.devices[0].tags) == 13


def test_a_wrong_device_does_not_make_every_name_unknown(place: Path) -> None:
    assert len(problems(place, "host: 10.0.0.2", "hots: 10.0.0.2")) == 1


def test_two_devices_at_one_address_are_doubtful(place: Path) -> None:
    text = place.read_text()
    other = "  - {name: io, link: {kind: modbus_tcp, host: 10.0.0.2}, tags: [{name: a, address: 0}]}\nstations:"
    place.write_text(text.replace("stations:", other, 1))
    (warning,) = configuration.read(place).warnings
    assert "two connections" in str(warning)


def test_two_stations_cannot_write_one_output(place: Path) -> None:
    text = place.read_text()
    place.write_text(text + text.split("stations:\n")[1].replace("cell1", "cell2"))
    with pytest.raises(ConfigError) as caught:
        configuration.read(place)
    assert sum("is already written by stations[0].tags.outputs" in str(p) for p in caught.value.problems) == 2
