"""The configuration of OPC UA devices: mistakes with place, cause and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config as configuration
from gateway.config import ConfigError
from gateway.tags import TagBook
from protocols.devices import ModbusDeviceConfig, OpcUaDeviceConfig
from protocols.link import LinkError
from protocols.opcua.nodes import Node
from tests.unit.gateway.test_tag_names import RECIPE

GOOD = """\
data_dir: data
devices:
  - name: cnc
    link: {kind: opcua, url: "opc.tcp://10.0.0.2:4840", security: none}
    profile: sinumerik
    sampling: {default_ms: 200, max_subscriptions: 2}
    tags:
      - {name: program_state}
      - {name: tool_id, sample_ms: 900}
      - {name: asked, node: "/Channel/Parameter/R[u1,20]", type: uint32}
      - {name: mode, node: "ns=2;s=x", words: {0: manual, 1: mdi}}
      - {name: r21, standard: r_parameter, index: 21, access: write}
  - name: io
    link: {kind: modbus_tcp, host: 10.0.0.3}
    tags: [{name: light, address: 0, access: write}]
stations:
  - name: cell1
    link: {kind: loopback}
    camera: {kind: simulated}
    recipes: [one]
    cycle: {enable: always, acknowledge: none}
    tags:
      record: [cnc.program_state, cnc.tool_id]
      trigger: {tag: cnc.asked, on: count, part_id: cnc.asked}
      outputs:
        - {kind: answer, tag: cnc.r21}
        - {kind: lamp, tag: io.light}
"""
ASKED = "{tag: cnc.asked, on: count, part_id: cnc.asked}"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "line.yaml").write_text(GOOD)
    return tmp_path / "line.yaml"


def device(place: Path) -> OpcUaDeviceConfig:
    found = configuration.load(place).devices[0]
    assert isinstance(found, OpcUaDeviceConfig)
    return found


def test_both_kinds_of_devices_stand_in_one_list(place: Path) -> None:
    first, second = configuration.load(place).devices
    assert isinstance(first, OpcUaDeviceConfig)
    assert isinstance(second, ModbusDeviceConfig)


def test_intervals_go_up_to_the_steps_of_the_control(place: Path) -> None:
    cnc = device(place)
    assert cnc.groups(("asked",)) == [(250, ("asked", "program_state", "mode")), (1000, ("tool_id",))]
    assert cnc.samples() == 18
    assert {name: tag.max_age for name, tag in cnc.definitions().items()}["tool_id"] == 3


def test_a_long_list_is_split_with_room_for_the_clock(place: Path) -> None:
    cnc = device(place)
    sampling = cnc.sampling.model_copy(update={"max_items": 3})
    assert [len(names) for _, names in cnc.model_copy(update={"sampling": sampling}).groups()] == [2, 1, 1]


def test_operands_and_standard_names_become_nodes(place: Path) -> None:
    cnc = device(place)
    nodes = {tag.name: cnc.reference(tag) for tag in cnc.tags}
    assert nodes["asked"] == Node("SinumerikVarProvider", "/Channel/Parameter/R[u1,20]")
    assert nodes["r21"] == Node("SinumerikVarProvider", "/Channel/Parameter/R[u1,21]")
    assert nodes["tool_id"] == Node("SinumerikVarProvider", "/Channel/State/actTNumber[u1]")
    assert nodes["mode"] == Node(2, "x")
    assert cnc.words(cnc.tags[0])[3] == "running"
    assert cnc.words(cnc.tags[3]) == {0: "manual", 1: "mdi"}


def test_what_a_carrier_is_sent_is_the_same_configuration(place: Path) -> None:
    cnc = device(place)
    assert OpcUaDeviceConfig.model_validate(cnc.model_dump(mode="json")) == cnc


def problems(place: Path, old: str, new: str) -> list[str]:
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as told:
        configuration.load(place)
    return [str(problem).removeprefix(f"{place}:") for problem in told.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("kind: opcua", "kind: opc_ua", "4:5: devices[0].link: kind 'opc_ua' is not known; use one of modbus_tcp, "),
        ("kind: opcua, ", "", "4:5: devices[0].link: says no kind; add `kind:` with one of modbus_tcp, modbus_rtu, op"),
        ("security: none", "securty: none", "4:57: devices[0].link.securty: is not a known key; did you mean secur"),
        ("opc.tcp://", "http://", "4:25: devices[0].link.url: 'http://10.0.0.2:4840' is no endpoint; write it as"),
        ("profile: sinumerik", "profile: siemens", "5:5: devices[0].profile: 'siemens' is not allowed"),
        ("profile: sinumerik", "profile: none", "8:10: devices[0].tags[0].name: program_state is found by a profile"),
        ("{name: program_state}", "{name: progam_state}", "8:9: devices[0].tags[0]: 'progam_state' is no standard na"),
        ("{name: program_state}", "{name: part_quality}", "8:10: devices[0].tags[0].name: a control of profile sinu"),
        ("{name: program_state}", "{name: axis_position}", "8:9: devices[0].tags[0]: axis_position needs axis"),
        ("{name: program_state}", "{name: m_functions}", "8:9: devices[0].tags[0]: m_functions needs has"),
        ("name: tool_id", "name: tool_id, access: write", "9:9: devices[0].tags[1]: tool_id is shown by the cont"),
        ("name: tool_id", "name: asked", "9:9: devices[0].tags[1]: 'asked' is no standard name, so it needs node"),
        ("name: mode", "name: tool_id", "11:10: devices[0].tags[3].name: 'tool_id' is already the name of tags[1]"),
        ('"ns=2;s=x"', '"ns=x;s=x"', "11:22: devices[0].tags[3].node: 'ns=x;s=x': 'x' is neither the index"),
        ("index: 21, ", "", "12:9: devices[0].tags[4]: r_parameter needs index"),
        ("index: 21, access", "index: 21, has: 1, access", "12:9: devices[0].tags[4]: "),
        ("max_subscriptions: 2", "max_subscriptions: 1", "6:5: devices[0].sampling: 2 subscriptions (250 ms, 1000 ms"),
        ("max_subscriptions: 2", "samples_per_s: 10", "6:5: devices[0].sampling: the tags ask for 18 samples a sec"),
        ("max_subscriptions: 2", "steps_ms: [500, 100]", "6:5: devices[0].sampling: steps_ms must rise"),
        ("default_ms: 200", "default_ms: 1", "6:16: devices[0].sampling.default_ms: 1 is too small"),
        (
            "    tags:\n",
            "    alive: {tag: tol_id}\n    tags:\n",
            "7:13: devices[0].alive.tag: 'tol_id' is no tag ",
        ),
        (ASKED, "{tag: cnc.asked, on: rise}", "outputs[0].kind: answer needs a trigger that is the number of the pa"),
        (ASKED, "{tag: cnc.asked, on: count}", "outputs[0].kind: answer needs a trigger that is the number of the p"),
        (f"      trigger: {ASKED}\n", "", "outputs[0].kind: answer needs a trigger, whose value is the number"),
        (ASKED, "{tag: cnc.program_state, on: equals}", "tags.trigger: on: equals needs a value"),
        (ASKED, "{tag: cnc.program_state, on: equals, value: 3}", "tags.trigger.value: 3 is never the value of stri"),
        (ASKED, "{tag: cnc.asked, on: equals, value: ended}", "tags.trigger.value: 'ended' is never the value of uint"),
        (ASKED, "{tag: cnc.asked, on: count, value: 3}", "tags.trigger: on: equals needs a value, and the others none"),
        ("part_id: cnc.asked", "part_id: cnc.r21", "part_id: 'cnc.r21' has access: write"),
        ("index: 21, access", "index: 21, type: uint32, access", "outputs[0].tag: -1 does not fit uint32"),
    ],
)
def test_mistakes_are_told_with_place_cause_and_remedy(place: Path, old: str, new: str, problem: str) -> None:
    found = problems(place, old, new)
    assert any(problem in text for text in found), found


def test_a_part_number_of_another_subscription_could_be_another_part_s(place: Path) -> None:
    old = "part_id: cnc.asked}"
    found = problems(place, old, "part_id: cnc.slow}")
    assert any("'cnc.slow' is no tag" in text for text in found)
    slow = '      - {name: slow, node: "ns=2;s=y", type: uint32, sample_ms: 1000}\n'
    before = "      - {name: mode"
    place.write_text(GOOD.replace(old, "part_id: cnc.slow}").replace(before, slow + before))
    with pytest.raises(ConfigError, match="give both the same device and sample_ms"):
        configuration.load(place)


def test_two_outputs_at_one_node_are_a_mistake(place: Path) -> None:
    again = '      - {name: again, node: "/Channel/Parameter/R[u1,21]", access: write}\n'
    before = "      - {name: r21"
    place.write_text(GOOD.replace(before, again + before))
    with pytest.raises(ConfigError, match="is the same node as 'again'"):
        configuration.load(place)


def test_files_of_the_security_are_seen_from_the_configuration(place: Path) -> None:
    security = "{certificate: own.pem, key: own.key, trust: trusted}"
    user = "{name: vision, password_file: secret.txt}"
    place.write_text(GOOD.replace("security: none", f"security: {security}, user: {user}"))
    link = device(place).link
    assert not isinstance(link.security, str)
    assert link.security.certificate == place.parent / "own.pem"
    assert link.user is not None
    assert link.user.password_file == place.parent / "secret.txt"


def test_without_a_process_for_it_the_book_says_so(place: Path) -> None:
    book = TagBook(configuration.load(place).devices)
    with pytest.raises(LinkError, match="device cnc is reached by OPC UA"):
        book.build()
