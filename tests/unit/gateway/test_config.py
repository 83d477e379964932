import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway import config as configuration
from gateway import schema
from gateway.config import ConfigError, CycleConfig, GatewayConfig, StationConfig, config_crc
from gateway.recipe import Recipe
from gateway.validation import locate
from protocols.handshake import CycleSettings
from protocols.modbus.server_settings import ModbusServerConfig

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "configs" / "demo.yaml"
HASH = "0123456789abcdef" * 4
RECIPE = """\
recipe: part
number: {number}
model: {{file: model.onnx, sha256: {sha256}}}
task: {{kind: detect, format: end2end}}
rules: [{{name: bad, when: {{any: true, min_score: 0.5}}, verdict: NG, code: 1}}]
"""
GOOD = """\
name: line-3
data_dir: data
log: {level: debug, format: json}
stations:
  - name: cell1
    link: {kind: modbus_server, host: 127.0.0.1, port: 5020, unit: 1, word_order: CDAB}
    camera: {kind: simulated, seed: 1}
    recipes: [one, two]
    engine: {kind: onnxruntime, threads: 2}
    worker: {standby: true}
    frames: {slots: 8, max_bytes: 4000000}
    cycle: {deadline_ms: 300, grab_timeout_ms: 200}
    pictures: {keep: 20, verdicts: [NG]}
  - name: cell2
    link: {kind: modbus_server, host: 127.0.0.1, port: 5020, unit: 2}
    camera: {kind: folder, path: pictures}
    recipes: [one]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for number, name in enumerate(("one", "two"), 1):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.yaml").write_text(RECIPE.format(number=number, sha256=HASH))
    (tmp_path / "line.yaml").write_text(GOOD)
    return tmp_path / "line.yaml"


def change(place: Path, old: str, new: str) -> None:
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new, 1))


def problems(place: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        configuration.read(place)
    return [str(problem).replace(f"{place.parent}/", "") for problem in caught.value.problems]


def warnings(place: Path) -> list[str]:
    return [str(problem).replace(f"{place.parent}/", "") for problem in configuration.read(place).warnings]


def test_a_good_configuration(place: Path) -> None:
    loaded = configuration.read(place)
    first, second = loaded.config.stations
    assert loaded.config == configuration.load(place)
    assert loaded.warnings == ()
    assert [recipe.number for recipe in loaded.recipes["cell1"]] == [1, 2]
    assert second.camera.kind == "folder"
    assert first.link.kind == "modbus_server"
    assert first.link.word_order.value == "CDAB"
    assert second.cycle == CycleConfig()


def test_relative_paths_are_seen_from_the_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.parent)
    for name in (place, Path("line.yaml"), Path("one/../line.yaml")):
        config = configuration.load(name)
        assert config.data_dir == place.parent / "data"
        assert config.stations[0].recipes == (place.parent / "one", place.parent / "two")
        assert config.stations[1].camera.kind == "folder"
        assert config.stations[1].camera.path == place.parent / "pictures"


def test_a_tilde_is_the_home_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place.parent / "home"))
    change(place, "data_dir: data", "data_dir: ~/data")
    assert configuration.load(place).data_dir == place.parent / "home" / "data"


def test_absolute_paths_stay(place: Path, tmp_path: Path) -> None:
    change(place, "data_dir: data", f"data_dir: {tmp_path}/elsewhere")
    assert configuration.load(place).data_dir == tmp_path / "elsewhere"


def test_loading_makes_nothing(place: Path) -> None:
    configuration.read(place)
    assert not (place.parent / "data").exists()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # one value
        ("name: line-3", "name: Line 3", "line.yaml:1:1: name: 'Line 3' is not allowed here; use a-z, 0-9 and hyphens"),
        ("name: cell1", "name: -cell", "5:5: stations[0].name: '-cell' is not allowed here"),
        ("name: cell1", "name: " + "x" * 64, "5:5: stations[0].name: is too long; at most 63 characters allowed"),
        ("name: cell1", "name: 7", "5:5: stations[0].name: 7 does not fit; write text, in quotes if it looks like"),
        ("name: cell1", "name:", "5:5: stations[0].name: has no value; write text"),
        ("data_dir: data", "data_dir: [a]", "2:1: data_dir: ['a'] does not fit; write text"),
        ("level: debug", "level: verbose", "3:7: log.level: 'verbose' is not allowed; use 'debug', 'info', 'warning'"),
        ("level: debug", "level: infos", "3:7: log.level: 'infos' is not allowed, did you mean info; use"),
        ("log: {level: debug, format: json}", "log: 5", "3:1: log: 5 does not fit; write key: value pairs"),
        ("port: 5020, unit: 1", "port: '5020'", "6:50: stations[0].link.port: '5020' does not fit; write a"),
        ("port: 5020, unit: 1", "port: 70000", "6:50: stations[0].link.port: 70000 is too large; the most"),
        ("unit: 1,", "unit: true,", "stations[0].link.unit: true does not fit; write a whole number"),
        ("unit: 1,", "unit: 1.5,", "stations[0].link.unit: 1.5 does not fit; write a whole number"),
        ("unit: 1,", "unit: 0,", "stations[0].link.unit: 0 is too small; the least allowed is 1"),
        ("order: CDAB", "order: CDBA", "link.word_order: 'CDBA' is not allowed, did you mean DCBA; use"),
        ("standby: true", "standby: yes", "10:14: stations[0].worker.standby: 'yes' does not fit; write true or false"),
        ("deadline_ms: 300", "deadline_ms: .inf", "line.yaml:12:26: stations[0].cycle.deadline_ms: .inf is not a us"),
        ("verdicts: [NG]", "verdicts: NG", "13:26: stations[0].pictures.verdicts: 'NG' does not fit; write a list"),
        ("verdicts: [NG]", "verdicts: [ng]", "13:37: stations[0].pictures.verdicts[0]: 'ng' is not allowed; use 'OK'"),
        ("recipes: [one, two]", "recipes: []", "8:5: stations[0].recipes: has too few entries; at least 1 needed"),
        # unknown keys
        ("data_dir: data", "datadir: data", "2:1: datadir: is not a known key; did you mean data_dir?"),
        ("deadline_ms: 300", "deadline: 300", "12:13: stations[0].cycle.deadline: is not a known key; did you mean de"),
        ("deadline_ms: 300", "deadline-ms: 300", "is not a known key; did you mean deadline_ms?"),
        ("port: 5020, unit: 1", "prot: 5020, unit: 1", "stations[0].link.prot: is not a known key; did you mean port?"),
        ("seed: 1", "sede: 1", "7:31: stations[0].camera.sede: is not a known key; did you mean seed?"),
        ("seed: 1", "simulated: 1", "7:31: stations[0].camera.simulated: is not a known key"),
        ("standby: true", "zzz: 1", "10:14: stations[0].worker.zzz: is not a known key; known here: standby, nice,"),
        # unions
        ("kind: simulated", "kind: simulatd", "7:5: stations[0].camera: kind 'simulatd' is not known; use one of si"),
        ("kind: simulated, ", "", "7:5: stations[0].camera: says no kind; add `kind:` with one of simulated, folder"),
        ("link: {kind: modbus_server, host: 127.0.0.1, port: 5020, unit: 2}", "link:", "15:5: stations[1].link: has n"),
        (", path: pictures", "", "16:5: stations[1].camera.path: is missing; add it"),
        # missing
        ("data_dir: data\n", "", "line.yaml:1:1: data_dir: is missing; add it"),
        ("    camera: {kind: folder, path: pictures}\n", "", "14:5: stations[1].camera: is missing; add it"),
        # between values
        ("name: cell2", "name: cell1", "14:5: stations[1].name: 'cell1' is already the name of stations[0]"),
        ("unit: 2", "unit: 1", "15:62: stations[1].link.unit: 1 at 127.0.0.1:5020 is already that of stations[0];"),
        ("5020, unit: 2", "5020, unit: 2, max_connections: 5", "stations[1].link.port: 127.0.0.1:5020 is shared with"),
        (
            "host: 127.0.0.1, port: 5020, unit: 2",
            "host: 0.0.0.0, port: 5020, unit: 2, allow: any",
            "15:33: stations[1].link.host: 0.0.0.0:5020 and 127.0.0.1:5020 of stations[0] are the same port",
        ),
        ("grab_timeout_ms: 200", "grab_timeout_ms: 300", "12:31: stations[0].cycle.grab_timeout_ms: 300 must be less"),
        (
            "host: 127.0.0.1, port: 5020, unit: 2",
            "host: localhost, port: 5020, unit: 2",
            "15:33: stations[1].link.host: localhost:5020 and 127.0.0.1:5020 of stations[0] are the same port",
        ),
        (
            "5020, unit: 2",
            "5020, unit: 1, command_address: 500, status_address: 500, mirror_address: 160",
            "or addresses of its own: mirror (holding registers 100…173) and mirror (holding registers 160…233)",
        ),
        ("5020, unit: 2", "5020, unit: 2, plc: [10.0.0.5]", "stations[1].link.port: 127.0.0.1:5020 is shared with"),
        ("5020, unit: 2", "5020, unit: 2, unknown_unit: silent", "stations[1].link.port: 127.0.0.1:5020 is shared"),
        (
            "host: 127.0.0.1, port: 5020, unit: 2",
            "host: 10.0.0.5, port: 5020, unit: 2",
            "15:5: stations[1].link: 10.0.0.5:5020 can be reached from other computers and allow does not say from",
        ),
        ("5020, unit: 2", "5020, unit: 2, allow: [10.0.0.0/33]", "[1].link: '10.0.0.0/33' is no address and no n"),
        ("5020, unit: 2", "5020, unit: 2, allow: all", "stations[1].link.allow: 'all' does not fit; write a list"),
        ("5020, unit: 2", "5020, unit: 2, allow: [any, ::1]", "stations[1].link: allow has the word any beside others"),
        ("5020, unit: 2", "5020, unit: 2, plc: [10.0.0.0/24]", "'10.0.0.0/24' in plc is a network; give the address"),
        ("5020, unit: 2", "5020, unit: 2, held_reply_ms: 10001", "link.held_reply_ms: 10001 is too large; the most"),
        ("path: pictures", "path: pictures, starts: true", "stations[1].camera: starts needs watch: true; pict"),
        ("deadline_ms: 300, ", "overlap: true, queue: 1, ", "stations[0].cycle.overlap: needs a queue of 2 or more"),
        (
            "deadline_ms: 300",
            "result_valid_delay_ms: 5000",
            "stations[0].cycle.result_valid_delay_ms: 5000 must be less than ack_timeout_s (5 s)",
        ),
        ("max_bytes: 4000000", "max_bytes: 3932159", "11:24: stations[0].frames.max_bytes: 3932159 is less than a"),
        ("unit: 1,", "unit: 1, mirror_address: 20,", "6:5: stations[0].link: register map: command block (0…31) and"),
        # other files
        ("[one, two]", "[one, three]", "8:20: stations[0].recipes[1]: three: there is no such recipe folder; check"),
        ("[one, two]", "[one, ./one]", "8:20: stations[0].recipes[1]: is the same folder as recipes[0]"),
        ("data_dir: data", "data_dir: line.yaml", "2:1: data_dir: line.yaml is not a folder; name another place"),
        ("data_dir: data", "data_dir: " + "x" * 300, "2:1: data_dir: cannot be used (File name too long)"),
        ("[one, two]", f"[one, {'x' * 300}]", "8:20: stations[0].recipes[1]: " + "x" * 300 + ": there is no"),
        ("data_dir: data", 'data_dir: ""', "2:1: data_dir: is empty; name a folder"),
        ("data_dir: data", "data_dir: data\nopcua:", "3:1: opcua: is empty, and there would be no OPC UA server"),
        ("data_dir: data", "data_dir: line.yaml/x", "2:1: data_dir: line.yaml is not a folder; name another place"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_file_line_column_and_path(
    place: Path, old: str, new: str, expected: str
) -> None:
    change(place, old, new)
    found = problems(place)
    assert len([line for line in found if expected in line]) == 1, found
    assert len(found) == 1 or "recipes[1]" in expected, found


def test_yaml_mistakes_are_config_errors(place: Path) -> None:
    place.write_text(GOOD + "name: again\n")
    assert problems(place) == ["line.yaml:18:1: name: is given twice (first in line 1); remove one of the two"]
    place.write_text("just text")
    assert problems(place) == ["line.yaml:1:1: 'just text' does not fit; write key: value pairs"]
    place.unlink()
    assert problems(place) == ["line.yaml: there is no such file; check the path"]


def test_all_mistakes_of_all_files_come_at_once_and_in_their_order(place: Path) -> None:
    change(place, "port: 5020, unit: 1", "prot: 5020, unit: 999")  # spoils the first station
    change(place, "recipes: [one]", "recipes: [one]\n    cycle: {grab_timeout_ms: 500}")
    change(place, "data_dir: data", "data_dir: line.yaml")
    change(place.parent / "one" / "recipe.yaml", "number: 1", "number: 0")
    assert [line.split(": ")[:2] for line in problems(place)] == [
        ["line.yaml:2:1", "data_dir"],
        ["line.yaml:6:50", "stations[0].link.prot"],
        ["line.yaml:6:62", "stations[0].link.unit"],
        ["line.yaml:18:13", "stations[1].cycle.grab_timeout_ms"],
        ["one/recipe.yaml:2:1", "number"],
    ]


def test_two_recipes_of_a_station_have_two_numbers(place: Path) -> None:
    change(place.parent / "two" / "recipe.yaml", "number: 2", "number: 1")
    expected = "stations[0].recipes[1]: recipe number 1 is already that of recipes[0], so the PLC could not choose"
    assert problems(place) == [f"line.yaml:8:20: {expected}; give one of them another number"]


def test_two_stations_may_not_share_words_of_one_plc(place: Path) -> None:
    link = "link: {kind: modbus_client, host: plc, unit: 1, command_address: %d, status_address: %d}"
    change(
        place, "link: {kind: modbus_server, host: 127.0.0.1, port: 5020, unit: 1, word_order: CDAB}", link % (0, 100)
    )
    change(place, "link: {kind: modbus_server, host: 127.0.0.1, port: 5020, unit: 2}", link % (32, 163))
    expected = "stations[1].link.status_address: 163 to 226 overlaps 100 to 163 of stations[0] in one PLC"
    assert problems(place) == [f"line.yaml:15:74: {expected}; move one of them"]
    change(place, "status_address: 163", "status_address: 164")
    assert warnings(place) == []


def two_clients(place: Path, first: str, second: str) -> None:
    link = "link: {kind: modbus_client, host: plc, unit: 1, %s}"
    change(place, "link: {kind: modbus_server, host: 127.0.0.1, port: 5020, unit: 1, word_order: CDAB}", link % first)
    change(place, "link: {kind: modbus_server, host: 127.0.0.1, port: 5020, unit: 2}", link % second)


def test_two_stations_may_read_one_field_but_not_write_one(place: Path) -> None:
    outputs = "HEARTBEAT: %d, STATUS.READY: {address: %d, bit: %d}, RESULT_SEQ: %d, TRIGGER_SEQ: %d, JUDGEMENT: %d"
    fields = (
        "fields: {command: {CONTROL.ENABLE: {address: 5, bit: 0}, TRIGGER_SEQ: %d, RESULT_ACK_SEQ: %d}, outputs: {%s}}"
    )
    first = fields % (6, 7, outputs % (20, 21, 0, 22, 23, 24))
    two_clients(place, first, fields % (8, 9, outputs % (30, 21, 1, 32, 33, 34)))
    (problem,) = problems(place)
    assert (
        "stations[1].link.fields: STATUS.READY at 21 overlaps STATUS.READY at 21 of stations[0] in one PLC" in problem
    )
    change(place, "STATUS.READY: {address: 21, bit: 1}", "STATUS.READY: {address: 31, bit: 1}")
    assert warnings(place) == []


def test_stations_that_share_the_one_connection_of_a_plc_describe_it_alike(place: Path) -> None:
    two_clients(place, "quirks: {one_connection: true}", "command_address: 200, status_address: 300")
    (problem,) = problems(place)
    assert "stations[1].link.quirks: plc:502 has one connection, which stations[0] shares with other quirks" in problem


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("unit: 1", "unit: 1", "stations[1].link.unit: 1 on /dev/ttyS0 is already that of stations[0]; give each"),
        ("unit: 1", "unit: 2, parity: none", "stations[1].link.device: /dev/ttyS0 is shared with stations[0], which"),
    ],
)
def test_stations_on_one_serial_line(place: Path, first: str, second: str, expected: str) -> None:
    link = "link: {kind: modbus_rtu_server, device: /dev/ttyS0, %s}"
    change(place, "link: {kind: modbus_server, host: 127.0.0.1, port: 5020, unit: 1, word_order: CDAB}", link % first)
    change(place, "link: {kind: modbus_server, host: 127.0.0.1, port: 5020, unit: 2}", link % second)
    (problem,) = problems(place)
    assert expected in problem


@pytest.mark.parametrize(("baud", "doubted"), [(1200, True), (9600, False)])
def test_a_line_too_slow_for_the_heartbeat_is_doubted(place: Path, baud: int, doubted: bool) -> None:
    old = "link: {kind: modbus_server, host: 127.0.0.1, port: 5020, unit: 1, word_order: CDAB}"
    change(place, old, f"link: {{kind: modbus_rtu_server, device: /dev/ttyS0, baud: {baud}}}")
    found = warnings(place)
    assert len(found) == doubted
    assert not doubted or "at 1200 baud one reading and writing of the blocks takes 2163 ms" in found[0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "host: 127.0.0.1, port: 5020, unit: 1",
            "host: 192.168.0.10, port: 5021, unit: 1, allow: any",
            "6:33: stations[0].link.host: 192.168.0.10 lets everybody who reaches this computer command the station",
        ),
        (
            "host: 127.0.0.1, port: 5020, unit: 1",
            "host: 0.0.0.0, port: 5021, unit: 1, allow: [192.168.0.0/24]",
            "6:33: stations[0].link.host: 0.0.0.0 listens in every network of this computer, the office's too",
        ),
        (
            "unit: 1, word",
            "unit: 1, held_reply_ms: 300, word",
            "stations[0].link.held_reply_ms: 300 is not more than deadline_ms (300)",
        ),
        ("deadline_ms: 300", "heartbeat_ms: 501", "stations[0].cycle.plc_heartbeat_timeout_ms: 1000 is less than two"),
        (
            "deadline_ms: 300",
            "plc_heartbeat_timeout_ms: 399",
            "stations[0].cycle.plc_heartbeat_timeout_ms: 399 is less",
        ),
        ("deadline_ms: 300", "deadline_ms: 3000", "stations[0].cycle.grace_s: 2 s is shorter than deadline_ms (3000)"),
    ],
)
def test_what_is_allowed_but_doubtful_is_a_warning(place: Path, old: str, new: str, expected: str) -> None:
    change(place, old, new)
    (warning,) = warnings(place)
    assert expected in warning


def test_stations_may_stand_side_by_side_under_one_unit(place: Path) -> None:
    moved = "5020, unit: 1, command_address: 200, status_address: 74, mirror_address: 300, coils_address: 16"
    change(place, "5020, unit: 2", f"{moved}, discrete_address: 32")
    assert warnings(place) == []


def test_who_may_connect_is_a_list_or_the_word_any(place: Path) -> None:
    change(place, "host: 127.0.0.1, port: 5020, unit: 1", "host: 10.0.0.2, port: 5021, unit: 1, allow: [10.0.0.5]")
    (link,) = {station.link for station in configuration.load(place).stations if station.name == "cell1"}
    assert isinstance(link, ModbusServerConfig)
    assert (link.allow, link.limits().access.allow) == (("10.0.0.5",), ("10.0.0.5",))
    assert warnings(place) == []
    change(place, "allow: [10.0.0.5]", "allow: any")
    assert len(warnings(place)) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_a_listener_for_this_computer_alone_is_no_doubt(place: Path, host: str) -> None:
    change(place, "host: 127.0.0.1, port: 5020, unit: 1", f"host: '{host}', port: 5021, unit: 1")
    assert warnings(place) == []


def test_cycle_settings_are_in_seconds_and_complete() -> None:
    assert CycleConfig().settings() == CycleSettings()
    cycle = CycleConfig(
        deadline_ms=500, heartbeat_ms=100, plc_heartbeat_timeout_ms=3000, plc_heartbeat_required=True, queue=2,
        ack_timeout_s=7, command_timeout_s=9, min_trigger_interval_ms=50, overlap=True, on_disable="fault",
        recipe_change="defer", result_valid_delay_ms=25, grab_timeout_ms=150,
    )  # fmt: skip
    assert cycle.settings() == CycleSettings(0.5, 0.1, 3.0, True, 2, 7.0, 9.0, 0.05, True, True, True, 0.025)
    assert cycle.grab_timeout == 0.15


def test_config_crc_tells_set_ups_apart_and_not_places(place: Path) -> None:
    def crc() -> int:
        loaded = configuration.read(place)
        return config_crc(loaded.config, [recipe for book in loaded.recipes.values() for recipe in book])

    first = crc()
    assert 0 < first <= 0xFFFF
    assert crc() == first
    change(place, "data_dir: data", "data_dir: other")
    change(place, "level: debug", "level: info")
    change(place, "path: pictures", "path: elsewhere")
    place.write_text(f"# a comment\n{place.read_text()}")
    assert crc() == first
    change(place, "deadline_ms: 300", "deadline_ms: 301")
    second = crc()
    assert second != first
    change(place.parent / "two" / "recipe.yaml", "min_score: 0.5", "min_score: 0.6")
    third = crc()
    assert third not in (first, second)
    change(place.parent / "two" / "recipe.yaml", HASH, "e" + HASH[1:])
    assert crc() not in (first, second, third)


def test_config_crc_is_never_zero(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binascii.crc_hqx", lambda data, start: 0)
    assert config_crc(configuration.load(place), ()) == 1


def test_config_crc_of_one_station(place: Path) -> None:
    first, second = configuration.load(place).stations
    assert config_crc(first, ()) != config_crc(second, ())


@pytest.mark.parametrize(
    ("loc", "path", "owner"),
    [
        (("stations", 0, "camera", "simulated", "seed"), ("stations", 0, "camera", "seed"), "SimulatedCamera"),
        (
            ("stations", 0, "camera", "simulated", "simulated"),
            ("stations", 0, "camera", "simulated"),
            "SimulatedCamera",
        ),
        (
            ("stations", 1, "camera", "simulated", "inject", "hang_at", 2),
            ("stations", 1, "camera", "inject", "hang_at", 2),
            None,
        ),
        (("stations", 0, "link", "modbus_client"), ("stations", 0, "link"), "ModbusClientConfig"),
        (("log", "nope"), ("log", "nope"), "LogConfig"),
    ],
)
def test_the_tag_of_a_union_is_no_step_of_the_path(loc: Any, path: Any, owner: str | None) -> None:
    found, model = locate(loc, GatewayConfig)
    assert found == path
    assert (model.__name__ if model else None) == owner


def test_the_demo_is_sound_and_uses_defaults_openly() -> None:
    loaded = configuration.read(DEMO)
    station = loaded.config.stations[0]
    assert loaded.warnings == ()
    assert station.name == "cell1"
    assert loaded.recipes["cell1"][0].name == "bracket"


def test_the_schemas_in_the_repository_are_current() -> None:
    for name, command, document in (
        ("schema.json", "gateway schema", schema.config_schema()),
        ("recipe.schema.json", "gateway schema --recipe", schema.recipe_schema()),
    ):
        told = f"run `{command} > configs/{name}`"
        assert (ROOT / "configs" / name).read_text("utf-8") == schema.text(document), told


@pytest.mark.parametrize(
    ("page", "model"), [("configuration.md", GatewayConfig), ("recipes.md", Recipe)], ids=["configuration", "recipes"]
)
def test_the_documentation_names_every_key(page: str, model: Any) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    document = schema.schema(model)
    keys = {key for part in (document, *document["$defs"].values()) for key in part.get("properties", {})}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_the_example_of_the_documentation_is_the_demo() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert DEMO.read_text("utf-8").split("\n", 1)[1] in text


def test_a_schema_describes_keys_by_the_line_below_them() -> None:
    document = schema.config_schema()
    assert document["$defs"]["CycleConfig"]["properties"]["queue"]["description"].startswith("Results that wait")
    assert document["additionalProperties"] is False
    json.dumps(document)


def test_the_start_path_stays_light() -> None:
    heavy = "{'numpy','cv2','onnxruntime','asyncua','sqlalchemy','rich','pymodbus','gateway.recipe','difflib'}"
    code = f"import sys; from pathlib import Path; from gateway import config; config.load(Path({str(DEMO)!r})); "
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print(sorted({heavy} & set(sys.modules)))"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_a_station_can_be_made_without_a_file() -> None:
    station = StationConfig.model_validate(
        {"name": "a", "link": {"kind": "loopback"}, "camera": {"kind": "simulated"}, "recipes": ["x"]}
    )
    assert station.cycle.settings() == CycleSettings()


def test_a_link_that_leads_nowhere_is_no_data_dir(place: Path) -> None:
    (place.parent / "loop").symlink_to("loop")
    change(place, "data_dir: data", "data_dir: loop/x")
    with pytest.raises(ConfigError, match=r"cannot be used .Too many levels of symbolic links.; name another place"):
        configuration.load(place)


def test_paths_of_the_opcua_server_are_seen_from_the_file_and_doubts_are_told(tmp_path: Path) -> None:
    text = DEMO.read_text("utf-8").replace("recipes/bracket", str(DEMO.parent / "recipes" / "bracket"))
    path = tmp_path / "c.yaml"
    path.write_text(f"{text}opcua: {{ trust: certs/trust, allow_unencrypted: true, anonymous: true }}\n", "utf-8")
    loaded = configuration.read(path)
    assert loaded.config.opcua is not None
    assert loaded.config.opcua.trust == tmp_path / "certs" / "trust"
    assert ["SecurityPolicy None" in str(warning) for warning in loaded.warnings] == [True]
