"""What two links, or a link and a device, cannot have in common: the key in the file, and one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gateway.yamlfile import Location
from protocols.modbus import sharing
from protocols.modbus.polled_settings import PolledConfig
from protocols.modbus.rtu_settings import ModbusRtuServerConfig
from protocols.modbus.server_settings import ModbusServerConfig, same_port
from protocols.opcua.client_settings import OpcUaClientConfig

if TYPE_CHECKING:
    from gateway.settings import StationConfig
    from protocols.devices import DeviceConfig


def link_clash(first: object, second: object) -> tuple[str, str] | None:
    """The key of `second` that cannot be so beside `first`, and why, with `{other}` where the first is to be named."""
    if isinstance(first, ModbusServerConfig) and isinstance(second, ModbusServerConfig):
        return _server_clash(first, second)
    if isinstance(first, ModbusRtuServerConfig) and isinstance(second, ModbusRtuServerConfig):
        return _serial_clash(first, second)
    if found := sharing.clash(first, second):
        return found
    if isinstance(first, PolledConfig) and isinstance(second, PolledConfig):
        return _polled_clash(first, second)
    if isinstance(first, OpcUaClientConfig) and isinstance(second, OpcUaClientConfig):
        return _node_clash(first, second)
    return None


def device_clashes(
    devices: Mapping[int, DeviceConfig], stations: Mapping[int, StationConfig]
) -> Iterator[tuple[Location, str]]:
    """What a device's link cannot share with a station's, or with that of a device before it."""
    before = [(f"stations[{index}]", station.link) for index, station in stations.items()]
    earlier: list[tuple[str, object]] = [*before]
    for index, device in devices.items():
        for name, link in earlier:
            if found := sharing.clash(link, device.link):
                yield ("devices", index, "link", found[0]), found[1].format(other=name)
                break
        earlier.append((f"devices[{index}]", device.link))


def _server_clash(first: ModbusServerConfig, second: ModbusServerConfig) -> tuple[str, str] | None:
    if first.port != second.port:
        return None
    where = f"{second.host}:{second.port}"
    if first.host != second.host:
        if not same_port(first, second):
            return None
        return "host", f"{where} and {first.host}:{first.port} of {{other}} are the same port; use one host for both"
    if first.unit == second.unit and (overlap := first.registers().overlap(second.registers())):
        text = f"{second.unit} at {where} is already that of {{other}}; give each station at a port its own unit"
        return "unit", f"{text}, or addresses of its own: {overlap} overlap"
    if first.limits() != second.limits() or first.tls != second.tls:
        text = f"{where} is shared with {{other}}, which sets other limits (max_connections, …_timeout_s, allow, plc"
        return "port", f"{text}, connect…, unknown_unit) or tls; set the same, or use another port"
    return None


def _serial_clash(first: ModbusRtuServerConfig, second: ModbusRtuServerConfig) -> tuple[str, str] | None:
    if first.place == second.place and first.unit == second.unit:
        text = f"{second.unit} on {second.place} is already that of {{other}}; give each station on a line its own unit"
        return "unit", text
    if found := sharing.clash(first, second):
        return found
    if first.place == second.place and first.setup() != second.setup():
        text = f"{second.place} is shared with {{other}}, which sets another answer_delay_ms or broadcast"
        return "device", f"{text}; set the same"
    return None


def _node_clash(first: OpcUaClientConfig, second: OpcUaClientConfig) -> tuple[str, str] | None:
    """Two stations may read one node, but neither may write what the other has."""
    if first.place != second.place:
        return None
    one, two = first.node_map(), second.node_map()
    theirs = {entry.node: entry.name for entry in (*one.command, *one.outputs)}
    mine = {entry.node: entry.name for entry in (*two.command, *two.outputs)}
    written = {entry.node for plan in (one, two) for entry in plan.outputs}
    for node, name in mine.items():
        if node in written and node in theirs:
            text = f"{name} is {node}, which is {theirs[node]} of {{other}} in one PLC; give each a node of its own"
            return "nodes", text
    return None


def _polled_clash(first: PolledConfig, second: PolledConfig) -> tuple[str, str] | None:
    if first.place != second.place or first.unit_id != second.unit_id:
        return None
    taken = list(first.extents())
    for key, mine in second.extents():
        for _, other in taken:
            if mine.clashes(other):
                return key, f"{mine.span} overlaps {other.span} of {{other}} in one PLC; move one of them"
    return None
