"""The keys of the OPC UA server in the configuration, and what does not go together with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config as configuration
from gateway.config import ConfigError, config_crc

GOOD = """\
data_dir: data
stations:
  - name: cell1
    link: {kind: modbus_server, port: 5020, unit: 1}
    camera: {kind: simulated}
    recipes: [one]
  - name: cell2
    link: {kind: modbus_server, port: 5020, unit: 2}
    camera: {kind: simulated}
    recipes: [one]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "line.yaml").write_text(GOOD)
    return tmp_path / "line.yaml"


def change(place: Path, old: str, new: str) -> None:
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new, 1))


def test_a_link_at_the_server_s_variables_needs_the_server(place: Path) -> None:
    change(place, "{kind: modbus_server, port: 5020, unit: 2}", "{kind: opcua_server}")
    with pytest.raises(ConfigError, match=r"stations\[1\].link.kind: opcua_server needs .* add the key opcua"):
        configuration.load(place)
    change(place, "data_dir: data", "data_dir: data\nopcua: {port: 4840}")
    assert configuration.load(place).opcua is not None


def test_the_opcua_server_has_a_port_of_its_own(place: Path) -> None:
    change(place, "data_dir: data", "data_dir: data\nopcua: {port: 5020}")
    with pytest.raises(ConfigError, match=r"opcua.port: 5020 is already the port of stations\[0\].link"):
        configuration.load(place)


def test_who_may_look_on_does_not_change_the_configuration_s_number(place: Path) -> None:
    before = config_crc(configuration.load(place), ())
    change(place, "data_dir: data", "data_dir: data\nopcua: {port: 4840}")
    assert config_crc(configuration.load(place), ()) == before
