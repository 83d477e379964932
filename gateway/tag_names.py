"""Devices and the names of their tags, as the configuration uses them: what cannot work, with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.settings import StationConfig
from gateway.tag_settings import AnswerConfig, GateConfig, LampConfig, StationTagsConfig, TriggerConfig
from gateway.validation import nearest
from gateway.yamlfile import Location
from protocols.devices import DeviceConfig, ModbusDeviceConfig, OpcUaDeviceConfig
from protocols.link import MapError
from protocols.links import LoopbackConfig
from protocols.modbus.client_settings import TcpPeer
from protocols.modbus.device_settings import TagConfig, limits
from protocols.modbus.planning import plan
from protocols.opcua.device_settings import OpcUaTagConfig
from protocols.tag_words import When
from protocols.tags import Tag, TagError

Found = Iterator[tuple[Location, str]]
AnyTag = TagConfig | OpcUaTagConfig


def device_mistakes(devices: Mapping[int, DeviceConfig]) -> Found:
    """What is wrong within and between the devices, by their position."""
    names: dict[str, int] = {}
    for index, device in devices.items():
        here: Location = ("devices", index)
        first = names.setdefault(device.name, index)
        if first != index:
            yield (*here, "name"), f"{device.name!r} is already the name of devices[{first}]; give it another one"
        found = _inside(device) if isinstance(device, ModbusDeviceConfig) else device.mistakes()
        for place, text in found:
            yield (*here, *place), text


def device_doubts(devices: Iterable[DeviceConfig]) -> Found:
    """What is allowed but seldom meant."""
    seen: dict[str, int] = {}
    for index, device in enumerate(devices):
        link = device.link
        if not isinstance(link, TcpPeer) or link.quirks.one_connection:
            continue
        first = seen.setdefault(link.place, index)
        if first != index:
            text = f"{link.place} is also devices[{first}], so it gets two connections"
            yield ("devices", index, "link"), f"{text}; make it one device and name modbus_unit in its tags"


def _inside(device: ModbusDeviceConfig) -> Found:
    groups: dict[str, int] = {}
    for index, group in enumerate(device.groups):
        if groups.setdefault(group.name, index) != index:
            yield ("groups", index, "name"), f"{group.name!r} is already groups[{groups[group.name]}]; rename one"
    tags: dict[str, int] = {}
    for index, tag in enumerate(device.tags):
        if tags.setdefault(tag.name, index) != index:
            yield ("tags", index, "name"), f"{tag.name!r} is already the name of tags[{tags[tag.name]}]; rename one"
        if tag.access == "read" and tag.group not in groups:
            yield ("tags", index, "group"), f"{tag.group!r} is no group of this device{_hint(tag.group, groups)}"
        try:
            plan([tag.place], limits(device.link))
        except MapError as error:
            yield ("tags", index, "address"), str(error)
        quirks, place = device.link.quirks, tag.place
        if tag.access == "write" and tag.table == "holding" and place.size > max(quirks.write_words, 1):
            text = f"{tag.kind} takes {place.size} registers, but the device takes {quirks.write_words} in one request"
            yield ("tags", index, "type"), f"{text}, so it could be torn; choose a shorter type"
    yield from _shared(device)
    alive = device.alive
    if alive is not None and (alive.tag not in tags or device.tags[tags[alive.tag]].access != "read"):
        yield ("alive", "tag"), f"{alive.tag!r} is no tag of this device that is read{_hint(alive.tag, tags)}"


def _shared(device: ModbusDeviceConfig) -> Found:
    """Outputs that lie upon each other: the one would write what the other has closed."""
    before: list[tuple[TagConfig, int, range]] = []
    for index, tag in enumerate(device.tags):
        if tag.access != "write":
            continue
        place = tag.place
        unit = device.link.unit_id if tag.modbus_unit is None else tag.modbus_unit
        mine = range(place.address, place.address + place.size)
        for other, at, other_range in before:
            if other.table == tag.table and at == unit and mine[0] <= other_range[-1] and other_range[0] <= mine[-1]:
                text = f"{tag.name!r} lies upon {other.name!r}, which is written too; give it another address"
                yield ("tags", index, "address"), text
                break
        before.append((tag, unit, mine))


def _hint(word: str, known: Iterable[str]) -> str:
    words = list(known)
    close = nearest(word, words)
    return f"; did you mean {close}?" if close else f"; known: {', '.join(words[:12]) or 'none'}"


@dataclass(frozen=True, slots=True)
class Known:
    """All tags by the names that stations use."""

    devices: Mapping[str, DeviceConfig]

    def find(self, ref: str) -> tuple[DeviceConfig, AnyTag] | None:
        """Device and tag, or None."""
        device_name, _, tag_name = ref.partition(".")
        device = self.devices.get(device_name)
        if device is None:
            return None
        tag: AnyTag | None = next((tag for tag in device.tags if tag.name == tag_name), None)
        return (device, tag) if tag else None

    def names(self, access: str) -> list[str]:
        """Of all tags that are read, or written."""
        return [f"{d.name}.{tag.name}" for d in self.devices.values() for tag in d.tags if tag.access == access]

    def definition(self, ref: str) -> Tag:
        """The tag of a name that was checked."""
        found = self.find(ref)
        if found is None:
            raise KeyError(ref)
        return found[0].definitions()[found[1].name]

    def objection(self, ref: str, access: str) -> str | None:
        """Why this name cannot stand here, or None."""
        found = self.find(ref)
        if found is None:
            return f"{ref!r} is no tag of any device{_hint(ref, self.names(access))}"
        if found[1].access == access:
            return None
        if access == "read":
            return f"{ref!r} has access: write and is never read; name another tag, or add one with access: read"
        return f"{ref!r} has access: read; set access: write in its device to use it as an output"


def known(devices: Iterable[DeviceConfig]) -> Known:
    """The names of these devices' tags."""
    return Known({device.name: device for device in devices})


def station_mistakes(stations: Mapping[int, StationConfig], tags: Known) -> Found:
    """What is wrong in the stations' use of tags."""
    writers: dict[str, str] = {}
    for index, station in stations.items():
        here: Location = ("stations", index, "tags")
        for n, ref in enumerate(station.tags.record):
            if text := tags.objection(ref, "read"):
                yield (*here, "record", n), text
            elif ref in station.tags.record[:n]:
                yield (*here, "record", n), f"{ref!r} is named twice; remove one"
        if station.tags.trigger is not None:
            for place, text in _trigger(station.tags.trigger, tags):
                yield (*here, "trigger", *place), text
            yield from _without_a_plc(station, ("stations", index))
        yield from _answers(station.tags, here)
        for n, output in enumerate(station.tags.outputs):
            at: Location = (*here, "outputs", n)
            if text := tags.objection(output.tag, "write"):
                yield (*at, "tag"), text
                continue
            if output.tag in writers:
                yield (*at, "tag"), f"{output.tag!r} is already written by {writers[output.tag]}; name another tag"
            writers.setdefault(output.tag, f"stations[{index}].tags.outputs[{n}]")
            yield from _values(output, at, tags.definition(output.tag))


def _values(output: object, at: Location, tag: Tag) -> Found:
    encoded = {}
    for key, value in output.values().items():  # type: ignore[attr-defined]
        try:
            encoded[key] = tag.encode(value)
        except TagError as error:
            yield (*at, key), str(error)
    if isinstance(output, LampConfig):
        for key in ("ng", "recheck", "fault"):
            if "ok" in encoded and encoded.get(key) == encoded["ok"]:
                yield (*at, key), "is the same as ok, so a part that is not good would look good; give another one"
    if isinstance(output, GateConfig) and len(encoded) == 2 and len(set(encoded.values())) == 1:
        yield (*at, "pass_value"), "is the same as reject_value, so the gate could never reject; give another one"


def _answers(config: StationTagsConfig, here: Location) -> Found:
    """An answer says which part it means by the number that asked, or it could be taken for that of another one."""
    trigger = config.trigger
    for n, output in enumerate(config.outputs):
        if not isinstance(output, AnswerConfig):
            continue
        at: Location = (*here, "outputs", n, "kind")
        if trigger is None:
            yield at, "answer needs a trigger, whose value is the number that is answered; add tags.trigger"
        elif trigger.on not in (When.COUNT, When.CHANGE) or trigger.part_id != trigger.tag:
            text = "answer needs a trigger that is the number of the part itself"
            yield at, f"{text}; set on: count, part_id: {trigger.tag}"


def _trigger(trigger: TriggerConfig, tags: Known) -> Found:
    text = tags.objection(trigger.tag, "read")
    if text is not None:
        yield ("tag",), text
        return
    tag = tags.definition(trigger.tag)
    plain = tag.modulus and tag.scale == 1 and tag.offset == 0
    if trigger.on is When.COUNT and not plain:
        yield ("on",), f"count needs an integer without scale and offset, not {tag.type}; use change"
    if trigger.on in (When.ABOVE, When.BELOW) and not tag.numeric:
        yield ("on",), f"{trigger.on.value} needs a number, not {tag.type}; use rise, fall or change"
    if trigger.on in (When.RISE, When.FALL) and tag.length:
        yield ("on",), f"{trigger.on.value} needs a number or a bool, not {tag.type}; use change"
    if trigger.on is When.EQUALS and (text := _value(trigger, tag)):
        yield ("value",), text
    for key, ref in (("part_id", trigger.part_id), ("serial", trigger.serial)):
        if ref is not None and (text := _part(key, ref, trigger.tag, tags)):
            yield (key,), text


def _value(trigger: TriggerConfig, tag: Tag) -> str | None:
    """Why the tag never becomes this value."""
    value = trigger.value
    if bool(tag.length) != isinstance(value, str):
        return f"{value!r} is never the value of {tag.type}; give {'a text' if tag.length else 'a number'}"
    if tag.type == "bool" and value not in (0, 1):
        return f"{value!r} is never the value of a bool; give true or false"
    return None


def _together(first: tuple[DeviceConfig, AnyTag], second: tuple[DeviceConfig, AnyTag]) -> bool:
    """Whether two tags are always read at one moment."""
    device, tag, other = first[0], first[1], second[1]
    if device.name != second[0].name:
        return False
    if isinstance(device, OpcUaDeviceConfig):
        return any({tag.name, other.name} <= set(names) for _, names in device.groups())
    return isinstance(tag, TagConfig) and isinstance(other, TagConfig) and tag.group == other.group


def _part(key: str, ref: str, beside: str, tags: Known) -> str | None:
    if text := tags.objection(ref, "read"):
        return text
    tag, here, there = tags.definition(ref), tags.find(ref), tags.find(beside)
    if key == "serial" and not tag.length:
        return f"{ref!r} is {tag.type}; a serial is a string[n]"
    if key == "part_id" and (tag.type not in ("uint16", "uint32") or tag.scale != 1 or tag.offset):
        return f"{ref!r} is {tag.type}; a part number is a uint16 or uint32 without scale and offset"
    if here and there and not _together(here, there):
        same = "group" if isinstance(here[0], ModbusDeviceConfig) else "sample_ms"
        text = f"{ref!r} is not read together with {beside!r}, so it could be that of another part"
        return f"{text}; give both the same device and {same}"
    return None


def _without_a_plc(station: StationConfig, here: Location) -> Found:
    if not isinstance(station.link, LoopbackConfig):
        return
    if station.cycle.enable != "always":
        yield (*here, "cycle", "enable"), "nobody can set Enable on a loopback link; set cycle.enable: always"
    if station.cycle.acknowledge != "none":
        text = "nobody can acknowledge results on a loopback link; set cycle.acknowledge: none"
        yield (*here, "cycle", "acknowledge"), text
