import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from protocols.codec import StringOrder, WordOrder
from protocols.link import MapError
from protocols.links import AnyLink, LinkConfig, LoopbackConfig, build
from protocols.loopback import Loopback
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.rtu_server import RtuLink
from protocols.modbus.rtu_settings import ModbusRtuClientConfig, ModbusRtuServerConfig, Rs485Config
from protocols.modbus.serial_port import Direction, Line
from protocols.modbus.server import ModbusServer, Rules, ServerLink
from protocols.modbus.server_settings import ModbusServerConfig

ADAPTER: TypeAdapter[AnyLink] = TypeAdapter(LinkConfig)


def ignore(code: int, text: str) -> None:
    raise AssertionError(text)


def test_kind_chooses_the_model() -> None:
    server = ADAPTER.validate_python({"kind": "modbus_server", "port": 5020, "unit": 3, "word_order": "CDAB"})
    assert isinstance(server, ModbusServerConfig)
    assert server.codec().word_order is WordOrder.CDAB
    client = ADAPTER.validate_python({"kind": "modbus_client", "host": "10.0.0.5", "string_order": "little"})
    assert isinstance(client, ModbusClientConfig)
    assert client.codec().string_order is StringOrder.LITTLE
    assert isinstance(ADAPTER.validate_python({"kind": "loopback"}), LoopbackConfig)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "modbus_server", "prot": 502}, "prot"),
        ({"kind": "modbus_server", "unit": 0}, "unit"),
        ({"kind": "modbus_server", "unit": 248}, "unit"),
        ({"kind": "modbus_server", "port": 65536}, "port"),
        ({"kind": "modbus_server", "word_order": "ACBD"}, "word_order"),
        ({"kind": "modbus_server", "mirror_address": 16}, "overlap"),
        ({"kind": "modbus_client"}, "host"),
        ({"kind": "modbus_client", "host": "plc..local"}, "no host name"),
        ({"kind": "modbus_client", "host": "a b"}, "no host name"),
        ({"kind": "modbus_client", "host": "x", "status_address": 31}, "overlap"),
        ({"kind": "modbus_rtu_server"}, "device"),
        ({"kind": "modbus_rtu_server", "device": "/dev/ttyS0", "unit": 248}, "unit"),
        ({"kind": "modbus_rtu_server", "device": "/dev/ttyS0", "parity": "E"}, "parity"),
        ({"kind": "modbus_rtu_server", "device": "/dev/ttyS0", "stop_bits": 3}, "stop_bits"),
        ({"kind": "modbus_rtu_server", "device": "/dev/ttyS0", "mirror_address": 16}, "overlap"),
        ({"kind": "profinet"}, "kind"),
    ],
)
def test_a_wrong_configuration_says_where(config: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ADAPTER.validate_python(config)


def test_stations_with_one_address_share_a_listener() -> None:
    configs: list[AnyLink] = [
        ModbusServerConfig(port=5020, unit=1),
        LoopbackConfig(),
        ModbusServerConfig(port=5020, unit=2),
        ModbusServerConfig(port=5021, unit=1),
    ]
    links, services = build(configs, ignore)
    assert [type(link) for link in links] == [ServerLink, Loopback, ServerLink, ServerLink]
    assert [service.name for service in services] == ["modbus server 127.0.0.1:5020", "modbus server 127.0.0.1:5021"]


def test_a_unit_claimed_twice_names_both() -> None:
    configs = [ModbusServerConfig(port=5020), ModbusServerConfig(port=5021), ModbusServerConfig(port=5020)]
    with pytest.raises(MapError, match=r"cell1 and cell3 both want unit 1 on 127\.0\.0\.1:5020"):
        build(configs, ignore, ["cell1", "cell2", "cell3"])


MOVED = {
    "command_address": 1000, "status_address": 1000, "mirror_address": 1100, "coils_address": 1000,
    "discrete_address": 1000,
}  # fmt: skip


def test_stations_side_by_side_under_one_unit_share_a_listener() -> None:
    links, services = build([ModbusServerConfig(), ModbusServerConfig.model_validate(MOVED)], ignore)
    assert ([type(link) for link in links], len(services)) == ([ServerLink, ServerLink], 1)


@pytest.mark.parametrize(("key", "what"), [("command_address", "command"), ("coils_address", "coils")])
def test_stations_that_overlap_under_one_unit_are_named_with_what_overlaps(key: str, what: str) -> None:
    configs = [ModbusServerConfig(), ModbusServerConfig.model_validate({**MOVED, key: 5})]
    with pytest.raises(
        MapError, match=rf"cell1 and cell2 both want unit 1 on .*, where {what} \(.*\) overlap; give each"
    ):
        build(configs, ignore, ["cell1", "cell2"])


@pytest.mark.parametrize(
    "other",
    [{"allow": ("127.0.0.1",)}, {"plc": ("127.0.0.1",)}, {"unknown_unit": "silent"}, {"connects_per_second": 5}],
)
def test_who_may_connect_is_one_for_all_stations_of_a_listener(other: dict[str, object]) -> None:
    with pytest.raises(MapError, match="different limits"):
        build([ModbusServerConfig(unit=1), ModbusServerConfig.model_validate({"unit": 2, **other})], ignore)


def test_how_a_station_is_written_is_its_own() -> None:
    configs = [ModbusServerConfig(unit=1, held_reply_ms=500), ModbusServerConfig(unit=2, writer_silence_s=0)]
    assert len(build(configs, ignore)[1]) == 1
    assert configs[0].rules() == Rules(5.0, 0.5)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.5", "gateway.local"])  # noqa: S104
def test_a_listener_that_others_reach_must_say_who_may_connect(host: str) -> None:
    with pytest.raises(ValidationError, match="can be reached from other computers and allow does not say from which"):
        ModbusServerConfig(host=host)
    with pytest.raises(ValidationError, match="can be reached"):
        ModbusServerConfig(host=host, plc=("10.0.0.5",))
    assert ModbusServerConfig.model_validate({"host": host, "allow": "any"}).open_to_all
    assert not ModbusServerConfig(host=host, allow=("10.0.0.0/24",)).open_to_all


def test_one_listener_has_one_set_of_limits() -> None:
    with pytest.raises(MapError, match=r"station 1 and station 2 share .* different limits"):
        build([ModbusServerConfig(unit=1), ModbusServerConfig(unit=2, max_connections=5)], ignore)


LINE = "/dev/ttyUSB7"


def test_stations_with_one_device_share_a_line() -> None:
    configs: list[AnyLink] = [
        ModbusRtuServerConfig(device=LINE, unit=1),
        ModbusServerConfig(port=5020),
        ModbusRtuServerConfig(device=LINE, unit=2),
        ModbusRtuServerConfig(device="/dev/ttyS0", baud=9600, parity="none", unit=1),
    ]
    links, services = build(configs, ignore)
    assert [type(link) for link in links] == [RtuLink, ServerLink, RtuLink, RtuLink]
    assert [service.name for service in services] == [
        "modbus server 127.0.0.1:5020",
        "modbus rtu server /dev/ttyUSB7 19200 8E1",
        "modbus rtu server /dev/ttyS0 9600 8N1",
    ]


@pytest.mark.parametrize("other", [{"baud": 9600}, {"parity": "none"}, {"echo": True}, {"broadcast": False}])
def test_one_line_is_set_up_in_one_way(other: dict[str, object]) -> None:
    second = ModbusRtuServerConfig.model_validate({"device": LINE, "unit": 2, **other})
    with pytest.raises(MapError, match=r"station 1 and station 2 share /dev/ttyUSB7 but set the line up differently"):
        build([ModbusRtuServerConfig(device=LINE), second], ignore)
    with pytest.raises(MapError, match=r"cell1 and cell2 both want unit 1 on /dev/ttyUSB7"):
        build([ModbusRtuServerConfig(device=LINE)] * 2, ignore, ["cell1", "cell2"])


def test_a_serial_line_is_driven_as_configured() -> None:
    config = ModbusRtuServerConfig(
        device=LINE, baud=115200, stop_bits=2, rs485=Rs485Config(rts_on_send=False, delay_after_ms=2), patience_ms=40
    )
    assert config.line() == Line(LINE, 115200, "even", 2, rs485=Direction(False, 0.0, 0.002), patience=0.04)
    assert config.line().timing.char == pytest.approx(12 / 115200)
    assert Line(LINE, 9600, "none").timing.silence == pytest.approx(35 / 9600)


def test_a_serial_client_has_its_exchange_ready() -> None:
    config = ModbusRtuClientConfig(device=LINE, timeout_ms=200)
    master = config.master()
    assert config.exchange(master).name == config.exchange().name == "modbus rtu /dev/ttyUSB7 19200 8E1"


@pytest.mark.parametrize(("unit", "port"), [(0, 502), (248, 502), (1, 65536), (1, -1)])
def test_an_impossible_address_is_a_map_error(unit: int, port: int) -> None:
    with pytest.raises(MapError):
        ModbusServer("127.0.0.1", port).unit(unit)


@pytest.mark.slow
def test_a_server_link_does_not_import_pymodbus() -> None:
    code = (
        "import sys, protocols.links as l; l.build([l.AnyLink.__args__[0]()], print); "
        "sys.exit(bool({'pymodbus', 'numpy', 'serial'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
